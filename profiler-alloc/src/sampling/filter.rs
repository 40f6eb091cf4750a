//! The presence filter: answers "was this block sampled?" with "certainly not" for nearly every
//! block that was not.
//!
//! ```text
//! address   0x5555_0012_3450
//! near look ├─ bits 4..24, plus bits 24..44 ─▶ one byte. Neighbours in memory are neighbours
//!           │  here, so that the bytes of a busy megabyte of heap fit in 64 KiB of this table.
//! far look  └─ a hash of all bits ───────────▶ one byte more, looked at only where the first
//!              says "perhaps".
//! ```
//! Each byte counts the sampled blocks that share it, from 1 upwards, and each sampled block counts
//! in two bytes. A byte that reaches 255 stays there: from then on its blocks are looked up in
//! vain, which costs time and is never wrong. 0 says that there is no answer: the recording is
//! over, or takes every block, or this is a forked child, in which the kernel empties the filter.
//!
//! With `n` sampled blocks alive, a block that was not sampled is looked up in vain with
//! probability (2n / `PLACES`)² where that is small: 0.02 % at 8,192 blocks, 0.1 % at 16,384.

use crate::ffi::memory;
use crate::hash::spread_high;
use crate::lockfree::atomic::{AtomicU8, Ordering};
use crate::lockfree::static_ref::StaticRef;

const NO_ANSWER: u8 = 0;
const NO_BLOCK: u8 = 1;

/// Bytes of the filter of a recording.
pub const PLACES: usize = 1 << 20;

/// A filter of `SIZE` bytes, a power of two.
#[derive(Clone, Copy)]
pub struct Filter<const SIZE: usize = PLACES> {
    counts: StaticRef<[AtomicU8; SIZE]>,
}

impl<const SIZE: usize> Filter<SIZE> {
    /// Bits of the number of a place.
    const BITS: u32 = SIZE.trailing_zeros();
    /// log2 of the alignment of every block.
    const ALIGNED: u32 = 4;
    /// The top bits of `address * NEAR` are those above the alignment, with those above these added
    /// to them.
    const NEAR: u64 = {
        let low = 1 << (u64::BITS - Self::BITS - Self::ALIGNED);
        let high = 1 << (u64::BITS - 2 * Self::BITS - Self::ALIGNED);
        low + high
    };

    /// `None` if the system refuses the memory.
    pub fn new() -> Option<Self> {
        let filter = Self::closed()?;
        filter
            .counts
            .get()
            .iter()
            .for_each(|count| count.store(NO_BLOCK, Ordering::Relaxed));
        Some(filter)
    }

    /// One that never has an answer, for where nearly every block is sampled.
    pub fn closed() -> Option<Self> {
        let counts: &'static [AtomicU8] = memory::wiped_on_fork(SIZE)?;
        Some(Filter {
            counts: StaticRef::new(counts.try_into().ok()?),
        })
    }

    /// Has no answers from now on.
    pub fn close(&self) {
        self.counts
            .get()
            .iter()
            .for_each(|count| count.store(NO_ANSWER, Ordering::Relaxed));
    }

    /// False once it is closed, and in a forked child.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.counts.get()[0].load(Ordering::Relaxed) != NO_ANSWER
    }

    #[inline]
    pub fn add(&self, address: usize) {
        for place in self.places(address) {
            update(place, |count| match count {
                NO_ANSWER => None,
                count => count.checked_add(1),
            });
        }
    }

    pub fn remove(&self, address: usize) {
        for place in self.places(address) {
            update(place, |count| match count {
                NO_ANSWER | NO_BLOCK | u8::MAX => None,
                count => Some(count - 1),
            });
        }
    }

    /// True if the block at `address` was certainly not sampled.
    #[inline(always)]
    pub fn lacks(&self, address: usize) -> bool {
        is_empty(self.near(address)) || is_empty(self.far(address))
    }

    fn places(&self, address: usize) -> [&AtomicU8; 2] {
        [self.near(address), self.far(address)]
    }

    #[inline(always)]
    fn near(&self, address: usize) -> &AtomicU8 {
        self.place((address as u64).wrapping_mul(Self::NEAR))
    }

    fn far(&self, address: usize) -> &AtomicU8 {
        self.place(spread_high(address as u64 >> Self::ALIGNED))
    }

    /// The place that the top bits of `hash` name.
    #[inline(always)]
    fn place(&self, hash: u64) -> &AtomicU8 {
        // Shifted by 64 there would be no bits left to shift: a filter of one byte has one place.
        let number = hash.checked_shr(u64::BITS - Self::BITS).unwrap_or(0);
        &self.counts.get()[number as usize % SIZE]
    }
}

