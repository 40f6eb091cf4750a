//! Files that went through `dwz`: what several units share then stands in partial units, which have
//! no code of their own.
//!
//! Up to DWARF 4 a partial unit looks like any other but for its tag. It names the line table of
//! the unit that it was taken from, so `addr2line` believes that it has all of that unit's code,
//! looks for functions in it, and finds none:
//!
//! ```text
//! unit at 0x0b   DW_TAG_partial_unit   stmt_list 0x40                  `Vec::push`, no addresses
//! unit at 0x99   DW_TAG_compile_unit   stmt_list 0x40, low_pc 0x1000   `main`, with it inlined
//! ```
//!
//! The remedy is a copy of the file in which partial units name no line table. They need none: only
//! names are read there.

use std::fs::{self, File};
use std::path::Path;

use addr2line::gimli::constants::{DW_AT_stmt_list, DW_FORM_implicit_const, DW_TAG_partial_unit};
use object::{CompressionFormat, Object, ObjectSection, ReadCache};
use tempfile::NamedTempFile;

use crate::system::write_all_at;

/// An attribute that means nothing, in one byte.
const NOTHING: u8 = 0x7f;

/// A copy of the file at `path` whose partial units name no line table; `None` if it has none that
/// do.
pub(super) fn without_their_lines(path: &Path) -> Option<NamedTempFile> {
    let file = File::open(path).ok()?;
    let cache = ReadCache::new(&file);
    let object = object::File::parse(&cache).ok()?;
    let section = object.section_by_name(".debug_abbrev")?;
    let place = section.compressed_file_range().ok()?;
    let mut abbreviations = section.uncompressed_data().ok()?.into_owned();
    // Nobody packs what dwz has made small, as dwz reads and writes unpacked sections only.
    if place.format != CompressionFormat::None || !forget_lines(&mut abbreviations) {
        return None;
    }
    let copy = NamedTempFile::new().ok()?;
    fs::copy(path, copy.path()).ok()?;
    let written = write_all_at(copy.as_file(), &abbreviations, place.offset);
    written.ok().map(|()| copy)
}

/// Blanks the line table in the abbreviations of partial units. Whether there was any.
///
/// An abbreviation is a code, a tag, a byte, and pairs of attribute and form up to a pair of zeros.
fn forget_lines(abbreviations: &mut [u8]) -> bool {
    let mut at = 0;
    let mut found = false;
    while let Some(code) = number(abbreviations, &mut at) {
        if code == 0 {
            continue;
        }
        let tag = number(abbreviations, &mut at);
        at += 1;
        loop {
            let attribute_at = at;
            let attribute = number(abbreviations, &mut at);
            let form = number(abbreviations, &mut at);
            let (Some(attribute), Some(form)) = (attribute, form) else {
                return found;
            };
            if form == u64::from(DW_FORM_implicit_const.0) {
                number(abbreviations, &mut at);
            }
            if (attribute, form) == (0, 0) {
                break;
            }
            let is_of_partial_unit = tag == Some(u64::from(DW_TAG_partial_unit.0));
            if is_of_partial_unit && attribute == u64::from(DW_AT_stmt_list.0) {
                abbreviations[attribute_at] = NOTHING;
                found = true;
            }
        }
    }
    found
}

/// The LEB128 number at `at`, which then is behind it.
fn number(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            break;
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_partial_units_lose_their_lines() {
        // Code 1: a compile unit; 2: a partial one, with a constant whose bytes look like a line
        // table; a second table.
        let table = |line: u8| {
            [
                [1, 0x11, 1, 0x10, 0x17, 0, 0].as_slice(),
                &[2, 0x3c, 1, 0x13, 0x21, 0x10, line, 0x17, 0, 0, 0],
                &[1, 0x3c, 0, line, 0x17, 0, 0, 0],
            ]
            .concat()
        };
        let mut abbreviations = table(0x10);
        assert!(forget_lines(&mut abbreviations));
        assert_eq!(abbreviations, table(NOTHING));
        assert!(!forget_lines(&mut abbreviations));
        for end in 0..abbreviations.len() {
            forget_lines(&mut table(0x10)[..end]);
        }
        assert!(!forget_lines(&mut [0xff; 40]));
    }
}
