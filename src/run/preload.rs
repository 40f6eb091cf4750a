//! The recorder as a library: put into a file of the user's own, for programs to load.
//!
//! ```text
//! this command ──its own copy──▶ ~/.cache/memprof/libmemprof_preload-1f0c9a77.so
//!                                │ checked each time: ours, nobody else may write it, these bytes
//!                                └──LD_PRELOAD──▶ the program
//! ```
//! Whoever can change that file can run code in the user's programs. So it lies in a folder that
//! nobody else may write to, and what is in it is compared with what it has to be.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, statvfs};
use rustix::process::geteuid;
use sha2::{Digest, Sha256};
use thiserror::Error;

/// The library; empty in a command for another system.
static LIBRARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/libmemprof_preload.so"));

/// Characters that `LD_PRELOAD` has for the end of a path.
const SEPARATORS: [u8; 2] = [b':', b' '];

/// Why there is no library to preload.
#[derive(Debug, Error)]
pub enum PreloadError {
    /// Not built for this system.
    #[error(
        "this memprof records only programs that have the crate: it was built for another system than Linux with glibc on x86-64 or AArch64"
    )]
    NotBuilt,
    /// No folder will do.
    #[error(
        "no folder for memprof's library: {reasons}; set XDG_CACHE_HOME to a folder of your own, on a file system without `noexec`"
    )]
    NoFolder {
        /// Each folder tried, and what is wrong with it.
        reasons: String,
    },
}

/// The library's path, where it has been put if it was not there.
///
/// # Errors
/// If no folder is the user's own, or none takes programs.
pub fn library() -> Result<PathBuf, PreloadError> {
    if LIBRARY.is_empty() {
        return Err(PreloadError::NotBuilt);
    }
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let folders = [
        variable("XDG_CACHE_HOME").map(PathBuf::from),
        variable("HOME").map(|home| Path::new(&home).join(".cache")),
        Some(std::env::temp_dir().join(format!("memprof-{}", geteuid().as_raw()))),
    ];
    let mut reasons = Vec::new();
    for folder in folders
        .into_iter()
        .flatten()
        .map(|folder| folder.join("memprof"))
    {
        match library_in(&folder) {
            Ok(path) => return Ok(path),
            Err(error) => reasons.push(format!("{}: {error}", folder.display())),
        }
    }
    Err(PreloadError::NoFolder {
        reasons: reasons.join("; "),
    })
}

/// What to set `LD_PRELOAD` to: the library, before what is to be preloaded already. An allocator
/// among these goes on serving the program, and is recorded.
pub fn variable(library: &Path, before: Option<&OsStr>) -> OsString {
    let mut value = library.as_os_str().to_owned();
    if let Some(before) = before.filter(|before| !before.is_empty()) {
        value.push(":");
        value.push(before);
    }
    value
}

fn library_in(folder: &Path) -> io::Result<PathBuf> {
    let refuse = |why: &str| Err(io::Error::other(why.to_owned()));
    let bytes = folder.as_os_str().as_encoded_bytes();
    if !folder.is_absolute() || bytes.iter().any(|byte| SEPARATORS.contains(byte)) {
        return refuse("not a path that LD_PRELOAD can hold");
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let folder_is = fs::symlink_metadata(folder)?;
    if !folder_is.is_dir() || !is_private(&folder_is) {
        return refuse("not a folder of your own that nobody else may write to");
    }
    if statvfs(folder)?.f_flag.contains(StatVfsMountFlags::NOEXEC) {
        return refuse("mounted noexec");
    }
    let hash = Sha256::digest(LIBRARY);
    let name: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let path = folder.join(format!("libmemprof_preload-{name}.so"));
    if !is_intact(&path) {
        write(folder, &path)?;
    }
    Ok(path)
}

/// True if the file at `path` is the library, and nobody else's to change.
fn is_intact(path: &Path) -> bool {
    let read = || -> io::Result<bool> {
        let mut file = File::options()
            .read(true)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
            .open(path)?;
        let is = file.metadata()?;
        if !is.is_file() || !is_private(&is) || is.len() != LIBRARY.len() as u64 {
            return Ok(false);
        }
        let mut bytes = Vec::with_capacity(LIBRARY.len());
        file.read_to_end(&mut bytes)?;
        Ok(bytes == LIBRARY)
    };
    read().unwrap_or(false)
}

/// True of what belongs to the user and nobody else may write.
fn is_private(is: &fs::Metadata) -> bool {
    is.uid() == geteuid().as_raw() && is.mode() & 0o022 == 0
}

/// Writes the library whole, or not at all.
fn write(folder: &Path, path: &Path) -> io::Result<()> {
    let new = folder.join(format!(".new-{}", std::process::id()));
    let _ = fs::remove_file(&new);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o500)
        .open(&new)?;
    let written = file
        .write_all(LIBRARY)
        .and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_library_that_was_changed_is_written_anew() {
        let folder = folder();
        let path = library_in(folder.path()).unwrap();
        let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let is_ours = || {
            fs::read(&path).unwrap() == LIBRARY
                && fs::metadata(&path).unwrap().mode() & 0o777 == 0o500
        };
        assert!(is_ours());
        let first = fs::metadata(&path).unwrap().ino();
        library_in(folder.path()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().ino(), first, "left alone");

        mode(0o700);
        fs::write(&path, vec![0; LIBRARY.len()]).unwrap();
        library_in(folder.path()).unwrap();
        assert!(is_ours(), "other bytes");
        mode(0o722);
        library_in(folder.path()).unwrap();
        assert!(is_ours(), "others may write it");
        fs::remove_file(&path).unwrap();
        let elsewhere = folder.path().join("elsewhere");
        fs::write(&elsewhere, LIBRARY).unwrap();
        symlink(&elsewhere, &path).unwrap();
        library_in(folder.path()).unwrap();
        assert!(fs::symlink_metadata(&path).unwrap().is_file(), "a link");
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        let folder = folder();
        let cases = [
            ("shared", 0o777),
            ("of a group", 0o770),
            ("with a space", 0o700),
            ("a:b", 0o700),
        ];
        for (name, mode) in cases {
            let path = folder.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = library_in(&path).unwrap_err().to_string();
            assert!(error.starts_with("not a "), "{name}: {error}");
        }
        let link = folder.path().join("link");
        symlink(folder.path(), &link).unwrap();
        assert!(library_in(&link).is_err(), "a link");
    }

    #[test]
    fn what_was_to_be_preloaded_still_is() {
        let value = |before: Option<&str>| variable(Path::new("/c/m.so"), before.map(OsStr::new));
        assert_eq!(value(None), "/c/m.so");
        assert_eq!(value(Some("")), "/c/m.so");
        assert_eq!(value(Some("/x/jemalloc.so")), "/c/m.so:/x/jemalloc.so");
    }
}
