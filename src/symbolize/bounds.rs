//! Whether a file's debug information may be read: it asks for no more than its length allows.
//!
//! What reads it, reads it all, and takes a file at its word. A small file can claim sections that
//! unpack to terabytes, name the same bytes in thousands of sections, or nest inlined functions
//! deeper than a stack reaches. Such files are refused.

use std::borrow::Cow;
use std::fs::File;
use std::iter;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use addr2line::gimli::{
    DW_TAG_inlined_subroutine, DebugAbbrev, DebugInfo, EndianSlice, Reader, RunTimeEndian,
    UnitHeader,
};
use object::{CompressionFormat, Object, ObjectSection, ReadCache, ReadRef};

use crate::system::read_exact_at;

/// Highest ratio of a section's length to that of its packed form. Real ones are below 20.
const MOST_UNPACKED: u64 = 100;

/// Bytes of the longest form of a unit's length.
const LONGEST_LENGTH: u64 = 12;

/// Bytes of a unit with nothing in it: length, version, place of its abbreviations, size of an
/// address.
const SHORTEST_UNIT: u64 = 4 + 2 + 4 + 1;

/// Most inlined functions inside of each other. Compilers stop at some dozens.
const MOST_INLINED: usize = 256;

/// Why the file at `path` is refused; nothing if it is not, or is no object file at all.
pub(super) fn excess(path: &Path) -> Option<&'static str> {
    let file = File::open(path).ok()?;
    let cache = ReadCache::new(&file);
    let object = object::File::parse(&cache).ok()?;
    let excess = excess_of_sections(&object, cache.len().ok()?);
    let deep = || nests_deeply(&object, &file).unwrap_or(false);
    excess.or_else(|| deep().then_some("inlined functions are nested too deeply"))
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

/// Walks all of the debug information, which in a large program takes as long as looking up
/// thousands of addresses: so each processor walks some of its units.
fn nests_deeply<'a>(object: &object::File<'a, impl ReadRef<'a>>, file: &'a File) -> Option<bool> {
    let info = Info::of(&object.section_by_name(".debug_info")?, file)?;
    let abbrev = object.section_by_name(".debug_abbrev")?;
    let abbrev = abbrev.uncompressed_data().ok()?;
    let endian = match object.is_little_endian() {
        true => RunTimeEndian::Little,
        false => RunTimeEndian::Big,
    };
    let abbrev = DebugAbbrev::new(&abbrev, endian);
    let units = info.units(endian);
    let next = AtomicUsize::new(0);
    let walk = || {
        let mut unit = Vec::new();
        let mut mine = iter::from_fn(|| units.get(next.fetch_add(1, Ordering::Relaxed)));
        mine.any(|place| {
            info.read(place, &mut unit);
            let header = DebugInfo::new(&unit, endian).units().next();
            header.is_ok_and(|unit| unit.is_some_and(|unit| unit_nests_deeply(&unit, &abbrev)))
        })
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    Some(thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(units.len()))
            .map(|_| scope.spawn(walk))
            .collect();
        let others = others.into_iter().map(|walk| walk.join().unwrap_or(true));
        others.fold(walk(), |deep, other| deep || other)
    }))
}

/// The section `.debug_info`. It may be half of the file: one that is not packed is read as it is
/// walked, so that it never fills memory.
enum Info<'a> {
    Unpacked(Cow<'a, [u8]>),
    InFile(&'a File, Range<u64>),
}

impl<'a> Info<'a> {
    fn of(section: &impl ObjectSection<'a>, file: &'a File) -> Option<Info<'a>> {
        let place = section.compressed_file_range().ok()?;
        if place.format != CompressionFormat::None {
            return section.uncompressed_data().ok().map(Info::Unpacked);
        }
        let end = place.offset.checked_add(place.uncompressed_size)?;
        Some(Info::InFile(file, place.offset..end))
    }

    /// Where in the section its units are.
    fn units(&self, endian: RunTimeEndian) -> Vec<Range<u64>> {
        let mut start = 0;
        let mut head = Vec::new();
        let next = || {
            let rest = self.len().saturating_sub(start);
            self.read(&(start..start + rest.min(LONGEST_LENGTH)), &mut head);
            let mut head = EndianSlice::new(&head, endian);
            // Damage ends the units for other readers too.
            let (len, format) = head.read_initial_length().ok()?;
            let len = (len as u64).checked_add(format.initial_length_size().into())?;
            let end = start.checked_add(len)?;
            let unit = (len >= SHORTEST_UNIT && end <= self.len()).then_some(start..end)?;
            start = end;
            Some(unit)
        };
        iter::from_fn(next).collect()
    }

    fn len(&self) -> u64 {
        match self {
            Info::Unpacked(bytes) => bytes.len() as u64,
            Info::InFile(_, section) => section.end - section.start,
        }
    }

    /// Puts a part of the section into `bytes`: nothing, if it cannot be read.
    fn read(&self, part: &Range<u64>, bytes: &mut Vec<u8>) {
        bytes.resize((part.end - part.start) as usize, 0);
        let read = match self {
            Info::Unpacked(all) => {
                bytes.copy_from_slice(&all[part.start as usize..part.end as usize]);
                Ok(())
            }
            Info::InFile(file, section) => read_exact_at(file, bytes, section.start + part.start),
        };
        if read.is_err() {
            bytes.clear();
        }
    }
}

fn unit_nests_deeply<R: Reader>(unit: &UnitHeader<R>, abbrev: &DebugAbbrev<R>) -> bool {
    let Ok(abbreviations) = unit.abbreviations(abbrev) else {
        return false;
    };
    let Ok(mut entries) = unit.entries_raw(&abbreviations, None) else {
        return false;
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
    false
}
