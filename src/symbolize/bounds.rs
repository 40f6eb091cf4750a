//! Whether a file's debug information may be read: it asks for no more than its length allows.
//!
//! What reads it, reads it all, and takes a file at its word. A small file can claim sections that unpack to terabytes, name the
//! same bytes in thousands of sections, or nest inlined functions deeper than a stack reaches. Such files are refused.

use std::fs::File;
use std::path::Path;

use addr2line::gimli::{DW_TAG_inlined_subroutine, DebugAbbrev, DebugInfo, RunTimeEndian};
use object::{Object, ObjectSection, ReadCache, ReadRef};

/// Highest ratio of a section's length to that of its packed form. Real ones are below 20.
const MOST_UNPACKED: u64 = 100;

/// Most inlined functions inside of each other. Compilers stop at some dozens.
const MOST_INLINED: usize = 256;

/// Why the file at `path` is refused; nothing if it is not, or is no object file at all.
pub(super) fn excess(path: &Path) -> Option<&'static str> {
    let cache = ReadCache::new(File::open(path).ok()?);
    let object = object::File::parse(&cache).ok()?;
    let excess = excess_of_sections(&object, cache.len().ok()?);
    excess.or_else(|| nests_deeply(&object).then_some("inlined functions are nested too deeply"))
}

fn excess_of_sections<'a>(
    object: &object::File<'a, impl ReadRef<'a>>,
    len: u64,
) -> Option<&'static str> {
    let mut sum = 0_u64;
    for section in object.sections() {
        if section.address().checked_add(section.size()).is_none() {
            return Some("a section goes beyond the last address");
        }
        let Ok(range) = section.compressed_file_range() else {
            return Some("a packed section is damaged");
        };
        if range.uncompressed_size / MOST_UNPACKED > range.compressed_size {
            return Some("a section claims to unpack to more than it can");
        }
        sum = sum.saturating_add(range.compressed_size);
    }
    (sum > 2 * len).then_some("its sections overlap")
}

fn nests_deeply<'a>(object: &object::File<'a, impl ReadRef<'a>>) -> bool {
    let data = |name| {
        let section = object.section_by_name(name)?;
        section.uncompressed_data().ok()
    };
    let (Some(info), Some(abbrev)) = (data(".debug_info"), data(".debug_abbrev")) else {
        return false;
    };
    let endian = match object.is_little_endian() {
        true => RunTimeEndian::Little,
        false => RunTimeEndian::Big,
    };
    let abbrev = DebugAbbrev::new(&abbrev, endian);
    let mut units = DebugInfo::new(&info, endian).units();
    while let Ok(Some(unit)) = units.next() {
        let Ok(abbreviations) = unit.abbreviations(&abbrev) else {
            continue;
        };
        let Ok(mut entries) = unit.entries_raw(&abbreviations, None) else {
            continue;
        };
        // Depths of the inlined functions that the next entry may be inside of.
        let mut open: Vec<isize> = Vec::new();
        while !entries.is_empty() {
            let depth = entries.next_depth();
            // Damage ends the unit for other readers too.
            let Ok(entry) = entries.read_abbreviation() else {
                break;
            };
            let Some(entry) = entry else { continue };
            while open.last().is_some_and(|&outer| outer >= depth) {
                open.pop();
            }
            if entry.tag() == DW_TAG_inlined_subroutine {
                open.push(depth);
                if open.len() > MOST_INLINED {
                    return true;
                }
            }
            if entries.skip_attributes(entry.attributes()).is_err() {
                break;
            }
        }
    }
    false
}
