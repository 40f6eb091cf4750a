//! The sampled blocks that are still allocated: which stack allocated each, and with what weight.
//!
//! ```text
//! bucket   │ key 0 … key 7 │ word 0 … word 7 │   two cache lines, side by side
//! ```
//! Lock-free because of who may touch an address: only its owner, from the moment the inner
//! allocator hands it out until the moment it is given back. So a key is never inserted and looked
//! up at once. A block stands in the bucket of its neighbours in memory, or where that is full in
//! one of some others; when all are full in the newest level, the next level, four times as large,
//! is opened.
//!
//! Only [`thin`](LiveBlocks::thin) touches blocks of others. Whoever changes a key from a block's
//! to `CLAIMED` owns the entry, and the word that it swaps out is what was remembered, as last
//! thinned:
//!
//! ```text
//! insert  key 0 ─▶ CLAIMED, word ← w,     key ← block
//! remove  key block ─▶ CLAIMED, word w ─▶ 0, key ← 0    by the owner, or by `thin` in its stead
//! thin    word w ─▶ w'                                  fails if the owner has swapped it out
//! ```

use crate::hash::{mix, spread_high};
use crate::lockfree::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::lockfree::lazy_slice::LazySlice;
use crate::sampling::block::{Block, address_of};

const LEVELS: usize = 6;
const WAYS: usize = 8;
const BUCKET_WORDS: usize = 2 * WAYS;

/// Bytes from one of the C library's smallest blocks to the next.
const SMALLEST: usize = 32;
/// Bytes of memory whose blocks share a bucket, which has room for as many of the smallest.
const NEAR: usize = WAYS * SMALLEST;
const MEGABYTE: usize = 1 << 20;
/// Overflow buckets: those that are tried where the home bucket is full. With more, a level is
/// fuller before there is another, and a block that is in none of them costs more.
const OVERFLOW_BUCKETS: usize = 6;

/// Buckets of the first level in a recording.
pub const FIRST_BUCKETS: usize = 2048;
/// Level that is enough for 256 thousand blocks, in 4 MiB.
pub const MAX_LEVEL_BUDGETED: usize = 2;
/// The last level there is.
pub const MAX_LEVEL: usize = LEVELS - 1;

/// What [`LiveBlocks::thin`] is to do with a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Thinned {
    /// It stays as it is.
    Kept,
    /// It stays, and stands for more: as if sampled at this interval, in bytes.
    At(u64),
    /// It is untracked.
    Dropped,
}

/// The table of live sampled blocks.
pub struct LiveBlocks {
    levels: [Level; LEVELS],
    newest: AtomicUsize,
}

impl LiveBlocks {
    /// A table whose first level has `first_buckets`, a power of two.
    pub const fn new(first_buckets: usize) -> LiveBlocks {
        LiveBlocks {
            levels: [
                Level::new(first_buckets),
                Level::new(first_buckets << 2),
                Level::new(first_buckets << 4),
                Level::new(first_buckets << 6),
                Level::new(first_buckets << 8),
                Level::new(first_buckets << 10),
            ],
            newest: AtomicUsize::new(0),
        }
    }

    /// Remembers `block`. `false` if that would open a level above `limit`, or memory is refused.
    #[inline]
    pub fn insert(&self, block: Block, limit: usize) -> bool {
        let newest = self.newest.load(Ordering::Acquire);
        // Nearly always there is room near its neighbours.
        self.levels[newest].put_home(block) || self.insert_further(block, limit)
    }

    #[inline(never)]
    fn insert_further(&self, block: Block, limit: usize) -> bool {
        loop {
            let number = self.newest.load(Ordering::Acquire);
            let level = &self.levels[number];
            if level.open().is_none() {
                return false;
            }
            if level.put_home(block) || level.put_overflow(block) {
                return true;
            }
            if number >= limit.min(MAX_LEVEL) || self.levels[number + 1].open().is_none() {
                return false;
            }
            self.newest.fetch_max(number + 1, Ordering::AcqRel);
        }
    }

    /// Removes the block at `address` and returns it, if it was sampled.
    #[inline]
    pub fn remove(&self, address: usize) -> Option<Block> {
        let newest = self.newest.load(Ordering::Acquire);
        (self.levels[newest].take_home(address)).or_else(|| self.remove_further(address))
    }

    /// As [`remove`](Self::remove), where blocks of several owners may have one address: removes
    /// the one with this key.
    pub fn remove_key(&self, key: u64) -> Option<Block> {
        let address = address_of(key);
        let newest = self.newest.load(Ordering::Acquire);
        let levels = || self.levels[..=newest].iter().rev();
        let home = |level: &Level| take_if(level.bucket(home_bucket(address))?, key);
        levels()
            .find_map(home)
            .or_else(|| levels().find_map(|level| level.take_overflow_key(address, key)))
    }

