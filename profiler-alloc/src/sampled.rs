//! The sampled blocks that are still allocated, behind the filter that knows at once of nearly all others.

use crate::filter::Filter;
use crate::live::{Block, LiveBlocks};

pub struct Sampled<const PLACES: usize = 65_536> {
    pub filter: Filter<PLACES>,
    live: LiveBlocks,
}

impl<const PLACES: usize> Sampled<PLACES> {
    /// No blocks yet. `first_buckets` are those of the table's first level.
    pub fn new(filter: Filter<PLACES>, first_buckets: usize) -> Self {
        Sampled {
            filter,
            live: LiveBlocks::new(first_buckets),
        }
    }

    /// Remembers `block`, which is the caller's. `false` if that would open a level above `limit`, or memory is
    /// refused.
    #[inline]
    pub fn remember(&self, block: Block, limit: usize) -> bool {
        // One that is closed stays so, and needs no place to be found.
        let is_open = self.filter.is_open();
        if is_open {
            self.filter.add(block.address());
        }
        let kept = self.live.insert(block, limit);
        if !kept && is_open {
            self.filter.remove(block.address());
        }
        kept
    }

    /// Forgets the block at `address`, which the caller is about to give back, and gives what was remembered.
    #[inline]
    pub fn take(&self, address: usize) -> Option<Block> {
        let is_open = self.filter.is_open();
        if is_open && self.filter.lacks(address) {
            return None;
        }
        let block = self.live.remove(address)?;
        if is_open {
            self.filter.remove(address);
        }
        Some(block)
    }

    /// Bytes of address space of the table.
    pub fn bytes(&self) -> usize {
        self.live.bytes()
    }
}
