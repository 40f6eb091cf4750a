//! Finding the program to run, the way a shell does, before anything else is touched.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use thiserror::Error;

/// A program that was found and may be executed.
#[derive(Debug, PartialEq, Eq)]
pub struct Program {
    /// As the user wrote it: the program's own `argv[0]`.
    pub name: OsString,
    /// Where it was found.
    pub path: PathBuf,
}

/// Why a program cannot be run.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// The name has no slash and stands in no folder of PATH.
    #[error("program `{}` not found in PATH{}", name.display(), local_remedy(name))]
    NotInPath {
        /// The name searched for.
        name: OsString,
    },
    /// The path leads nowhere.
    #[error("program `{}` does not exist: build it first, or check the path", path.display())]
    Missing {
        /// The path given.
        path: PathBuf,
    },
    /// A folder.
    #[error("`{}` is a folder: name a program in it", path.display())]
    Folder {
        /// The path given.
        path: PathBuf,
    },
    /// No execute permission.
    #[error("`{path}` may not be executed: make it executable with `chmod +x {path}`", path = path.display())]
    NotExecutable {
        /// The file found.
        path: PathBuf,
    },
    /// The system refused to start it.
    #[error("cannot run `{}`: {error} (is it a program for this machine, or a script with a `#!` line?)", path.display())]
    Refused {
        /// The file found.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}

impl ProgramError {
    /// The exit code a shell gives for the same: 127 not found, 126 found but not to be run.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotInPath { .. } | Self::Missing { .. } => 127,
            Self::Folder { .. } | Self::NotExecutable { .. } | Self::Refused { .. } => 126,
        }
    }
}

/// Users of other systems expect the current folder to be searched too.
fn local_remedy(name: &OsStr) -> String {
    if Path::new(name).is_file() {
        format!(
            ": to run the file of this folder, write `./{}`",
            name.display()
        )
    } else {
        ": check its name, or give its path".to_owned()
    }
}

impl Program {
    /// Looks `name` up: a path if it has a slash, otherwise in the folders of `search`, which is
    /// PATH.
    pub fn find(name: &OsStr, search: Option<&OsStr>) -> Result<Program, ProgramError> {
        let path = if name.as_encoded_bytes().contains(&b'/') {
            check(PathBuf::from(name))?
        } else {
            find_in(search.unwrap_or_default(), name)?
        };
        Ok(Program {
            name: name.to_owned(),
            path,
        })
    }
}

/// The first file of that name that may be executed; failing that, the first that may not tells
/// why.
fn find_in(search: &OsStr, name: &OsStr) -> Result<PathBuf, ProgramError> {
    let mut refused = None;
    for folder in std::env::split_paths(search) {
        match check(folder.join(name)) {
            Ok(path) => return Ok(path),
            Err(error @ ProgramError::NotExecutable { .. }) => refused = refused.or(Some(error)),
            Err(_) => {}
        }
    }
    Err(refused.unwrap_or_else(|| ProgramError::NotInPath {
        name: name.to_owned(),
    }))
}

fn check(path: PathBuf) -> Result<PathBuf, ProgramError> {
    if path.is_dir() {
        Err(ProgramError::Folder { path })
    } else if !path.exists() {
        Err(ProgramError::Missing { path })
    } else if access(&path, Access::EXEC_OK).is_err() {
        Err(ProgramError::NotExecutable { path })
    } else {
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn folder_with(name: &str, mode: u32) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        fs::write(&file, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        folder
    }

    #[test]
    fn skips_files_of_the_path_that_may_not_be_executed() {
        let (plain, program) = (folder_with("tool", 0o644), folder_with("tool", 0o755));
        let search = std::env::join_paths([plain.path(), program.path()]).unwrap();
        let found = Program::find("tool".as_ref(), Some(&search)).unwrap();
        assert_eq!(found.path, program.path().join("tool"));
        assert_eq!(found.name, "tool");
    }

    #[test]
    fn tells_missing_from_not_executable() {
        let plain = folder_with("tool", 0o644);
        let in_path = |name: &str| Program::find(name.as_ref(), Some(plain.path().as_ref()));
        assert_eq!(in_path("tool").unwrap_err().exit_code(), 126);
        assert_eq!(in_path("spade").unwrap_err().exit_code(), 127);
        assert_eq!(in_path("./no/such/spade").unwrap_err().exit_code(), 127);
        assert_eq!(in_path("/").unwrap_err().exit_code(), 126);
    }
}
