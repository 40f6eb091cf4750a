//! Linux, macOS and their relatives: all of it.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};

/// The path that a profile or an object file names: any bytes.
pub fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes.to_owned()))
}

/// Fills `bytes` from what stands at `at`; threads may read one file at once.
pub fn read_exact_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    file.read_exact_at(bytes, at)
}

/// Writes `bytes` at `at`.
pub fn write_all_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    file.write_all_at(bytes, at)
}

/// The number by which its file system knows the file at `path`. `None` if files have none here.
pub fn inode(path: &Path) -> io::Result<Option<u64>> {
    Ok(Some(fs::metadata(path)?.ino()))
}

/// How long a file may become. `None` if it may be of any length.
pub fn file_size_limit() -> Option<u64> {
    getrlimit(Resource::Fsize).current
}

/// Those of any new file: what the umask allows. `None` where the system decides.
pub fn new_file_permissions() -> Option<Permissions> {
    Some(Permissions::from_mode(0o666))
}

/// Those of a file that only its owner may read and write. `None` where the system decides.
pub fn private_file_permissions() -> Option<Permissions> {
    Some(Permissions::from_mode(0o600))
}

/// Columns of the terminal that standard output is. `None` if it is none.
pub fn terminal_columns() -> Option<u16> {
    let (columns, _) = terminal_size::terminal_size_of(io::stdout())?;
    Some(columns.0)
}

/// Whether the system said so, that there is no such process.
pub fn no_such_process(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}
