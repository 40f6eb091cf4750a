//! What of the heap is resident, from the blocks that are in use.

use profiler_alloc_format::account::LARGE;

use crate::ffi::residence::PAGE;
use crate::resident::block_sizes::BlockSizes;
use crate::resident::mappings::MemoryMap;

/// One block in use, and how many it stands for.
#[derive(Clone, Copy, Debug)]
pub struct LiveBlock {
    pub address: usize,
    pub size: usize,
    /// Blocks like this one that it stands for; 1 where all are recorded.
    pub stands_for: f64,
}

/// What a large block has resident.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Touched {
    /// Bytes of the block that are resident, at most its size.
    pub resident: u64,
}

/// Sums over the blocks in use.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct HeapSums {
    /// Asked for and not resident, in large blocks.
    pub untouched: f64,
    pub untouched_variance: f64,
    /// What blocks take beyond what was asked for.
    pub rounding: f64,
    pub rounding_variance: f64,
    /// Resident in blocks that are mappings of their own.
    pub own_mappings: f64,
}

impl HeapSums {
    /// Adds a block. Gives what is resident of it, if it is large.
    pub fn add(
        &mut self,
        block: LiveBlock,
        sizes: BlockSizes,
        mappings: &mut MemoryMap,
    ) -> Option<Touched> {
        let LiveBlock {
            address,
            size,
            stands_for,
        } = block;
        if size as u64 >= LARGE {
            return self.add_large(block, sizes, mappings);
        }
        mappings.is_heap_at(address);
        if let Some(rounding) = sizes.rounding(size) {
            self.add_rounding(rounding as f64, stands_for);
        }
        None
    }

    fn add_large(
        &mut self,
        block: LiveBlock,
        sizes: BlockSizes,
        mappings: &mut MemoryMap,
    ) -> Option<Touched> {
        // In memory of the program's own, such as a static arena, nothing is asked: it is no part
        // of the allocator's.
        if !mappings.holds(block.address) {
            return None;
        }
        // A page that was only read is the system's one page of zeros: it is in memory and in no
        // RSS. Of a block that is a mapping of its own, as large ones are, the mapping tells.
        let pages = mappings.resident(block.address, block.size);
        let pages = pages.min(mappings.resident_around(block.address));
        let resident = pages.min(block.size as u64);
        if sizes.is_mapping(block.address) {
            self.own_mappings += pages as f64 * block.stands_for;
            self.add_rounding((pages - resident) as f64, block.stands_for);
        } else {
            mappings.is_heap_at(block.address);
            // A part of a page at most, but for what an allocator's size classes add.
            let rounding = sizes.rounding(block.size).unwrap_or(0).min(PAGE);
            self.add_rounding(rounding as f64, block.stands_for);
        }
        let untouched = (block.size as u64 - resident) as f64;
        self.untouched += untouched * block.stands_for;
        self.untouched_variance += variance(untouched, block.stands_for);
        Some(Touched { resident })
    }

    fn add_rounding(&mut self, rounding: f64, stands_for: f64) {
        self.rounding += rounding * stands_for;
        self.rounding_variance += variance(rounding, stands_for);
    }
}

/// The variance that a block adds to a sum of `value`, sampled with the chance `1 / stands_for`:
/// `(value w)² (1 - p)`.
pub fn variance(value: f64, stands_for: f64) -> f64 {
    (value * stands_for).powi(2) * (1.0 - 1.0 / stands_for.max(1.0))
}
