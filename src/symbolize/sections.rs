//! The sections of a file's debug information, for whoever looks at the heads of its units and line
//! tables.

use std::borrow::Cow;
use std::fs::File;
use std::path::{Path, PathBuf};

use addr2line::gimli::{
    Dwarf, DwarfSections, EndianSlice, FileEntry, LineProgramHeader, RunTimeEndian, SectionId, Unit,
};
use object::{Object, ObjectSection, ReadCache};

pub(super) type Bytes<'a> = EndianSlice<'a, RunTimeEndian>;

/// Lets `look` look at the `wanted` sections of the file at `path`.
pub(super) fn with_debug_info<T>(
    path: &Path,
    wanted: &[SectionId],
    look: impl FnOnce(&Dwarf<Bytes<'_>>) -> T,
) -> Option<T> {
    let file = File::open(path).ok()?;
    let cache = ReadCache::new(&file);
    let object = object::File::parse(&cache).ok()?;
    let endian = match object.is_little_endian() {
        true => RunTimeEndian::Little,
        false => RunTimeEndian::Big,
    };
    let section = |id: SectionId| -> Result<Cow<'_, [u8]>, object::Error> {
        let is_wanted = wanted.contains(&id);
        match object.section_by_name(id.name()).filter(|_| is_wanted) {
            Some(section) => section.uncompressed_data(),
            None => Ok(Cow::default()),
        }
    };
    let sections = DwarfSections::load(section).ok()?;
    let dwarf = sections.borrow(|section| EndianSlice::new(section, endian));
    Some(look(&dwarf))
}

/// The path of `file`: below its folder, which may be below that of the compilation.
pub(super) fn path_of<'a>(
    dwarf: &Dwarf<Bytes<'a>>,
    unit: &Unit<Bytes<'a>>,
    header: &LineProgramHeader<Bytes<'a>>,
    file: &FileEntry<Bytes<'a>>,
) -> Option<String> {
    let text = |value| Some(dwarf.attr_string(unit, value).ok()?.to_string_lossy());
    let mut path = PathBuf::new();
    if let Some(folder) = unit.comp_dir {
        path.push(&*folder.to_string_lossy());
    }
    // Folder 0 is that of the compilation.
    if file.directory_index() != 0 {
        path.push(&*text(file.directory(header)?)?);
    }
    path.push(&*text(file.path_name())?);
    path.into_os_string().into_string().ok()
}
