//! The presence filter: answers "was this block sampled?" with "certainly not" for nearly every block that was not.
//!
//! One byte for each of 65,536 hash values counts the sampled blocks that share it. A byte that ever reaches 255 stays
//! there: from then on its blocks are looked up for nothing, which costs time and is never wrong.

use core::sync::atomic::{AtomicU8, Ordering};

use crate::memory;

const PLACES: usize = 1 << 16;

pub struct Filter {
    counts: &'static [AtomicU8],
}

impl Filter {
    /// `None` if the system refuses the memory.
    pub fn new() -> Option<Filter> {
        Some(Filter {
            counts: memory::zeroed(PLACES)?,
        })
    }

    pub fn add(&self, address: usize) {
        self.update(address, |count| count.checked_add(1));
    }

    pub fn remove(&self, address: usize) {
        self.update(address, |count| {
            if count == u8::MAX {
                None
            } else {
                count.checked_sub(1)
            }
        });
    }

    #[inline]
    pub fn may_hold(&self, address: usize) -> bool {
        self.place(address).load(Ordering::Relaxed) != 0
    }

    fn update(&self, address: usize, change: impl FnMut(u8) -> Option<u8>) {
        let _ = self
            .place(address)
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    }

    #[inline]
    fn place(&self, address: usize) -> &AtomicU8 {
        let hash = (address as u64 >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
        &self.counts[hash as usize & (PLACES - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_denies_a_block_it_holds() {
        let filter = Filter::new().unwrap();
        let addresses: Vec<usize> = (1..2_000).map(|n| n * 80).collect();
        addresses.iter().for_each(|&address| filter.add(address));
        assert!(addresses.iter().all(|&address| filter.may_hold(address)));
        addresses.iter().for_each(|&address| filter.remove(address));
        assert!(!addresses.iter().any(|&address| filter.may_hold(address)));
    }

    #[test]
    fn an_overflowing_place_stays_marked() {
        let filter = Filter::new().unwrap();
        (0..300).for_each(|_| filter.add(64));
        (0..300).for_each(|_| filter.remove(64));
        assert!(filter.may_hold(64));
    }
}
