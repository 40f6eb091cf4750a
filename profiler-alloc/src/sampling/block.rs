//! What is stored of a sampled block while it lives, in two words.
//!
//! ```text
//! key   │ address: 48 bits │ thread: 16 │
//! word  │ size: 29 bits │ birth: 11 │ interval: 6 │ stack: 18 │
//! ```
//! How a size of up to 2 TiB stands in 29 bits, `large_sizes` says. The birth is the
//! [generation](profiler_alloc_format::moments) in which the block was allocated.

use profiler_alloc_format::moments::SERIAL_BITS;

use crate::sampling::large_sizes::{self, decode, encode};

const _: () = assert!(SIZE_AT + large_sizes::BITS == u64::BITS);

const THREAD_BITS: u32 = 16;
const STACK_BITS: u32 = 18;
const INTERVAL_BITS: u32 = 6;
const BIRTH_AT: u32 = STACK_BITS + INTERVAL_BITS;
const BIRTH: u64 = (1 << SERIAL_BITS) - 1;
const SIZE_AT: u32 = BIRTH_AT + SERIAL_BITS;
/// An interval that is no power of two.
const OTHER_INTERVAL: u64 = (1 << INTERVAL_BITS) - 1;

/// A sampled block, as two words of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block {
    key: u64,
    word: u64,
}

impl Block {
    /// A block of `size` bytes at `address`, allocated by the thread in slot `thread` on stack
    /// `stack`, sampled at `interval` bytes; 0 is exact. `None` of
    /// one that is larger than 2 TiB, or where systems give no memory unasked. Born in generation 0
    /// until [`born`](Self::born) says another.
    #[inline]
    pub fn new(address: usize, size: u64, stack: u32, interval: u64, thread: u32) -> Option<Block> {
        let interval = interval_bits(interval);
        let fits = address as u64 >> (u64::BITS - THREAD_BITS) == 0
            && thread < 1 << THREAD_BITS
            && stack < 1 << STACK_BITS;
        let size = encode(size)?;
        fits.then_some(Block {
            key: (address as u64) << THREAD_BITS | u64::from(thread),
            word: size << SIZE_AT | interval << STACK_BITS | u64::from(stack),
        })
    }

    #[inline]
    pub fn address(self) -> usize {
        address_of(self.key)
    }

    /// The key of a block at `address` whose owner has that number; `None` if there is no such
    /// block.
    #[inline]
    pub fn key_of(address: usize, owner: u32) -> Option<u64> {
        Block::new(address, 0, 0, 0, owner).map(Block::key)
    }

    /// The block of these two words.
    #[inline]
    pub fn of_words(key: u64, word: u64) -> Block {
        Block { key, word }
    }

    /// Where it is, and whose it was: of all live blocks, this one.
    #[inline]
    pub fn key(self) -> u64 {
        self.key
    }

    /// The word beside the key; never 0, as no block is empty.
    #[inline]
    pub fn word(self) -> u64 {
        self.word
    }

    /// Bytes asked for.
    #[inline]
    pub fn size(self) -> u64 {
        decode(self.word >> SIZE_AT)
    }

    /// The generation it was born in.
    #[inline]
    pub fn birth(self) -> u32 {
        (self.word >> BIRTH_AT & BIRTH) as u32
    }

    /// The same block, born in that generation.
    #[inline]
    pub fn born(self, birth: u32) -> Block {
        let others = !(BIRTH << BIRTH_AT);
        Block {
            word: self.word & others | (u64::from(birth) & BIRTH) << BIRTH_AT,
            ..self
        }
    }

    /// Number of the stack that allocated it.
    #[inline]
    pub fn stack(self) -> u32 {
        self.word as u32 & ((1 << STACK_BITS) - 1)
    }

    /// The same block, as if it had been sampled at an interval of `interval` bytes.
    #[inline]
    pub fn at_interval(self, interval: u64) -> Block {
        let others = !(OTHER_INTERVAL << STACK_BITS);
        Block {
            word: self.word & others | interval_bits(interval) << STACK_BITS,
            ..self
        }
    }

    /// Sampling interval that held then, in bytes; 0 is exact. `None` for one that is no power
    /// of two: only what a user asks for is that, and it is the same for the whole recording.
    #[inline]
    pub fn interval(self) -> Option<u64> {
        match self.word >> STACK_BITS & OTHER_INTERVAL {
            0 => Some(0),
            OTHER_INTERVAL => None,
            power => Some(1 << (power - 1)),
        }
    }
}

/// What stands for an interval in a block's word.
#[inline]
fn interval_bits(interval: u64) -> u64 {
    match interval {
        0 => 0,
        power if power.is_power_of_two() => u64::from(power.trailing_zeros()) + 1,
        _ => OTHER_INTERVAL,
    }
}

/// The address of the block with that key.
#[inline]
pub fn address_of(key: u64) -> usize {
    (key >> THREAD_BITS) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_says_what_it_was_made_of() {
        let most = |bits: u32| (1u64 << bits) - 1;
        let (size, stack, thread) = (most(41), most(18) as u32, most(16) as u32);
        for (address, size, stack, thread) in
            [(5, 6, 7, 8), (most(48) as usize, size, stack, thread)]
        {
            let at = |interval| Block::new(address, size, stack, interval, thread).unwrap();
            for power in 0..32 {
                assert_eq!(at(1 << power).interval(), Some(1 << power));
            }
            for interval in [0, 3, u64::from(u32::MAX)] {
                let block = at(interval);
                assert_eq!(block.interval(), (interval == 0).then_some(0));
                assert_eq!((block.size(), block.stack()), (size, stack));
                assert_eq!(block.address(), address);
            }
            let born = at(0).born(2046);
            assert_eq!(
                (born.birth(), born.born(3).birth(), at(0).birth()),
                (2046, 3, 0)
            );
            assert_eq!(
                (born.size(), born.stack(), born.interval()),
                (size, stack, Some(0))
            );
            assert_eq!(born.at_interval(64).birth(), 2046);
            let other = Block::new(address, size, stack, 0, thread - 1).unwrap();
            assert_ne!(other.key(), at(0).key());
        }
    }

    #[test]
    fn what_does_not_fit_is_no_block() {
        assert_eq!(Block::new(1 << 48 | 64, 1, 1, 0, 1), None);
        assert_eq!(Block::new(64, 1 << 41, 1, 0, 1), None);
        assert_eq!(Block::new(64, 1, 1 << 18, 0, 1), None);
        assert_eq!(Block::new(64, 1, 1, 0, 1 << 16), None);
    }
}
