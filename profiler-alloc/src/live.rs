//! The sampled blocks that are still allocated: which stack took each, and with what weight.
//!
//! ```text
//! bucket (256 bytes)   │ key 0 … key 7 │ words of block 0 │ … │ words of block 7 │
//!                        one cache line  3 words each
//! ```
//! Lock-free because of who may touch an address: only its owner, from the moment the inner allocator hands it out until
//! the moment it is given back. So a key is never inserted and looked up at once, and removal is one store. A block may
//! stand in either of two buckets of any level; when both are full in the newest level, the next level, four times as
//! large, is opened.

use crate::lazy_slice::LazySlice;
use crate::sync::{AtomicU64, AtomicUsize, Ordering};

const LEVELS: usize = 7;
const WAYS: usize = 8;
const BLOCK_WORDS: usize = 3;
const BUCKET_WORDS: usize = WAYS * (1 + BLOCK_WORDS);

/// Buckets of the first level in a recording.
pub const FIRST_BUCKETS: usize = 512;
/// Level that is enough for 256 thousand blocks, in 8 MiB.
pub const MODEST: usize = 3;
/// The last level there is.
pub const LARGEST: usize = LEVELS - 1;

/// What is remembered of a sampled block.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Block {
    /// Bytes asked for.
    pub size: u64,
    /// Number of the stack that took it.
    pub stack: u32,
    /// Sampling interval that was in force; 0 is exact.
    pub interval: u32,
    /// Number of the thread record that took it.
    pub thread: u32,
    /// That thread's sample number.
    pub sequence: u32,
}

impl Block {
    fn to_words(self) -> [u64; BLOCK_WORDS] {
        [
            self.size,
            u64::from(self.stack) << 32 | u64::from(self.interval),
            u64::from(self.thread) << 32 | u64::from(self.sequence),
        ]
    }

    fn from_words(words: [u64; BLOCK_WORDS]) -> Block {
        Block {
            size: words[0],
            stack: (words[1] >> 32) as u32,
            interval: words[1] as u32,
            thread: (words[2] >> 32) as u32,
            sequence: words[2] as u32,
        }
    }
}

/// The table of live sampled blocks.
pub struct LiveBlocks {
    levels: [LazySlice<AtomicU64>; LEVELS],
    newest: AtomicUsize,
}

impl LiveBlocks {
    /// A table whose first level has `first_buckets`, a power of two.
    pub const fn new(first_buckets: usize) -> LiveBlocks {
        LiveBlocks {
            levels: [
                LazySlice::new(words(first_buckets, 0)),
                LazySlice::new(words(first_buckets, 1)),
                LazySlice::new(words(first_buckets, 2)),
                LazySlice::new(words(first_buckets, 3)),
                LazySlice::new(words(first_buckets, 4)),
                LazySlice::new(words(first_buckets, 5)),
                LazySlice::new(words(first_buckets, 6)),
            ],
            newest: AtomicUsize::new(0),
        }
    }

    /// Remembers `block` at `address`. `false` if that would open a level above `limit`, or memory is refused.
    pub fn insert(&self, address: usize, block: Block, limit: usize) -> bool {
        loop {
            let number = self.newest.load(Ordering::Acquire);
            let Some(level) = self.levels[number].open() else {
                return false;
            };
            for bucket in buckets(level, address) {
                let claim = |key: &AtomicU64| {
                    let claimed = key.compare_exchange(
                        0,
                        address as u64,
                        Ordering::Acquire,
                        Ordering::Relaxed,
                    );
                    claimed.is_ok()
                };
                let is_free = |key: &AtomicU64| key.load(Ordering::Relaxed) == 0 && claim(key);
                if let Some(way) = bucket[..WAYS].iter().position(is_free) {
                    let at = WAYS + way * BLOCK_WORDS;
                    for (cell, word) in bucket[at..].iter().zip(block.to_words()) {
                        cell.store(word, Ordering::Relaxed);
                    }
                    return true;
                }
            }
            if number >= limit.min(LARGEST) || self.levels[number + 1].open().is_none() {
                return false;
            }
            self.newest.fetch_max(number + 1, Ordering::AcqRel);
        }
    }

    /// Forgets the block at `address` and gives what was remembered, if it was sampled.
    pub fn remove(&self, address: usize) -> Option<Block> {
        for number in (0..=self.newest.load(Ordering::Acquire)).rev() {
            let Some(level) = self.levels[number].get() else {
                continue;
            };
            for bucket in buckets(level, address) {
                let is_it = |key: &AtomicU64| key.load(Ordering::Relaxed) == address as u64;
                if let Some(way) = bucket[..WAYS].iter().position(is_it) {
                    let at = WAYS + way * BLOCK_WORDS;
                    let words = core::array::from_fn(|i| bucket[at + i].load(Ordering::Relaxed));
                    bucket[way].store(0, Ordering::Release);
                    return Some(Block::from_words(words));
                }
            }
        }
        None
    }

    /// Bytes of address space of all levels.
    pub fn bytes(&self) -> usize {
        self.levels
            .iter()
            .filter_map(LazySlice::get)
            .map(size_of_val)
            .sum()
    }
}

const fn words(first_buckets: usize, number: usize) -> usize {
    (first_buckets << (2 * number)) * BUCKET_WORDS
}

fn buckets(
    level: &'static [AtomicU64],
    address: usize,
) -> impl Iterator<Item = &'static [AtomicU64; BUCKET_WORDS]> {
    let (buckets, _) = level.as_chunks::<BUCKET_WORDS>();
    let mixed = (address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    [40, 16].into_iter().map(move |shift| {
        let hash = (mixed >> shift) as usize;
        &buckets[hash & (buckets.len() - 1)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(n: u64) -> Block {
        Block {
            size: n,
            stack: n as u32 + 1,
            interval: 2,
            thread: 3,
            sequence: 4,
        }
    }

    #[test]
    fn remembers_and_forgets_through_all_levels() {
        let live = LiveBlocks::new(FIRST_BUCKETS);
        for n in 1..=100_000usize {
            assert!(live.insert(n * 16, block(n as u64), LARGEST));
        }
        for n in 1..=100_000usize {
            assert_eq!(live.remove(n * 16), Some(block(n as u64)));
            assert_eq!(live.remove(n * 16), None);
        }
    }

    #[test]
    fn stays_within_its_limit() {
        let live = LiveBlocks::new(FIRST_BUCKETS);
        let kept = (1..=100_000usize)
            .filter(|n| live.insert(n * 48, block(0), 1))
            .count();
        assert!((10_000..20_480).contains(&kept), "{kept}");
        assert!(live.bytes() < 700 << 10);
    }

    #[test]
    fn freed_places_are_used_again() {
        let live = LiveBlocks::new(FIRST_BUCKETS);
        for n in 0..1_000_000usize {
            assert!(live.insert(64 + n * 32, block(0), 0));
            assert!(live.remove(64 + n * 32).is_some());
        }
        assert_eq!(live.newest.load(Ordering::Relaxed), 0);
    }
}
