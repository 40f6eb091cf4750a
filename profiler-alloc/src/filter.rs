//! The presence filter: answers "was this block sampled?" with "certainly not" for nearly every block that was not.
//!
//! One byte for each of 65,536 hash values counts the sampled blocks that share it, from 1 upwards. A byte that ever reaches
//! 255 stays there: from then on its blocks are looked up for nothing, which costs time and is never wrong. 0 says that there
//! is no answer here: the recording is over, or takes every block, or this is a forked child, in which the kernel empties
//! the filter.

use crate::memory;
use crate::sync::{AtomicU8, Ordering};

const NO_ANSWER: u8 = 0;
const NO_BLOCK: u8 = 1;

/// A filter of `PLACES` bytes, a power of two.
#[derive(Clone, Copy)]
pub struct Filter<const PLACES: usize = 65_536> {
    counts: &'static [AtomicU8; PLACES],
}

impl<const PLACES: usize> Filter<PLACES> {
    /// `None` if the system refuses the memory.
    pub fn new() -> Option<Self> {
        let filter = Self::closed()?;
        filter
            .counts
            .iter()
            .for_each(|count| count.store(NO_BLOCK, Ordering::Relaxed));
        Some(filter)
    }

    /// One that never has an answer, for where nearly every block is sampled.
    pub fn closed() -> Option<Self> {
        let counts: &'static [AtomicU8] = memory::wiped_on_fork(PLACES)?;
        Some(Filter {
            counts: counts.try_into().ok()?,
        })
    }

    /// Has no answers from now on.
    pub fn close(&self) {
        self.counts
            .iter()
            .for_each(|count| count.store(NO_ANSWER, Ordering::Relaxed));
    }

    /// False once it is closed, and in a forked child.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.counts[0].load(Ordering::Relaxed) != NO_ANSWER
    }

    #[inline]
    pub fn add(&self, address: usize) {
        self.update(address, |count| match count {
            NO_ANSWER => None,
            count => count.checked_add(1),
        });
    }

    pub fn remove(&self, address: usize) {
        self.update(address, |count| match count {
            NO_ANSWER | NO_BLOCK | u8::MAX => None,
            count => Some(count - 1),
        });
    }

    /// True if the block at `address` was certainly not sampled.
    #[inline]
    pub fn lacks(&self, address: usize) -> bool {
        self.place(address).load(Ordering::Relaxed) == NO_BLOCK
    }

    fn update(&self, address: usize, change: impl FnMut(u8) -> Option<u8>) {
        let _ = self
            .place(address)
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    }

    #[inline]
    fn place(&self, address: usize) -> &AtomicU8 {
        let hash = (address as u64 >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
        &self.counts[hash as usize % PLACES]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_denies_a_block_it_holds() {
        let filter = <Filter>::new().unwrap();
        let addresses: Vec<usize> = (1..2_000).map(|n| n * 80).collect();
        addresses.iter().for_each(|&address| filter.add(address));
        assert!(!addresses.iter().any(|&address| filter.lacks(address)));
        addresses.iter().for_each(|&address| filter.remove(address));
        assert!(addresses.iter().all(|&address| filter.lacks(address)));
    }

    #[test]
    fn an_overflowing_place_stays_marked() {
        let filter = <Filter>::new().unwrap();
        (0..300).for_each(|_| filter.add(64));
        (0..300).for_each(|_| filter.remove(64));
        assert!(!filter.lacks(64));
    }

    #[test]
    fn a_closed_one_denies_nothing_whatever_happens_to_it() {
        let was_open = <Filter>::new().unwrap();
        assert!(was_open.is_open() && was_open.lacks(64));
        was_open.close();
        for filter in [was_open, <Filter>::closed().unwrap()] {
            filter.add(64);
            filter.remove(64);
            filter.remove(128);
            assert!(!filter.is_open() && !filter.lacks(64) && !filter.lacks(128));
        }
    }
}
