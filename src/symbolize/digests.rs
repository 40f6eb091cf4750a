//! The MD5 of the source files that a program was built from, where its debug information has them.
//!
//! Line tables have a place for them from DWARF 5 on, and clang fills it in. rustc 1.95 does not:
//! of each of its units one file, the unit's own name, has no MD5, and LLVM writes all of a table
//! or none.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use addr2line::gimli::{
    AttributeValue, DebugLine, DebugLineOffset, DebugLineStr, DebugStr, EndianSlice, FileEntry,
    LineProgramHeader, RunTimeEndian,
};
use object::{Object, ObjectSection, ReadCache};

/// An MD5.
pub type Digest = [u8; 16];

type Bytes<'a> = EndianSlice<'a, RunTimeEndian>;

/// The digest of each source file that the debug information in the file at `path` names, by the
/// path that the compiler wrote. Empty where there are none.
pub(super) fn digests(path: &Path) -> HashMap<String, Digest> {
    read(path).unwrap_or_default()
}

fn read(path: &Path) -> Option<HashMap<String, Digest>> {
    let file = File::open(path).ok()?;
    let cache = ReadCache::new(&file);
    let object = object::File::parse(&cache).ok()?;
    let section = |name: &str| -> Cow<'_, [u8]> {
        let section = object.section_by_name(name);
        let data = section.and_then(|section| section.uncompressed_data().ok());
        data.unwrap_or_default()
    };
    let sections = [".debug_line", ".debug_line_str", ".debug_str"].map(section);
    let endian = match object.is_little_endian() {
        true => RunTimeEndian::Little,
        false => RunTimeEndian::Big,
    };
    let names = Names {
        of_lines: DebugLineStr::new(&sections[1], endian),
        of_all: DebugStr::new(&sections[2], endian),
    };
    let lines = DebugLine::new(&sections[0], endian);
    let mut digests = HashMap::new();
    let mut at = 0;
    while let Ok(program) = lines.program(DebugLineOffset(at), 8, None, None) {
        let header = program.header();
        at += header.unit_length() + usize::from(header.format().initial_length_size());
        if header.file_has_md5() {
            let files = header.file_names().iter();
            digests.extend(files.filter_map(|file| Some((names.path(file, header)?, *file.md5()))));
        }
        if at >= sections[0].len() {
            break;
        }
    }
    Some(digests)
}

/// Where line programs have their text.
struct Names<'a> {
    of_lines: DebugLineStr<Bytes<'a>>,
    of_all: DebugStr<Bytes<'a>>,
}

impl<'a> Names<'a> {
    /// The path of `file`: below its folder, which may be below that of the compilation, the first
    /// one.
    fn path(
        &self,
        file: &FileEntry<Bytes<'a>>,
        header: &LineProgramHeader<Bytes<'a>>,
    ) -> Option<String> {
        let folder = |index| self.text(header.directory(index)?);
        let mut path = std::path::PathBuf::from(folder(0)?);
        path.push(folder(file.directory_index())?);
        path.push(self.text(file.path_name())?);
        path.into_os_string().into_string().ok()
    }

    fn text(&self, value: AttributeValue<Bytes<'a>>) -> Option<String> {
        let text = match value {
            AttributeValue::String(text) => text,
            AttributeValue::DebugLineStrRef(at) => self.of_lines.get_str(at).ok()?,
            AttributeValue::DebugStrRef(at) => self.of_all.get_str(at).ok()?,
            _ => return None,
        };
        Some(text.to_string_lossy().into_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    /// The line table of a unit with one file, `app.rs` in folder 1 of `/build` and `src`, and no
    /// lines.
    const TABLE: &str = "\
        .section .debug_line
        .4byte end - start
start:  .2byte 5
        .byte 8, 0
        .4byte end - rest
rest:   .byte 1, 1, 1, -5, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1
        .byte 1, 1, 8, 2                  # folders: a path as text; two of them
        .string \"/build\", \"src\"
        .byte 3, 1, 8, 2, 11, 5, 30, 1    # files: a path, its folder in a byte, its MD5; one of them
        .string \"app.rs\"
        .byte 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
end:
";

    #[test]
    fn files_are_named_by_their_whole_path() {
        let folder = tempfile::tempdir().unwrap();
        let (source, object) = (folder.path().join("app.s"), folder.path().join("app.o"));
        fs::write(&source, TABLE).unwrap();
        let cc = std::env::var_os("CC").unwrap_or("cc".into());
        let status = (Command::new(cc).args(["-c", "-o"]))
            .args([&object, &source])
            .status();
        assert!(status.unwrap().success());
        let digest: Digest = std::array::from_fn(|byte| byte as u8);
        let expected = HashMap::from([("/build/src/app.rs".to_owned(), digest)]);
        assert_eq!(digests(&object), expected);
    }
}
