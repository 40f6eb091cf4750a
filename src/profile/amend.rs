//! Adding to a profile what is known once its program is gone.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use profiler_alloc_format::{Header, MAGIC, VERSION};

use crate::system::{read_exact_at, write_all_at};

/// Writes the header of the profile at `path` as `change` leaves it, which may write to the file
/// before. It must not be written to by anyone else: the program has ended. `false`, and the file
/// is as it was, if it is no profile or `change` says so.
pub(super) fn amend(
    path: &Path,
    change: impl FnOnce(&File, &mut Header) -> io::Result<bool>,
) -> io::Result<bool> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let modified = file.metadata()?.modified()?;
    let mut bytes = [0; Header::LEN];
    read_exact_at(&file, &mut bytes, 0)?;
    let mut header = Header::from_bytes(&bytes);
    let is_ours = (header.magic, header.version) == (MAGIC, VERSION);
    if !is_ours || !change(&file, &mut header)? {
        return Ok(false);
    }
    write_all_at(&file, &header.to_bytes(), 0)?;
    // Profiles are put in order by when their programs wrote them last.
    file.set_modified(modified)?;
    Ok(true)
}
