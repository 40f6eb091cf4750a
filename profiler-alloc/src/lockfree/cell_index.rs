//! A hash index of cells that are given new keys: from a key to the number of its cell.
//!
//! The key stands in the cell. An entry has a part of its hash, so that other cells are not looked
//! at, and is *stale* once the cell's key has another: then it may be overwritten.
//!
//! ```text
//! entry   │ upper half of the key's hash: 32 │ number of the cell, plus 1: 32 │   0 is free
//! ```
//! It grows as [`Index`](super::index::Index) does, by levels, each four times as large. Two
//! threads that insert the same key at once may both succeed.

use crate::hash::mix;
use crate::lockfree::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::lockfree::lazy_slice::LazySlice;

const LEVELS: usize = 5;
const PROBES: usize = 16;
const HALF: u32 = u64::BITS / 2;

pub struct CellIndex {
    levels: [LazySlice<AtomicU64>; LEVELS],
    newest: AtomicUsize,
    first_bits: u32,
}

impl CellIndex {
    /// An index whose first level has `1 << first_bits` entries; takes no memory before the first
    /// insert.
    pub const fn new(first_bits: u32) -> CellIndex {
        CellIndex {
            levels: [
                LazySlice::new(len(first_bits, 0)),
                LazySlice::new(len(first_bits, 1)),
                LazySlice::new(len(first_bits, 2)),
                LazySlice::new(len(first_bits, 3)),
                LazySlice::new(len(first_bits, 4)),
            ],
            newest: AtomicUsize::new(0),
            first_bits,
        }
    }

    /// The cell of `key`, which `key_of` gives of a cell.
    pub fn find(&self, key: u64, key_of: impl Fn(u32) -> u64) -> Option<u32> {
        let hash = mix(key);
        let newest = self.newest.load(Ordering::Acquire);
        for number in (0..=newest).rev() {
            let Some(level) = self.levels[number].get() else {
                continue;
            };
            for at in self.neighbourhood(number, hash) {
                let entry = level[at].load(Ordering::Acquire);
                if entry == 0 {
                    break;
                }
                let cell = cell_of(entry);
                if entry >> HALF == hash >> HALF && key_of(cell) == key {
                    return Some(cell);
                }
            }
        }
        None
    }

    /// Adds the cell `number` of `key`. False if the index is full or memory is refused.
    pub fn insert(&self, key: u64, number: u32, key_of: impl Fn(u32) -> u64) -> bool {
        let hash = mix(key);
        let entry = (hash >> HALF) << HALF | u64::from(number + 1);
        loop {
            let newest = self.newest.load(Ordering::Acquire);
            let Some(level) = self.levels[newest].open() else {
                return false;
            };
            for at in self.neighbourhood(newest, hash) {
                let there = level[at].load(Ordering::Acquire);
                let is_free = there == 0 || {
                    // 0 and 1 are keys of cells that are being made: their entries come.
                    let key = key_of(cell_of(there));
                    key > 1 && mix(key) >> HALF != there >> HALF
                };
                if is_free
                    && level[at]
                        .compare_exchange(there, entry, Ordering::AcqRel, Ordering::Relaxed)
                        .is_ok()
                {
                    return true;
                }
            }
            if newest + 1 == LEVELS || self.levels[newest + 1].open().is_none() {
                return false;
            }
            self.newest.fetch_max(newest + 1, Ordering::AcqRel);
        }
    }

    /// Bytes of address space of all levels.
    pub fn bytes(&self) -> usize {
        let levels = self.levels.iter().filter_map(LazySlice::get);
        levels.map(size_of_val).sum()
    }

    fn neighbourhood(&self, number: usize, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let mask = len(self.first_bits, number) - 1;
        let home = hash as usize;
        (0..PROBES).map(move |step| home.wrapping_add(step) & mask)
    }
}

fn cell_of(entry: u64) -> u32 {
    (entry as u32).wrapping_sub(1)
}

/// Entries of a level.
const fn len(first_bits: u32, number: usize) -> usize {
    1 << (first_bits as usize + 2 * number)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn cells_are_found_through_all_levels_until_they_have_another_key() {
        let index = CellIndex::new(4);
        let keys = RefCell::new(vec![0; 2_000]);
        let key_of = |cell: u32| keys.borrow()[cell as usize];
        let key = |cell: u32| u64::from(cell + 1) * 0x1_0001;
        for cell in 0..2_000 {
            keys.borrow_mut()[cell as usize] = key(cell);
            assert!(index.insert(key(cell), cell, key_of));
        }
        for cell in 0..2_000 {
            assert_eq!(index.find(key(cell), key_of), Some(cell));
        }
        keys.borrow_mut()[7] = 99;
        assert!(index.insert(99, 7, key_of));
        assert_eq!(index.find(key(7), key_of), None);
        assert_eq!(index.find(99, key_of), Some(7));
    }

    /// 100 cells that are given one key after another never need more than a few levels.
    #[test]
    fn places_of_keys_that_no_cell_has_any_more_are_taken_again() {
        let index = CellIndex::new(6);
        let keys = RefCell::new(vec![0; 100]);
        let key_of = |cell: u32| keys.borrow()[cell as usize];
        for round in 1..1_000u64 {
            for cell in 0..100u32 {
                let key = round << 32 | u64::from(cell);
                keys.borrow_mut()[cell as usize] = key;
                assert!(index.insert(key, cell, key_of));
                assert_eq!(index.find(key, key_of), Some(cell));
            }
        }
        assert!(index.newest.load(Ordering::Relaxed) <= 2);
    }
}
