//! Why a file cannot be read as a profile, and what to do about it.

use std::io;
use std::path::PathBuf;

use profiler_alloc_format::{HEADER_LEN, VERSION};

/// A file that gives no profile at all.
#[derive(thiserror::Error, Debug)]
pub enum ReadError {
    /// The file is not there or may not be read.
    #[error("cannot read {}: {error}; {}", path.display(), remedy(error))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A folder, a pipe or a device: a profile is read back and forth.
    #[error("{} is not a regular file; name a profile, such as one that `ls *.memprof` lists", path.display())]
    NotAFile {
        /// What was named.
        path: PathBuf,
    },
    /// The file has no bytes.
    #[error("{} is empty: the recording never began; run the program again with `memprof run`", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{} is not a profile; `memprof run -- PROGRAM` writes one", path.display())]
    NotAProfile {
        /// The file.
        path: PathBuf,
    },
    /// The file ends within its header.
    #[error("{} is cut off after {len} of the {HEADER_LEN} bytes of its header; copy it again or record again", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        len: usize,
    },
    /// The file was written by another version.
    #[error(
        "{} has format version {found}, this memprof reads version {VERSION}; \
         use the memprof of the same version as the program's profiler-alloc", path.display()
    )]
    WrongVersion {
        /// The file.
        path: PathBuf,
        /// The version it states.
        found: u32,
    },
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "profiles belong to the user who ran the program",
        _ => "`memprof run -- PROGRAM` writes a profile, `ls *.memprof` lists those of this folder",
    }
}