    #[inline(never)]
    fn remove_further(&self, address: usize) -> Option<Block> {
        let newest = self.newest.load(Ordering::Acquire);
        let levels = || self.levels[..=newest].iter().rev();
        // Those that came before the newest level are many, those that found no room near others
        // are few.
        levels()
            .find_map(|level| level.take_home(address))
            .or_else(|| levels().find_map(|level| level.take_overflow(address)))
    }

    /// Has `decide` look at every block, and does what it says. `told` is called with each block
    /// that was changed, and what it is now, if it is not forgotten. Blocks that come or go
    /// meanwhile may be passed over. For one thread at a time.
    pub fn thin(
        &self,
        mut decide: impl FnMut(Block) -> Thinned,
        mut told: impl FnMut(Block, Option<Block>),
    ) {
        for level in &self.levels {
            for bucket in level.buckets() {
                for way in 0..WAYS {
                    thin_one(bucket, way, &mut decide, &mut told);
                }
            }
        }
    }

    /// Shows every block, the older levels first; neighbours in memory mostly one after the other.
    /// Blocks that come or go meanwhile may be passed over, or shown with another's size.
    pub fn each(&self, mut visit: impl FnMut(Block)) {
        for bucket in self.levels.iter().flat_map(Level::buckets) {
            for way in 0..WAYS {
                let key = bucket[way].load(Ordering::Acquire);
                let word = bucket[WAYS + way].load(Ordering::Relaxed);
                if key != FREE && key != CLAIMED && word != 0 {
                    visit(Block::of_words(key, word));
                }
            }
        }
    }

    /// Bytes of address space of all levels.
    pub fn bytes(&self) -> usize {
        self.levels.iter().map(Level::bytes).sum()
    }
}

/// One table of buckets.
struct Level {
    words: LazySlice<AtomicU64>,
    /// One bit for each bucket: a block that belongs there may be elsewhere. Most of those that
    /// were not sampled are not looked for any further then.
    overflowed: LazySlice<AtomicU64>,
    buckets: usize,
}

impl Level {
    const fn new(buckets: usize) -> Level {
        Level {
            words: LazySlice::new(buckets * BUCKET_WORDS),
            overflowed: LazySlice::new(buckets.div_ceil(BITS)),
            buckets,
        }
    }

    fn open(&self) -> Option<()> {
        self.overflowed.open()?;
        self.words.open()?;
        Some(())
    }

    fn bytes(&self) -> usize {
        let [words, overflowed] = [&self.words, &self.overflowed].map(LazySlice::get);
        words.map_or(0, size_of_val) + overflowed.map_or(0, size_of_val)
    }

    #[inline]
    fn put_home(&self, block: Block) -> bool {
        (self.bucket(home_bucket(block.address()))).is_some_and(|bucket| put(bucket, block))
    }

    fn put_overflow(&self, block: Block) -> bool {
        let address = block.address();
        let Some((word, bit)) = self.overflow(address) else {
            return false;
        };
        let is_kept = self
            .overflow_buckets(address)
            .any(|bucket| put(bucket, block));
        if is_kept && word.load(Ordering::Relaxed) & bit == 0 {
            // Whoever is to look for the block gets its address from this thread, later, and sees
            // this then.
            word.fetch_or(bit, Ordering::Relaxed);
        }
        is_kept
    }

    #[inline]
    fn take_home(&self, address: usize) -> Option<Block> {
        take(self.bucket(home_bucket(address))?, address)
    }

    fn take_overflow(&self, address: usize) -> Option<Block> {
        let (word, bit) = self.overflow(address)?;
        if word.load(Ordering::Relaxed) & bit == 0 {
            return None;
        }
        self.overflow_buckets(address)
            .find_map(|bucket| take(bucket, address))
    }

    fn take_overflow_key(&self, address: usize, key: u64) -> Option<Block> {
        let (word, bit) = self.overflow(address)?;
        if word.load(Ordering::Relaxed) & bit == 0 {
            return None;
        }
        self.overflow_buckets(address)
            .find_map(|bucket| take_if(bucket, key))
    }

    /// The overflow buckets of a block whose home bucket is full: many, as those of a dense heap
    /// are full at a low load of the whole.
    fn overflow_buckets(&self, address: usize) -> impl Iterator<Item = &Bucket> {
        // Independent of each other: in steps of one size they would often be all in one dense
        // part.
        let numbers =
            (0..OVERFLOW_BUCKETS.min(self.buckets)).map(move |times| mix((address + times) as u64));
        numbers.filter_map(|number| self.bucket(number as usize))
    }

