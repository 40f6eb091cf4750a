//! A set of serial numbers, of which the latest up to a given one is asked for.
//!
//! ```text
//! in the set       0   4   7           0 always is
//! latest up to 6       4
//! ```

use crate::lockfree::atomic::{AtomicU64, Ordering};
use crate::lockfree::lazy_slice::LazySlice;

/// Numbers that it may hold: those below this.
pub const NUMBERS: usize = 1 << profiler_alloc_format::moments::SERIAL_BITS;
const BITS: usize = u64::BITS as usize;

/// Takes no memory before the first number.
pub struct SerialSet {
    words: LazySlice<AtomicU64>,
}

impl SerialSet {
    pub const fn new() -> SerialSet {
        SerialSet {
            words: LazySlice::new(NUMBERS / BITS),
        }
    }

    /// False if the system refuses memory, or the number is too high.
    pub fn insert(&self, number: u32) -> bool {
        let place = self.words.open().and_then(|_| self.place(number));
        if let Some((word, bit)) = place {
            word.fetch_or(bit, Ordering::AcqRel);
        }
        place.is_some()
    }

    pub fn remove(&self, number: u32) {
        if let Some((word, bit)) = self.place(number) {
            word.fetch_and(!bit, Ordering::AcqRel);
        }
    }

    /// The highest number in the set that is not above `number`; 0 if there is none.
    pub fn latest(&self, number: u32) -> u32 {
        let Some(words) = self.words.get() else {
            return 0;
        };
        let number = (number as usize).min(NUMBERS - 1);
        let mut below = u64::MAX >> (BITS - 1 - number % BITS);
        for at in (0..=number / BITS).rev() {
            let found = words[at].load(Ordering::Acquire) & below;
            if found != 0 {
                return (at * BITS) as u32 + found.ilog2();
            }
            below = u64::MAX;
        }
        0
    }

    fn place(&self, number: u32) -> Option<(&AtomicU64, u64)> {
        let number = number as usize;
        let word = self.words.get()?.get(number / BITS)?;
        Some((word, 1 << (number % BITS)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_number_up_to_another_is_found() {
        let set = SerialSet::new();
        assert_eq!(set.latest(NUMBERS as u32), 0);
        for number in [1, 63, 64, 700, NUMBERS as u32 - 1] {
            assert!(set.insert(number));
        }
        let latest = |number| set.latest(number);
        assert_eq!([0, 1, 62, 63, 64, 65].map(latest), [0, 1, 1, 63, 64, 64]);
        assert_eq!([699, 700, 2046, 2047].map(latest), [64, 700, 700, 2047]);
        set.remove(64);
        assert_eq!([64, 699].map(latest), [63, 63]);
        assert!(!set.insert(NUMBERS as u32));
        assert_eq!(latest(u32::MAX), 2047);
    }
}
