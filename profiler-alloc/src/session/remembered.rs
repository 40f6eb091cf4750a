//! Keeps what is live of each stack right when tracked blocks are thinned.

use core::sync::atomic::Ordering;

use profiler_alloc_format::{StackCells, ThreadCells};

use super::Recorder;
use crate::ffi::os;
use crate::sampling::block::Block;
use crate::sampling::draws::random;
use crate::sampling::weights::Weight;
use crate::stacks::interner::StackRef;

impl Recorder {
    /// Thins the tracked blocks if they are too many, and tracks more from now on if they are few.
    /// Called by a thread that has just sampled one.
    pub(super) fn thin_if_many(&self, cells: &ThreadCells) {
        let interval = self.store.header().interval.load(Ordering::Relaxed);
        if interval == 0 || !self.overhead.is_flexible() {
            return;
        }
        if self.thinning.are_many(self.sampled.count(), interval) {
            self.thin(cells);
        }
    }

    #[cold]
    #[inline(never)]
    fn thin(&self, cells: &ThreadCells) {
        let start = os::now_ns();
        let heap = (self.store.header().heap.load(Ordering::Relaxed) as i64).max(0) as u64;
        let restate = |before, after| self.restate(before, after);
        let draw = || random(cells);
        if self.thinning.thin(&self.sampled, heap, draw, restate) {
            self.used(os::now_ns().saturating_sub(start));
        }
    }

    /// Changes what a block's stack has live, as the block now stands for more, or is gone.
    fn restate(&self, before: Block, after: Option<Block>) {
        let weight = |block| self.weight(block);
        let change = weight(before).to(after.map_or(Weight::NOTHING, weight));
        let allocating_stack = self.allocating_stack(before);
        self.moments
            .restated(self.store, allocating_stack, before, change);
        self.change_live(before.stack(), allocating_stack, change, 1);
    }

    /// The stack that allocated `block`.
    pub(super) fn allocating_stack(&self, block: Block) -> &'static StackCells {
        self.stack_cells(StackRef {
            stack: block.stack(),
            node: 0,
        })
    }
}