    /// The bit of the bucket where a block at `address` belongs.
    fn overflow(&self, address: usize) -> Option<(&AtomicU64, u64)> {
        let number = home_bucket(address) & (self.buckets - 1);
        let word = self.overflowed.get()?.get(number / BITS)?;
        Some((word, 1 << (number % BITS)))
    }

    fn buckets(&self) -> &[Bucket] {
        self.words.get().map_or(&[], |words| words.as_chunks().0)
    }

    /// The bucket with that number, of which only the lower bits count.
    #[inline]
    fn bucket(&self, number: usize) -> Option<&Bucket> {
        let (buckets, _) = self.words.get()?.as_chunks();
        buckets.get(number & (buckets.len() - 1))
    }
}

const BITS: usize = u64::BITS as usize;

type Bucket = [AtomicU64; BUCKET_WORDS];

/// Number of the bucket of a block and its neighbours in memory. Buckets side by side belong to
/// neighbours, so that this table is in the processor's caches where the program's heap is. The
/// megabytes are shifted against each other.
#[inline]
fn home_bucket(address: usize) -> usize {
    let hash = (spread_high((address / MEGABYTE) as u64) >> 32) as usize;
    (address / NEAR).wrapping_add(hash)
}

/// The place in its bucket where a block is tried first: nearly always it is there.
#[inline]
fn first_way(address: usize) -> usize {
    address / SMALLEST % WAYS
}

/// A place that holds no block.
const FREE: u64 = 0;
/// A place whose block is just coming or going: no block's key, as none is at address 0.
const CLAIMED: u64 = 1;

