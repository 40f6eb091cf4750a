//! Where a run's profiles go: checked before the program starts, listed after it ended.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use profiler_alloc_format::EXTENSION;
use thiserror::Error;

use super::{Recorded, RunId, recorded};

/// Why no profile could be written there.
#[derive(Debug, Error)]
pub enum OutputError {
    /// The file is there already.
    #[error("`{}` exists already: choose another name with -o, or replace it with --overwrite", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Standard output was named.
    #[error(
        "a profile is a file that grows while the program runs, so it cannot go to standard output: name a file with -o (`./-` if it is to be called `-`)"
    )]
    Stdout,
    /// A folder was named instead of a file.
    #[error("`{path}` is a folder: name a file in it, such as -o {}", path.join("run.memprof").display(), path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// The folder for the file is missing.
    #[error("the output folder `{path}` does not exist: make it with `mkdir -p {path}`, or choose another with -o", path = folder.display())]
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder cannot be written to.
    #[error("cannot write to the output folder `{}`: {error}; choose another with -o", folder.display())]
    Unwritable {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The old file could not be removed.
    #[error("cannot remove the old `{}`: {error}; choose another name with -o", path.display())]
    Stuck {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The current folder is gone.
    #[error("the current folder cannot be named: {0}; change to another, or choose a file with -o")]
    NoCurrentFolder(io::Error),
}

/// The place of a run's profiles: one named file, or files named by program and process in a
/// folder.
#[derive(Debug)]
pub struct ProfileOutput {
    folder: PathBuf,
    file: Option<PathBuf>,
}

impl ProfileOutput {
    /// Makes sure that profiles can be written to `file`, or to the current folder if it is `None`.
    ///
    /// An existing file is refused, or removed when `overwrite` is set.
    pub fn prepare(
        file: Option<&Path>,
        overwrite: bool,
        run_id: RunId,
    ) -> Result<ProfileOutput, OutputError> {
        let output = match file {
            None => ProfileOutput {
                folder: std::env::current_dir().map_err(OutputError::NoCurrentFolder)?,
                file: None,
            },
            Some(file) => Self::named(file)?,
        };
        output.check_folder(run_id)?;
        output.make_way(overwrite)?;
        Ok(output)
    }

    fn named(file: &Path) -> Result<ProfileOutput, OutputError> {
        if file == Path::new("-") {
            return Err(OutputError::Stdout);
        }
        let names_folder = file.as_os_str().as_bytes().ends_with(b"/");
        if names_folder || file.file_name().is_none() || file.is_dir() {
            return Err(OutputError::Folder { path: file.into() });
        }
        // Absolute, because the program may change its folder before it starts to record.
        let file = std::path::absolute(file).map_err(OutputError::NoCurrentFolder)?;
        let folder = file.parent().unwrap_or(Path::new("/")).to_owned();
        Ok(ProfileOutput {
            folder,
            file: Some(file),
        })
    }

    /// Tries it: permission bits do not tell about read-only file systems, quotas and full disks.
    fn check_folder(&self, run_id: RunId) -> Result<(), OutputError> {
        let folder = self.folder.clone();
        if !folder.is_dir() {
            return Err(OutputError::NoFolder { folder });
        }
        let trial = folder.join(format!(".memprof-{run_id}"));
        File::create_new(&trial)
            .and_then(|_| fs::remove_file(&trial))
            .map_err(|error| OutputError::Unwritable { folder, error })
    }

    fn make_way(&self, overwrite: bool) -> Result<(), OutputError> {
        let Some(path) = self.file.clone() else {
            return Ok(());
        };
        if fs::symlink_metadata(&path).is_err() {
            Ok(())
        } else if overwrite {
            fs::remove_file(&path).map_err(|error| OutputError::Stuck { path, error })
        } else {
            Err(OutputError::Exists { path })
        }
    }

    /// The value of [`OUTPUT`](profiler_alloc_format::env::OUTPUT).
    pub fn pattern(&self) -> OsString {
        match &self.file {
            Some(file) => literal(file.as_os_str()),
            None => {
                let mut pattern = literal(self.folder.as_os_str());
                pattern.push(format!("/%e.%p.{EXTENSION}"));
                pattern
            }
        }
    }

    /// Where one profile of all of the run's goes: the file that was named, or the one that the
    /// process `pid` of `program` writes.
    pub fn merged(&self, program: &Path, pid: u32) -> PathBuf {
        self.file.clone().unwrap_or_else(|| {
            let mut name = program.file_name().unwrap_or_default().to_owned();
            name.push(format!(".{pid}.{EXTENSION}"));
            self.folder.join(name)
        })
    }

    /// The profiles that programs of this run wrote, most memory first.
    pub fn profiles(&self, run_id: RunId) -> Vec<Recorded> {
        let mut profiles: Vec<_> = fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten()
            // A regular file, so that opening a pipe named like a profile cannot hang.
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
            .map(|entry| entry.path())
            .filter(|path| {
                Some(path) == self.file.as_ref() || path.extension() == Some(OsStr::new(EXTENSION))
            })
            .filter_map(|path| recorded(&path, run_id))
            .collect();
        // Somebody may have copied one meanwhile: it is not another program's.
        profiles.sort_by_key(|profile| (profile.identity, !profile.is_original));
        profiles.dedup_by_key(|profile| profile.identity);
        profiles.sort_by(|a, b| {
            let by_memory = b.own_peak().cmp(&a.own_peak());
            by_memory.then_with(|| a.path.cmp(&b.path))
        });
        profiles
    }
}

/// `path` as a pattern that stands for itself.
fn literal(path: &OsStr) -> OsString {
    let mut bytes = Vec::with_capacity(path.len());
    for &byte in path.as_bytes() {
        bytes.push(byte);
        if byte == b'%' {
            bytes.push(b'%');
        }
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::profile::builder::Builder;

    #[test]
    fn pattern_stands_for_the_named_file_alone() {
        let output = ProfileOutput::named(Path::new("/tmp/100%e.memprof")).unwrap();
        assert_eq!(output.pattern(), "/tmp/100%%e.memprof");
        assert_eq!(output.folder, Path::new("/tmp"));
    }

    #[test]
    fn default_pattern_names_program_and_process() {
        let output = ProfileOutput {
            folder: "/data/5%".into(),
            file: None,
        };
        assert_eq!(output.pattern(), "/data/5%%/%e.%p.memprof");
    }

    #[test]
    fn refuses_folders_as_files() {
        for path in ["/tmp", "/tmp/", "no/such/", ".."] {
            let error = ProfileOutput::named(Path::new(path)).unwrap_err();
            assert!(matches!(error, OutputError::Folder { .. }), "{path}");
        }
    }

    #[test]
    fn lists_the_profiles_of_this_run_alone_most_memory_first() {
        let folder = tempfile::tempdir().unwrap();
        let run_id = RunId::random();
        let write = |name: &str, run_id, peak| {
            let mut profile = Builder::new();
            (profile.header.run_id, profile.header.peak) = (run_id, peak);
            profile.header.pid = peak as u32;
            fs::write(folder.path().join(name), profile.to_bytes()).unwrap();
        };
        write("small.1.memprof", run_id.get(), 10);
        write("x.prof", run_id.get(), 20);
        write("x.prof.big.2.memprof", run_id.get(), 30);
        write("other.3.memprof", run_id.get() ^ 1, 40);
        fs::write(folder.path().join("notes.memprof"), "no profile").unwrap();
        let output = ProfileOutput::named(&folder.path().join("x.prof")).unwrap();
        let found = output.profiles(run_id).into_iter();
        let peaks: Vec<_> = found.map(|profile| profile.peak).collect();
        assert_eq!(peaks, [30, 20, 10]);
    }

    #[test]
    fn a_copy_of_a_profile_is_not_another_programs() {
        let folder = tempfile::tempdir().unwrap();
        let run_id = RunId::random();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("z.memprof"), "").unwrap();
        let mut profile = Builder::new();
        profile.header.run_id = run_id.get();
        profile.header.inode = fs::metadata(path("z.memprof")).unwrap().ino();
        fs::write(path("z.memprof"), profile.to_bytes()).unwrap();
        fs::copy(path("z.memprof"), path("a.memprof")).unwrap();
        let output = ProfileOutput::named(&path("z.memprof")).unwrap();
        let names = |found: Vec<Recorded>| -> Vec<PathBuf> {
            found.into_iter().map(|profile| profile.path).collect()
        };
        assert_eq!(names(output.profiles(run_id)), [path("z.memprof")]);
        // The copy is better than nothing.
        fs::remove_file(path("z.memprof")).unwrap();
        assert_eq!(names(output.profiles(run_id)), [path("a.memprof")]);
    }

    #[test]
    fn overwriting_removes_the_old_file_and_leaves_no_trace_of_the_trial() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.memprof");
        fs::write(&file, "old").unwrap();
        let run_id = RunId::random();
        let error = ProfileOutput::prepare(Some(&file), false, run_id).unwrap_err();
        assert!(matches!(error, OutputError::Exists { .. }));
        assert!(file.exists());
        ProfileOutput::prepare(Some(&file), true, run_id).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
