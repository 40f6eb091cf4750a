//! A set of serial numbers, of which the latest up to a given one is asked for.
//!
//! ```text
//! in the set       0   4   7           0 always is
//! latest up to 6       4
//! ```

use crate::lockfree::atomic::{AtomicU64, Ordering};

/// Numbers that it may hold: those below this.
pub const NUMBERS: usize = 1 << profiler_alloc_format::moments::SERIAL_BITS;
const BITS: usize = u64::BITS as usize;

pub struct SerialSet {
    words: [AtomicU64; NUMBERS / BITS],
}

impl SerialSet {
    pub const fn new() -> SerialSet {
        SerialSet {
            words: [const { AtomicU64::new(0) }; NUMBERS / BITS],
        }
    }

    pub fn insert(&self, number: u32) {
        if let Some((word, bit)) = self.place(number) {
            word.fetch_or(bit, Ordering::AcqRel);
        }
    }

    pub fn remove(&self, number: u32) {
        if let Some((word, bit)) = self.place(number) {
            word.fetch_and(!bit, Ordering::AcqRel);
        }
    }

    /// The highest number in the set that is not above `number`; 0 if there is none.
    pub fn latest(&self, number: u32) -> u32 {
        let number = (number as usize).min(NUMBERS - 1);
        let mut below = u64::MAX >> (BITS - 1 - number % BITS);
        for at in (0..=number / BITS).rev() {
            let found = self.words[at].load(Ordering::Acquire) & below;
            if found != 0 {
                return (at * BITS) as u32 + found.ilog2();
            }
            below = u64::MAX;
        }
        0
    }

    fn place(&self, number: u32) -> Option<(&AtomicU64, u64)> {
        let number = number as usize;
        Some((self.words.get(number / BITS)?, 1 << (number % BITS)))
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
            set.insert(number);
        }
        let latest = |number| set.latest(number);
        assert_eq!([0, 1, 62, 63, 64, 65].map(latest), [0, 1, 1, 63, 64, 64]);
        assert_eq!([699, 700, 2046, 2047].map(latest), [64, 700, 700, 2047]);
        set.remove(64);
        assert_eq!([64, 699].map(latest), [63, 63]);
        set.insert(NUMBERS as u32);
        assert_eq!(latest(u32::MAX), 2047);
    }
}
