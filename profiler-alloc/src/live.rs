//! The sampled blocks that are still allocated: which stack took each, and with what weight.
//!
//! ```text
//! bucket (256 bytes)   │ key 0 … key 7 │ words of block 0 │ … │ words of block 7 │
//!                        one cache line  3 words each
//! ```
//! Lock-free because of who may touch an address: only its owner, from the moment the inner allocator hands it out until
//! the moment it is given back. So a key is never inserted and looked up at once, and removal is one store. A block stands
//! in the bucket of its neighbours in memory, or where that is full in one of some others; when all are full in the newest
//! level, the next level, four times as large, is opened.

use crate::index::mix;
use crate::lazy_slice::LazySlice;
use crate::sync::{AtomicU64, AtomicUsize, Ordering};

const LEVELS: usize = 7;
const WAYS: usize = 8;
const BLOCK_WORDS: usize = 3;
const BUCKET_WORDS: usize = WAYS * (1 + BLOCK_WORDS);

/// Bytes of memory whose blocks share a bucket: as many of the C library's smallest, of 32 bytes, as one has room for.
const NEAR: usize = WAYS * 32;
const MEGABYTE: usize = 1 << 20;
/// Buckets that are tried where the near one is full.
const FAR: usize = 8;

/// Buckets of the first level in a recording.
pub const FIRST_BUCKETS: usize = 512;
/// Level that is enough for 256 thousand blocks, in 8 MiB.
pub const MODEST: usize = 3;
/// The last level there is.
pub const LARGEST: usize = LEVELS - 1;

/// What is remembered of a sampled block, in the words of the table: nothing has to be taken apart to be handed on.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Block {
    /// Bytes asked for.
    pub size: u64,
    /// Number of the stack that took it, and the sampling interval that was in force.
    taker: u64,
    sample: Sample,
}

/// One sample: the number of a thread's record, and that thread's own number of the sample, which wraps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample(u64);

impl Sample {
    #[inline]
    pub fn new(thread: u32, sequence: u32) -> Sample {
        Sample(u64::from(thread) << 32 | u64::from(sequence))
    }
}

impl Block {
    /// A block of `size` bytes that the stack with this number took, at a sampling interval of so many bytes; 0 is exact.
    #[inline]
    pub fn new(size: u64, stack: u32, interval: u32, sample: Sample) -> Block {
        let taker = u64::from(stack) << 32 | u64::from(interval);
        Block {
            size,
            taker,
            sample,
        }
    }

    /// Number of the stack that took it.
    #[inline]
    pub fn stack(self) -> u32 {
        (self.taker >> 32) as u32
    }

    /// Sampling interval that was in force, in bytes; 0 is exact.
    #[inline]
    pub fn interval(self) -> u64 {
        u64::from(self.taker as u32)
    }

    /// The sample that it was.
    #[inline]
    pub fn sample(self) -> Sample {
        self.sample
    }

    #[inline]
    fn to_words(self) -> [u64; BLOCK_WORDS] {
        [self.size, self.taker, self.sample.0]
    }

