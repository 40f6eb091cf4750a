//! The sampled blocks that are still allocated, behind the filter that rules out nearly all
//! others.

use crate::lockfree::atomic::{AtomicUsize, Ordering};
use crate::sampling::block::Block;
use crate::sampling::filter::{Filter, PLACES};
use crate::sampling::live_blocks::{LiveBlocks, Thinned};

pub struct SampledBlocks<const SIZE: usize = PLACES> {
    pub filter: Filter<SIZE>,
    live: LiveBlocks,
    /// Blocks in `live`, while the filter is open.
    count: AtomicUsize,
}

impl<const SIZE: usize> SampledBlocks<SIZE> {
    /// No blocks yet. `first_buckets` are those of the table's first level.
    pub fn new(filter: Filter<SIZE>, first_buckets: usize) -> Self {
        SampledBlocks {
            filter,
            live: LiveBlocks::new(first_buckets),
            count: AtomicUsize::new(0),
        }
    }

    /// Remembers `block`, which is the caller's. `false` if that would open a level above `limit`,
    /// or memory is refused.
    #[inline]
    pub fn track(&self, block: Block, limit: usize) -> bool {
        // One that is closed stays so, and needs no place to be found.
        let is_open = self.filter.is_open();
        if is_open {
            self.filter.add(block.address());
        }
        let kept = self.live.insert(block, limit);
        if is_open && kept {
            self.count.fetch_add(1, Ordering::Relaxed);
        } else if is_open {
            self.filter.remove(block.address());
        }
        kept
    }

    /// Forgets the block at `address`, which the caller is about to give back, and gives what was
    /// remembered.
    #[inline]
    pub fn untrack(&self, address: usize) -> Option<Block> {
        let is_open = self.filter.is_open();
        if is_open && self.filter.lacks(address) {
            return None;
        }
        let block = self.live.remove(address)?;
        if is_open {
            self.forgot(block);
        }
        Some(block)
    }

    /// As [`LiveBlocks::thin`].
    pub fn thin(
        &self,
        decide: impl FnMut(Block) -> Thinned,
        mut told: impl FnMut(Block, Option<Block>),
    ) {
        self.live.thin(decide, |before, after| {
            if after.is_none() {
                self.forgot(before);
            }
            told(before, after);
        });
    }

    /// As [`LiveBlocks::each`].
    pub fn each(&self, visit: impl FnMut(Block)) {
        self.live.each(visit);
    }

    /// Blocks remembered now. 0 where every block is sampled: nobody asks there.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Bytes of address space of the table.
    pub fn bytes(&self) -> usize {
        self.live.bytes()
    }

    /// `block` is in the table no more.
    fn forgot(&self, block: Block) {
        self.filter.remove(block.address());
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}
