//! Windows and WASI: what std has for them. Paths are text, and files have no number.

use std::fs::{File, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// std has no reading at a place for all of them, so one thread at a time moves to it and reads.
static POSITION: Mutex<()> = Mutex::new(());

/// The path that a profile or an object file names, recorded on a system where it may be any bytes.
pub fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

/// Fills `bytes` from what stands at `at`; threads may read one file at once.
pub fn read_exact_at(mut file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    let _held = POSITION.lock().unwrap_or_else(PoisonError::into_inner);
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(bytes)
}

/// Writes `bytes` at `at`.
pub fn write_all_at(mut file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    let _held = POSITION.lock().unwrap_or_else(PoisonError::into_inner);
    file.seek(SeekFrom::Start(at))?;
    file.write_all(bytes)
}

/// The number by which its file system knows the file at `path`. `None` if files have none here.
pub fn inode(_: &Path) -> io::Result<Option<u64>> {
    Ok(None)
}

/// How long a file may become. `None` if it may be of any length.
pub fn file_size_limit() -> Option<u64> {
    None
}

/// Those of any new file: what the umask allows. `None` where the system decides.
pub fn new_file_permissions() -> Option<Permissions> {
    None
}

/// Those of a file that only its owner may read and write. `None` where the system decides.
pub fn private_file_permissions() -> Option<Permissions> {
    None
}

/// Columns of the terminal that standard output is. `None` if it is none.
pub fn terminal_columns() -> Option<u16> {
    #[cfg(windows)]
    return terminal_size::terminal_size_of(io::stdout()).map(|(columns, _)| columns.0);
    #[cfg(not(windows))]
    None
}

/// Whether the system said so, that there is no such process.
pub fn no_such_process(_: &io::Error) -> bool {
    false
}
