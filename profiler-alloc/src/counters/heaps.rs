//! The heaps beside the main one: their names, and exact counts of each.
//!
//! All threads count in the same words, so an operation here costs a few locked instructions. A
//! recording has these words in its file, where a killed program leaves them. What is in use stands
//! apart, as it is the process's whoever records.

use core::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use profiler_alloc_format::HeapCells;
use profiler_alloc_format::heaps::{
    ALL, C_HEAP as C_HEAP_NAME, KIND_MAPPED, KIND_NAMED, MAIN, MAPPED as MAPPED_NAME, MAX_HEAPS,
    MAX_NAME_LEN, OTHER,
};

use crate::counters::slot::Operation;
use crate::lockfree::texts::Texts;

/// A heap's number; 0 is the main one.
pub type Id = u32;

/// The heap that takes those that are too many.
const OTHERS: Id = 1 + MAX_HEAPS as Id;
/// The heap of what the program maps itself.
pub const MAPPED: Id = OTHERS + 1;
/// The heap of a program's C libraries.
pub const C_HEAP: Id = MAPPED + 1;
/// One more than the highest number.
pub const IDS: usize = 1 + C_HEAP as usize;

/// Stands for a heap without a name.
const UNNAMED: &str = "(unnamed)";

static NAMES: Texts = Texts::new(1 + MAX_HEAPS, MAX_NAME_LEN);
/// *Bytes.*
static IN_USE: [AtomicI64; IDS] = [const { AtomicI64::new(0) }; IDS];
/// What is lost while nothing is recorded: a recording that begins takes it over.
static PRIVATE: [HeapCells; IDS] = [const { HeapCells::empty() }; IDS];

/// The number of the heap of that name. Names that mean something else in the views are put into
/// brackets.
#[cold]
pub fn named(name: &str) -> Id {
    let name = match name {
        "" => UNNAMED,
        MAIN => "(malloc)",
        MAPPED_NAME => "(mapped)",
        C_HEAP_NAME => "(C heap)",
        ALL => "(all)",
        name => name,
    };
    let name = NAMES.fitting(name);
    NAMES.find_or_add(0, name, MAX_HEAPS).unwrap_or(OTHERS)
}

/// Calls `read` with the name of a heap.
pub fn with_name<R>(heap: Id, read: impl FnOnce(&[u8]) -> R) -> R {
    match heap {
        MAPPED => read(MAPPED_NAME.as_bytes()),
        C_HEAP => read(C_HEAP_NAME.as_bytes()),
        OTHERS => read(OTHER.as_bytes()),
        named => read(NAMES.read(named as usize, &mut [0; MAX_NAME_LEN])),
    }
}

/// One of the `KIND_*` constants.
pub fn kind(heap: Id) -> u32 {
    match heap {
        MAPPED => KIND_MAPPED,
        _ => KIND_NAMED,
    }
}

/// In use in a heap, in bytes.
#[inline]
pub fn in_use(heap: Id) -> i64 {
    IN_USE
        .get(heap as usize)
        .map_or(0, |in_use| in_use.load(Ordering::Relaxed))
}

/// Nothing is in use in a heap of which no more is told.
#[cfg(feature = "preload")]
pub fn forget(heap: Id) {
    if let Some(in_use) = IN_USE.get(heap as usize) {
        in_use.store(0, Ordering::Relaxed);
    }
}

/// The heaps that have something in use.
pub fn in_use_now() -> impl Iterator<Item = Id> {
    (1..IDS as Id).filter(|&heap| in_use(heap) != 0)
}

/// Where what a heap loses is counted while nothing is recorded.
#[inline]
pub fn private(heap: Id) -> &'static HeapCells {
    &PRIVATE[heap as usize % IDS]
}