    #[inline]
    fn from_words([size, taker, sample]: [u64; BLOCK_WORDS]) -> Block {
        Block {
            size,
            taker,
            sample: Sample(sample),
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
    #[inline]
    pub fn insert(&self, address: usize, block: Block, limit: usize) -> bool {
        let newest = self.newest.load(Ordering::Acquire);
        let level = self.levels[newest].get();
        // Nearly always there is room near its neighbours.
        let is_kept = level.is_some_and(|level| put(near(level, address), address, block));
        is_kept || self.insert_further(address, block, limit)
    }

    #[inline(never)]
    fn insert_further(&self, address: usize, block: Block, limit: usize) -> bool {
        loop {
            let number = self.newest.load(Ordering::Acquire);
            let Some(level) = self.levels[number].open() else {
                return false;
            };
            if put(near(level, address), address, block)
                || far(level, address).any(|bucket| put(bucket, address, block))
            {
                return true;
            }
            if number >= limit.min(LARGEST) || self.levels[number + 1].open().is_none() {
                return false;
            }
            self.newest.fetch_max(number + 1, Ordering::AcqRel);
        }
    }

    /// Forgets the block at `address` and gives what was remembered, if it was sampled.
    #[inline]
    pub fn remove(&self, address: usize) -> Option<Block> {
        let newest = self.newest.load(Ordering::Acquire);
        let level = self.levels[newest].get()?;
        take(near(level, address), address).or_else(|| self.remove_further(address))
    }

    #[inline(never)]
    fn remove_further(&self, address: usize) -> Option<Block> {
        let newest = self.newest.load(Ordering::Acquire);
        let levels = || {
            let levels = self.levels[..=newest].iter().rev();
            levels.filter_map(LazySlice::get)
        };
        // Those that came before the newest level are many, those that found no room near others are few.
        let near = |level| take(near(level, address), address);
        let far = |level| far(level, address).find_map(|bucket| take(bucket, address));
        levels().find_map(near).or_else(|| levels().find_map(far))
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

type Bucket = [AtomicU64; BUCKET_WORDS];

/// The bucket of a block and its neighbours in memory. Buckets side by side belong to neighbours, so that this table is in
/// the processor's caches where the program's heap is. The megabytes are shifted against each other.
#[inline]
fn near(level: &[AtomicU64], address: usize) -> &Bucket {
    let hash = (address / MEGABYTE).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    bucket(level, (address / NEAR).wrapping_add(hash))
}

/// The buckets for a block whose near one is full: many, as those of a dense heap are full at a low load of the whole.
fn far(level: &[AtomicU64], address: usize) -> impl Iterator<Item = &Bucket> {
    let count = FAR.min(level.len() / BUCKET_WORDS);
    // Independent of each other: in steps of one size they would often be all in one dense part.
    (0..count).map(move |times| bucket(level, mix((address + times) as u64) as usize))
}

#[inline]
fn bucket(level: &[AtomicU64], number: usize) -> &Bucket {
    let (buckets, _) = level.as_chunks();
    &buckets[number & (buckets.len() - 1)]
}

/// Writes `block` to a free place of the bucket, if there is one.
#[inline]
fn put(bucket: &Bucket, address: usize, block: Block) -> bool {
    let is_claimed = |key: &AtomicU64| {
        let (free, address) = (0, address as u64);
        key.load(Ordering::Relaxed) == free
            && key
                .compare_exchange(free, address, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
    };
    let Some(way) = bucket[..WAYS].iter().position(is_claimed) else {
        return false;
    };
    let at = WAYS + way * BLOCK_WORDS;
    for (cell, word) in bucket[at..].iter().zip(block.to_words()) {
        cell.store(word, Ordering::Relaxed);
    }
    true
}

/// Takes the block at `address` out of the bucket, if it is there.
#[inline]
fn take(bucket: &Bucket, address: usize) -> Option<Block> {
    let is_it = |key: &AtomicU64| key.load(Ordering::Relaxed) == address as u64;
    let way = bucket[..WAYS].iter().position(is_it)?;
    let at = WAYS + way * BLOCK_WORDS;
    let words = core::array::from_fn(|word| bucket[at + word].load(Ordering::Relaxed));
    bucket[way].store(0, Ordering::Release);
    Some(Block::from_words(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(n: u64) -> Block {
        Block::new(n, n as u32 + 1, 2, Sample::new(3, 4))
    }

    #[test]
    fn a_block_says_what_it_was_made_of() {
        let block = Block::from_words(Block::new(5, 6, u32::MAX, Sample::new(8, 9)).to_words());
        assert_eq!((block.size, block.stack()), (5, 6));
        assert_eq!(block.interval(), u64::from(u32::MAX));
        assert_eq!(block.sample(), Sample::new(8, 9));
        assert_ne!(block.sample(), Sample::new(9, 8));
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
    fn a_level_is_half_full_before_the_next_is_opened_however_dense_the_heap() {
        // What allocators put side by side, and a page or a megabyte apart.
        for spacing in [8, 16, 24, 32, 48, 64, 4096, 1 << 20] {
            let live = LiveBlocks::new(FIRST_BUCKETS);
            let room = 8 * FIRST_BUCKETS * (1 + 4 + 16);
            for n in 1..=room / 2 {
                let address = 0x5555_0000_0000 + n * spacing;
                assert!(live.insert(address, block(0), LARGEST));
            }
            let newest = live.newest.load(Ordering::Relaxed);
            assert!(newest <= 2, "{spacing} apart: {newest}");
        }
    }

    #[test]
    fn stays_within_its_limit() {
        let live = LiveBlocks::new(FIRST_BUCKETS);
        let kept = (1..=100_000usize)
            .filter(|n| live.insert(n * 48, block(0), 1))
            .count();
        assert!((16_000..=20_480).contains(&kept), "{kept}");
        assert!(live.bytes() < 700 << 10);
        let found = (1..=100_000usize).filter(|n| live.remove(n * 48).is_some());
        assert_eq!(found.count(), kept);
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
