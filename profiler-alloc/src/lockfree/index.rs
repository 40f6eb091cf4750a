//! A hash index that grows without a lock: 64-bit keys to 64-bit values, inserted once, never changed or removed.
//!
//! ```text
//! level 0  ▢▣▢▢▣▢▢▢              searched last
//! level 1  ▢▢▢▣▢▢▢▢▢▢▣▢▢▢▢▢…     four times as large
//! level 2  …                     searched first; inserts go here
//! ```
//! A full neighbourhood in the newest level opens the next; older levels stay as they are. Two threads that insert
//! the same key at once may both succeed: callers must be able to live with two equal entries.

use crate::hash::mix;
use crate::lockfree::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::lockfree::lazy_slice::LazySlice;

const LEVELS: usize = 6;
const PROBES: usize = 16;

/// Half of the words are keys, half values: key at `2 * i`, value behind it. A key of 0 is free.
pub struct Index {
    levels: [LazySlice<AtomicU64>; LEVELS],
    newest: AtomicUsize,
    first_bits: u32,
}

impl Index {
    /// An index whose first level has `1 << first_bits` entries; takes no memory before the first insert.
    pub const fn new(first_bits: u32) -> Index {
        Index {
            levels: [
                LazySlice::new(words(first_bits, 0)),
                LazySlice::new(words(first_bits, 1)),
                LazySlice::new(words(first_bits, 2)),
                LazySlice::new(words(first_bits, 3)),
                LazySlice::new(words(first_bits, 4)),
                LazySlice::new(words(first_bits, 5)),
            ],
            newest: AtomicUsize::new(0),
            first_bits,
        }
    }

    /// The first value under `key` that `accept` takes.
    #[inline]
    pub fn find(&self, key: u64, accept: impl Fn(u64) -> bool) -> Option<u64> {
        let key = key.max(1);
        let newest = self.newest.load(Ordering::Acquire);
        // Nearly always the key stands at its home in the newest level.
        if let Some(level) = self.levels[newest].get() {
            let home = 2 * (mix(key) as usize & (level.len() / 2 - 1));
            if level[home].load(Ordering::Acquire) == key {
                let value = level[home + 1].load(Ordering::Acquire);
                if value != 0 && accept(value) {
                    return Some(value);
                }
            }
        }
        self.search(key, newest, accept)
    }

    #[inline(never)]
    fn search(&self, key: u64, newest: usize, accept: impl Fn(u64) -> bool) -> Option<u64> {
        for number in (0..=newest).rev() {
            let Some(level) = self.levels[number].get() else {
                continue;
            };
            for at in self.neighbourhood(number, key) {
                match level[at].load(Ordering::Acquire) {
                    0 => break,
                    found if found == key => {
                        // 0: claimed, and the value is about to be stored; the caller does the work again.
                        let value = level[at + 1].load(Ordering::Acquire);
                        if value != 0 && accept(value) {
                            return Some(value);
                        }
                    }
                    _ => {}
                }
            }
        }
        None
    }

    /// Adds an entry; `value` is not 0. `false` if the index is full or memory is refused.
    pub fn insert(&self, key: u64, value: u64) -> bool {
        debug_assert_ne!(value, 0);
        let key = key.max(1);
        loop {
            let number = self.newest.load(Ordering::Acquire);
            let Some(level) = self.levels[number].open() else {
                return false;
            };
            for at in self.neighbourhood(number, key) {
                let claim = level[at].compare_exchange(0, key, Ordering::AcqRel, Ordering::Relaxed);
                if claim.is_ok() {
                    level[at + 1].store(value, Ordering::Release);
                    return true;
                }
            }
            if number + 1 == LEVELS || self.levels[number + 1].open().is_none() {
                return false;
            }
            self.newest.fetch_max(number + 1, Ordering::AcqRel);
        }
    }

    /// Bytes of address space of all levels.
    pub fn bytes(&self) -> usize {
        self.levels
            .iter()
            .filter_map(LazySlice::get)
            .map(size_of_val)
            .sum()
    }

    fn neighbourhood(&self, number: usize, key: u64) -> impl Iterator<Item = usize> + use<> {
        let mask = words(self.first_bits, number) / 2 - 1;
        let home = mix(key) as usize;
        (0..PROBES).map(move |step| 2 * (home.wrapping_add(step) & mask))
    }
}

/// Words of a level: a key and a value for each entry.
const fn words(first_bits: u32, number: usize) -> usize {
    2 << (first_bits as usize + 2 * number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_inserted_through_all_levels() {
        let index = Index::new(4);
        for key in 1..=5_000u64 {
            assert!(index.insert(key * 0x1_0001, key));
        }
        for key in 1..=5_000u64 {
            assert_eq!(index.find(key * 0x1_0001, |_| true), Some(key));
        }
        assert_eq!(index.find(3, |_| true), None);
        assert!(index.newest.load(Ordering::Relaxed) > 2);
    }

    #[test]
    fn keys_that_differ_in_a_few_bits_only_do_not_crowd() {
        for shift in [0, 8, 24, 40, 48] {
            let index = Index::new(13);
            for key in 1..=2_000u64 {
                assert!(index.insert(key << shift, key));
            }
            assert_eq!(
                index.newest.load(Ordering::Relaxed),
                0,
                "shifted by {shift}"
            );
        }
    }

    #[test]
    fn says_when_it_is_full() {
        let index = Index::new(0);
        let inserted = (1..10_000u64).filter(|&key| index.insert(key, key)).count();
        assert!(
            (1_000..=1 + 4 + 16 + 64 + 256 + 1024).contains(&inserted),
            "{inserted}"
        );
    }

    #[test]
    fn equal_keys_are_told_apart_by_the_caller() {
        let index = Index::new(4);
        index.insert(9, 1);
        index.insert(9, 2);
        assert_eq!(index.find(9, |value| value == 2), Some(2));
    }
}