/// Where no recording is: it takes no memory, as nobody writes to it.
static NO_ANSWERS: [AtomicU8; PLACES] = [const { AtomicU8::new(NO_ANSWER) }; PLACES];

impl Filter {
    /// One that never has an answer.
    pub const NONE: Filter = Filter {
        counts: StaticRef::new(&NO_ANSWERS),
    };
}

#[inline(always)]
fn is_empty(place: &AtomicU8) -> bool {
    place.load(Ordering::Relaxed) == NO_BLOCK
}

fn update(place: &AtomicU8, change: impl FnMut(u8) -> Option<u8>) {
    let _ = place.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
}

#[cfg(test)]
mod tests {
    use super::*;

    type Small = Filter<65_536>;

    #[test]
    fn never_denies_a_block_it_holds() {
        let filter = Small::new().unwrap();
        let addresses: Vec<usize> = (1..2_000).map(|n| n * 80).collect();
        addresses.iter().for_each(|&address| filter.add(address));
        assert!(!addresses.iter().any(|&address| filter.lacks(address)));
        addresses.iter().for_each(|&address| filter.remove(address));
        assert!(addresses.iter().all(|&address| filter.lacks(address)));
    }

    /// The bound of the module's doc, with blocks side by side as allocators put them, in two
    /// arenas of 64 MiB.
    #[test]
    fn few_blocks_are_looked_up_in_vain() {
        let filter = Small::new().unwrap();
        let arenas = [0x5555_0000_0010, 0x7fff_f400_0b10];
        let addresses = |step: usize| {
            (0..65_536usize).map(move |n| arenas[n % 2] + n / 2 * 48 + 48 * step * (n % 2))
        };
        let held: Vec<usize> = addresses(0).step_by(64).collect();
        held.iter().for_each(|&address| filter.add(address));
        let asked = addresses(0).filter(|address| !held.contains(address));
        let in_vain = asked.filter(|&address| !filter.lacks(address)).count();
        // 1,024 blocks: (2 * 1,024 / 65,536)² of 64,512 is 63.
        assert!(in_vain < 126, "{in_vain}");
    }

    #[test]
    fn neighbours_in_memory_are_neighbours_here() {
        let filter = Small::new().unwrap();
        let base = filter.counts.get().as_ptr() as usize;
        let place = |address| (&raw const *filter.near(address)) as usize - base;
        let first = place(0x5555_0000_0010);
        for n in 0..1_000 {
            assert_eq!(place(0x5555_0000_0010 + 16 * n), (first + n) % 65_536);
        }
    }

    #[test]
    fn an_overflowing_place_stays_marked() {
        let filter = Small::new().unwrap();
        (0..300).for_each(|_| filter.add(64));
        (0..300).for_each(|_| filter.remove(64));
        assert!(!filter.lacks(64));
    }

    #[test]
    fn a_closed_one_denies_nothing_whatever_happens_to_it() {
        let was_open = Small::new().unwrap();
        assert!(was_open.is_open() && was_open.lacks(64));
        was_open.close();
        for filter in [was_open, Small::closed().unwrap()] {
            filter.add(64);
            filter.remove(64);
            filter.remove(128);
            assert!(!filter.is_open() && !filter.lacks(64) && !filter.lacks(128));
        }
    }
}