/// Changes the key of a place from `from` to [`CLAIMED`]. False if it is another.
#[inline]
fn claim(key: &AtomicU64, from: u64) -> bool {
    key.load(Ordering::Relaxed) == from
        && key
            .compare_exchange(from, CLAIMED, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
}

/// Writes `block` to a free place of the bucket, if there is one.
#[inline]
fn put(bucket: &Bucket, block: Block) -> bool {
    let is_claimed = |way: &usize| claim(&bucket[*way], FREE);
    let first_way = first_way(block.address());
    let way = match is_claimed(&first_way) {
        true => Some(first_way),
        false => (0..WAYS).find(is_claimed),
    };
    let Some(way) = way else {
        return false;
    };
    bucket[WAYS + way].store(block.word(), Ordering::Relaxed);
    bucket[way].store(block.key(), Ordering::Release);
    true
}

/// Takes the block at `address` out of the bucket, if it is there.
#[inline]
fn take(bucket: &Bucket, address: usize) -> Option<Block> {
    // Read once: by the next look, the block may be another's to take.
    let found = |way: usize| {
        let key = bucket[way].load(Ordering::Relaxed);
        (address_of(key) == address).then_some((way, key))
    };
    let (way, key) = found(first_way(address)).or_else(|| (0..WAYS).find_map(found))?;
    take_key(bucket, way, key)
}

/// Takes the block with that key out of the bucket, if it is there.
fn take_if(bucket: &Bucket, key: u64) -> Option<Block> {
    let mut ways = 0..WAYS;
    let way = ways.find(|&way| bucket[way].load(Ordering::Relaxed) == key)?;
    take_key(bucket, way, key)
}

/// Takes the block with that key out of its place. `None` if another has.
#[inline]
fn take_key(bucket: &Bucket, way: usize, key: u64) -> Option<Block> {
    if !claim(&bucket[way], key) {
        return None;
    }
    let word = bucket[WAYS + way].swap(FREE, Ordering::Relaxed);
    bucket[way].store(FREE, Ordering::Release);
    Some(Block::of_words(key, word))
}

fn thin_one(
    bucket: &Bucket,
    way: usize,
    decide: &mut impl FnMut(Block) -> Thinned,
    told: &mut impl FnMut(Block, Option<Block>),
) {
    let key = bucket[way].load(Ordering::Acquire);
    let word = bucket[WAYS + way].load(Ordering::Relaxed);
    if key <= CLAIMED || word == FREE {
        return;
    }
    // By now another block may stand here: then the word is that block's, and is judged by what it
    // says itself, or its key is another, and it stays.
    let block = Block::of_words(key, word);
    match decide(block) {
        Thinned::Kept => {}
        Thinned::At(interval) => {
            let thinned = block.at_interval(interval);
            let is_changed = bucket[WAYS + way]
                .compare_exchange(word, thinned.word(), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
            if is_changed {
                told(block, Some(thinned));
            }
        }
        Thinned::Dropped => {
            if let Some(dropped) = take_key(bucket, way, key) {
                told(dropped, None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(address: usize) -> Block {
        Block::new(address, address as u64 % 1000 + 1, 2, 3, 4).unwrap()
    }

    #[test]
    fn an_address_that_is_no_blocks_is_not_taken_for_one() {
        let high = 1 << 48 | 64;
        let live = LiveBlocks::new(1);
        assert!(live.insert(block(64), MAX_LEVEL));
        assert_eq!(live.remove(high), None);
        assert_eq!(live.remove(64), Some(block(64)));
    }

    #[test]
    fn remembers_and_forgets_through_all_levels() {
        let live = LiveBlocks::new(FIRST_BUCKETS);
        for n in 1..=100_000usize {
            assert!(live.insert(block(n * 16), MAX_LEVEL));
        }
        for n in 1..=100_000usize {
            assert_eq!(live.remove(n * 16), Some(block(n * 16)));
            assert_eq!(live.remove(n * 16), None);
        }
    }

    #[test]
    fn a_block_is_looked_for_elsewhere_only_if_one_of_its_neighbours_is_elsewhere() {
        let live = LiveBlocks::new(64);
        let is_overflowed = |address: usize| {
            let (word, bit) = live.levels[0].overflow(address).unwrap();
            word.load(Ordering::Relaxed) & bit != 0
        };
        for n in 0..WAYS {
            assert!(live.insert(block(NEAR + n * SMALLEST), 0));
        }
        assert!(!is_overflowed(NEAR));
        assert!(live.insert(block(NEAR + 8), 0));
        assert!(is_overflowed(NEAR) && is_overflowed(2 * NEAR - 1));
        assert!(!is_overflowed(2 * NEAR) && !is_overflowed(NEAR - 1));
        assert_eq!(live.remove(NEAR + 8), Some(block(NEAR + 8)));
        assert_eq!(live.remove(NEAR + 16), None);
    }

    #[test]
    fn levels_are_a_third_full_before_the_next_is_opened_however_dense_the_heap() {
        // What allocators put side by side, and a page or a megabyte apart.
        for spacing in [8, 16, 24, 32, 48, 64, 4096, 1 << 20] {
            let live = LiveBlocks::new(FIRST_BUCKETS);
            let room = WAYS * FIRST_BUCKETS * (1 + 4 + 16);
            for n in 1..=room / 3 {
                assert!(live.insert(block(0x5555_0000_0000 + n * spacing), MAX_LEVEL));
            }
            let newest = live.newest.load(Ordering::Relaxed);
            assert!(newest <= 2, "{spacing} apart: {newest}");
        }
    }

    #[test]
    fn stays_within_its_limit() {
        let live = LiveBlocks::new(FIRST_BUCKETS);
        let kept = (1..=400_000usize)
            .filter(|n| live.insert(block(n * 48), 1))
            .count();
        assert!((65_000..=81_920).contains(&kept), "{kept}");
        assert!(live.bytes() < 1400 << 10);
        let found = (1..=400_000usize).filter(|n| live.remove(n * 48).is_some());
        assert_eq!(found.count(), kept);
    }

    #[test]
    fn thinning_drops_some_and_says_what_the_others_stand_for() {
        let live = LiveBlocks::new(FIRST_BUCKETS);
        for n in 1..=20_000usize {
            assert!(live.insert(block(n * 48), MAX_LEVEL));
        }
        let decide = |block: Block| match block.address() / 48 % 3 {
            0 => Thinned::Dropped,
            1 => Thinned::At(4096),
            _ => Thinned::Kept,
        };
        let mut changes = 0;
        live.thin(decide, |before, after| {
            assert_eq!(before, block(before.address()));
            let expected = before.at_interval(4096);
            assert_eq!(after.is_some(), before.address() / 48 % 3 == 1);
            assert!(after.is_none_or(|after| after == expected));
            changes += 1;
        });
        assert_eq!(changes, 20_000 / 3 * 2 + 1);
        for n in 1..=20_000usize {
            let before = block(n * 48);
            let expected = match n % 3 {
                0 => None,
                1 => Some(before.at_interval(4096)),
                _ => Some(before),
            };
            assert_eq!(live.remove(n * 48), expected);
            assert!(expected.is_none_or(|block| block.size() == before.size()));
        }
    }

    #[test]
    fn freed_places_are_used_again() {
        let live = LiveBlocks::new(FIRST_BUCKETS);
        for n in 0..1_000_000usize {
            assert!(live.insert(block(64 + n * 32), 0));
            assert!(live.remove(64 + n * 32).is_some());
        }
        assert_eq!(live.newest.load(Ordering::Relaxed), 0);
    }
}