/// Counts an operation while nothing is recorded: only what is in use is kept then.
#[inline]
pub fn count_unrecorded(heap: Id, operation: Operation) {
    if change_in_use(heap, operation).is_none() {
        private(heap).lost_frees.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts an operation in `cells`; gives what is in use afterwards, in bytes. `None`, and nothing
/// is counted, if that would be less than nothing: what is freed was never said to be allocated.
#[inline]
pub fn count(heap: Id, cells: &HeapCells, operation: Operation) -> Option<i64> {
    let Some(in_use) = change_in_use(heap, operation) else {
        cells.lost_frees.fetch_add(1, Ordering::Relaxed);
        return None;
    };
    let counter = match operation {
        Operation::Alloc { .. } => &cells.allocs,
        Operation::Free { .. } => &cells.frees,
        Operation::Realloc { .. } => &cells.reallocs,
    };
    counter.fetch_add(1, Ordering::Relaxed);
    let (allocated, freed) = bytes(operation);
    if allocated != 0 {
        add(&cells.alloc_bytes, allocated);
    }
    if freed != 0 {
        add(&cells.freed_bytes, freed);
    }
    Some(in_use)
}

#[inline]
fn change_in_use(heap: Id, operation: Operation) -> Option<i64> {
    let in_use = IN_USE.get(heap as usize)?;
    let (allocated, freed) = bytes(operation);
    if freed == 0 {
        let before = in_use.fetch_add(allocated, Ordering::Relaxed);
        return Some(before.wrapping_add(allocated));
    }
    let after = |before: i64| {
        let rest = before.checked_sub(freed).filter(|&rest| rest >= 0);
        rest.map(|rest| rest.saturating_add(allocated))
    };
    let changed = in_use.fetch_update(Ordering::Relaxed, Ordering::Relaxed, after);
    changed.ok().and_then(after)
}

/// Allocated and freed by an operation.
#[inline]
fn bytes(operation: Operation) -> (i64, i64) {
    let (allocated, freed) = match operation {
        Operation::Alloc { size } => (size, 0),
        Operation::Free { size } => (0, size),
        Operation::Realloc { old, new } => (new, old),
    };
    (fitting(allocated), fitting(freed))
}

/// What is no size of a block is taken for the largest that is one.
#[inline]
fn fitting(size: u64) -> i64 {
    const MOST: u64 = 1 << 48;
    size.min(MOST) as i64
}

#[inline]
fn add(counter: &AtomicU64, by: i64) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_heap_has_less_than_nothing_in_use() {
        // No test names this one.
        let heap = 1 + MAX_HEAPS as Id - 1;
        let cells = HeapCells::empty();
        let count = |operation| count(heap, &cells, operation);
        assert_eq!(count(Operation::Alloc { size: 100 }), Some(100));
        assert_eq!(count(Operation::Free { size: 101 }), None);
        assert_eq!(count(Operation::Realloc { old: 100, new: 7 }), Some(7));
        assert_eq!(count(Operation::Free { size: 7 }), Some(0));
        let get = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        assert_eq!(
            [&cells.alloc_bytes, &cells.freed_bytes].map(get),
            [107, 107]
        );
        assert_eq!([&cells.allocs, &cells.frees].map(get), [1, 1]);
        assert_eq!([&cells.reallocs, &cells.lost_frees].map(get), [1, 1]);
        assert_eq!(in_use(heap), 0);
    }

    /// One test, as there is room for so many in the process.
    #[test]
    fn names_are_told_apart_until_they_are_too_many() {
        let name = |heap| with_name(heap, <[u8]>::to_vec);
        for (given, shown) in [("", "(unnamed)"), ("malloc", "(malloc)"), ("all", "(all)")] {
            assert_eq!(name(named(given)), shown.as_bytes());
        }
        assert_eq!(name(MAPPED), b"mapped");
        let (heap, same) = (named("heaps test"), named("heaps test"));
        assert_eq!((same, name(heap)), (heap, b"heaps test".to_vec()));
        assert_ne!(named("heaps test 2"), heap);
        for number in 0..MAX_HEAPS {
            named(&format!("heaps many {number}"));
        }
        assert_eq!(named("heaps one more"), OTHERS);
        assert_eq!(name(OTHERS), b"(other)");
        assert_eq!(named("heaps test"), heap);
    }
}
