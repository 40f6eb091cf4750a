//! What one sample adds: to the totals of the stack that allocates or frees a block, and to the
//! blocks that are live.

use core::cell::Cell;
use core::sync::atomic::Ordering;

use profiler_alloc_format::{StackCells, ThreadCells, size_class};

use super::Recorder;
use super::capture::{Above, Kind};
use crate::contexts::in_force;
use crate::counters::slot::number;
use crate::ffi::thread_local::thread_locals;
use crate::sampling::at_peak::add_variance;
use crate::sampling::block::Block;
use crate::sampling::draws::random;
use crate::sampling::live_blocks;
use crate::sampling::weights::{self, Weight};
use crate::stacks::interner::{self, StackRef};
use crate::stacks::ways_out;
use crate::unwinder::registers::Registers;

thread_locals! {
    /// [`Block::key`] of the thread's latest sample; 0 if that was a reallocation.
    static LAST_SAMPLE: Cell<u64> = const { Cell::new(0) };
}

/// The calling thread has no sample in the recording that it joins: its record may have been
/// another's in the last one.
pub(super) fn forget_last_sample() {
    let _ = LAST_SAMPLE.try_with(|latest| latest.set(0));
}

impl Recorder {
    /// An allocation was made and counted.
    pub fn allocated(&self, cells: &ThreadCells, at: Registers, address: usize, size: u64) {
        if self.is_due(cells) {
            let number = cells.sequence.load(Ordering::Relaxed);
            let is_old = self.is_behind(cells);
            let allocating_stack = self.timed(cells, number.into(), is_old, || {
                let (stack, walked) = self.stack(cells, Kind::Alloc, at, in_force::all());
                let allocating_stack = self.sample_alloc(cells, stack, address, size, false);
                self.enter(cells, stack);
                (allocating_stack, walked)
            });
            self.note_time(allocating_stack);
            self.thin_if_many(cells);
        } else {
            self.unsampled(cells);
        }
    }

    /// A block of `size` bytes is about to be freed, and counted.
    pub fn freeing(&self, cells: &ThreadCells, at: Registers, address: usize, size: u64) {
        let block = self.untrack(address);
        if block.is_some() || self.attributes_unknown() {
            let is_old = block.is_some_and(|block| self.is_old(block));
            self.timed(cells, cells.frees.load(Ordering::Relaxed), is_old, || {
                let (stack, walked) = self.stack(cells, Kind::Free, at, in_force::all());
                self.attribute_free(stack, block, size, false);
                self.enter(cells, stack);
                ((), walked)
            });
        } else if cells.freed_bytes.load(Ordering::Relaxed)
            >= cells.publish_frees_at.load(Ordering::Relaxed)
        {
            self.unsampled(cells);
        }
    }

    /// True while an untracked block must predate the recording, or was allocated during a pause:
    /// while every block is recorded, there are no others. Its free is then attributed at full
    /// size.
    pub(super) fn attributes_unknown(&self) -> bool {
        let header = self.store.header();
        header.heap_base.load(Ordering::Relaxed) != 0
            && header.interval_widest.load(Ordering::Relaxed) == 0
            && !self.paused.load(Ordering::Relaxed)
    }

    /// Untracks the block at `address` before it is freed or moved. Afterwards call
    /// [`reallocated`](Self::reallocated) or [`track_again`](Self::track_again).
    #[inline]
    pub fn untrack(&self, address: usize) -> Option<Block> {
        self.sampled.untrack(address)
    }

    /// Untracks the block at `address`, whose free cannot be recorded.
    pub fn drop_block(&self, address: usize) {
        if let Some(block) = self.untrack(address) {
            self.lose(block);
        }
    }

    /// The reallocation failed: the block is still there.
    pub fn track_again(&self, block: Block) {
        if !self.track(block) {
            self.lose(block);
        }
    }

    /// A block was reallocated, and counted: the old one is freed and a new one allocated, both
    /// here; `sizes` are theirs.
    pub fn reallocated(
        &self,
        cells: &ThreadCells,
        at: Registers,
        old: Option<Block>,
        address: usize,
        (old_size, size): (u64, u64),
    ) {
        let due = self.is_due(cells);
        if due || old.is_some() {
            let number = cells.reallocs.load(Ordering::Relaxed);
            let is_old = match due {
                true => self.is_behind(cells),
                false => old.is_some_and(|block| self.is_old(block)),
            };
            let allocating_stack = self.timed(cells, number, is_old, || {
                let (stack, walked) = self.stack(cells, Kind::Realloc, at, in_force::all());
                self.attribute_free(stack, old, old_size, true);
                let allocating_stack =
                    due.then(|| self.sample_alloc(cells, stack, address, size, true));
                self.enter(cells, stack);
                (allocating_stack, walked)
            });
            allocating_stack.inspect(|allocating_stack| self.note_time(allocating_stack));
            self.thin_if_many(cells);
        } else {
            self.unsampled(cells);
        }
    }

    /// True while a thread's sample is one of those before the interval changed.
    fn is_behind(&self, cells: &ThreadCells) -> bool {
        let interval = self.store.header().interval.load(Ordering::Relaxed);
        cells.sample_interval.load(Ordering::Relaxed) != interval
    }

    /// True of a block that was sampled more often than blocks are now.
    fn is_old(&self, block: Block) -> bool {
        let interval = self.store.header().interval.load(Ordering::Relaxed);
        block.interval().is_some_and(|then| then < interval)
    }

    /// A stack has just allocated a block. The clock was read when the statistics were updated.
    pub(super) fn note_time(&self, allocating_stack: &StackCells) {
        let now_ns = self.store.header().updated_ns.load(Ordering::Relaxed);
        allocating_stack
            .last_ns
            .store(now_ns.wrapping_add(1), Ordering::Relaxed);
    }

    /// Attributes a sampled block to the stack that allocates it, which is returned.
    fn sample_alloc(
        &self,
        cells: &ThreadCells,
        at: StackRef,
        address: usize,
        size: u64,
        is_realloc: bool,
    ) -> &'static StackCells {
        let interval = cells.sample_interval.load(Ordering::Relaxed);
        let weight = weights::weight(size, interval);
        let sequence = cells.sequence.load(Ordering::Relaxed).wrapping_add(1);
        cells.sequence.store(sequence, Ordering::Relaxed);
        // While everything is sampled the next block is due anyway; when the interval changes,
        // `follow_interval` draws.
        if interval != 0 {
            self.draw(cells);
        }

        let stack = self.stack_cells(at);
        self.add_allocated(at, stack, weight, is_realloc);
        let class = self.store.size_class(size_class(size));
        class.count.fetch_add(weight.count, Ordering::Relaxed);
        class.bytes.fetch_add(weight.bytes, Ordering::Relaxed);

        let live = self.thinning.thinned(size, interval, || random(cells));
        let is_kept = live.map(|live| {
            let block = Block::new(address, size, at.stack, live, number());
            self.keep(stack, block, is_realloc)
        });
        if is_kept == Some(false) {
            self.widen(interval);
            self.store
                .header()
                .lost_blocks
                .fetch_add(1, Ordering::Relaxed);
        } else if is_kept.is_none() {
            forget_last_sample();
        }
        stack
    }

    /// Adds to what the stack `at` has allocated.
    #[inline]
    pub(super) fn add_allocated(
        &self,
        at: StackRef,
        stack: &StackCells,
        weight: Weight,
        is_realloc: bool,
    ) {
        stack.alloc_bytes.fetch_add(weight.bytes, Ordering::Relaxed);
        stack.alloc_count.fetch_add(weight.count, Ordering::Relaxed);
        stack.alloc_samples.fetch_add(1, Ordering::Relaxed);
        add_variance(&stack.alloc_variance, weight.variance);
        self.add_count_variance(at, weight, |further| &further.alloc_count_variance);
        self.note_span(at.stack, weight);
        if is_realloc {
            stack
                .realloc_bytes
                .fetch_add(weight.bytes, Ordering::Relaxed);
            stack
                .realloc_count
                .fetch_add(weight.count, Ordering::Relaxed);
        }
    }

    /// Tracks a block that `stack` has just allocated. False if there is no room.
    fn keep(&self, stack: &StackCells, block: Option<Block>, is_realloc: bool) -> bool {
        // A block that grew step by step is counted as that, and not as a temporary one too.
        let key = block.filter(|_| !is_realloc).map_or(0, Block::key);
        let _ = LAST_SAMPLE.try_with(|latest| latest.set(key));
        let block = block
            .map(|block| block.born(self.moments.generation_of(self.store, block.stack(), stack)));
        let kept = block.filter(|&block| self.track(block));
        kept.inspect(|&block| self.change_live(block.stack(), stack, self.weight(block), 1))
            .is_some()
    }

    /// Attributes the free of a block of `size` bytes to the stack that frees it, and to the one
    /// that allocated it, if it is tracked.
    fn attribute_free(&self, at: StackRef, block: Option<Block>, size: u64, is_realloc: bool) {
        let weight = match block {
            Some(block) => self.free_block(block, is_realloc),
            None if self.attributes_unknown() => weights::weight(size, 0),
            None => return,
        };
        self.add_freed(at, self.stack_cells(at), weight);
    }

    /// Adds to what the stack `at` has freed.
    #[inline]
    pub(super) fn add_freed(&self, at: StackRef, stack: &StackCells, weight: Weight) {
        stack.freed_bytes.fetch_add(weight.bytes, Ordering::Relaxed);
        stack.freed_count.fetch_add(weight.count, Ordering::Relaxed);
        stack.free_samples.fetch_add(1, Ordering::Relaxed);
        add_variance(&stack.freed_variance, weight.variance);
        self.add_count_variance(at, weight, |further| &further.freed_count_variance);
    }

    /// Removes a block from what its stack has live and returns its weight. A reallocated block
    /// lives on as a new one, so it is never temporary.
    fn free_block(&self, block: Block, is_realloc: bool) -> Weight {
        let weight = self.weight(block);
        let allocating_stack = self.allocating_stack(block);
        self.moments
            .freed(self.store, allocating_stack, block, weight);
        self.change_live(block.stack(), allocating_stack, weight, -1);
        if !is_realloc && LAST_SAMPLE.try_with(Cell::get) == Ok(block.key()) {
            allocating_stack
                .temporary_bytes
                .fetch_add(weight.bytes, Ordering::Relaxed);
            allocating_stack
                .temporary_count
                .fetch_add(weight.count, Ordering::Relaxed);
        }
        weight
    }

    pub(super) fn weight(&self, block: Block) -> Weight {
        let asked_for = || self.store.header().interval.load(Ordering::Relaxed);
        weights::weight(block.size(), block.interval().unwrap_or_else(asked_for))
    }

    #[inline]
    fn track(&self, block: Block) -> bool {
        self.sampled.track(block, self.most_levels())
    }

    /// The highest level that a table of live blocks may have.
    #[inline]
    pub(super) fn most_levels(&self) -> usize {
        let header = self.store.header();
        let heap = header.heap.load(Ordering::Relaxed) as i64;
        // A budgeted recording may take 3 % of the heap for this, or 6 MiB; one that was told what
        // to sample, anything.
        match self.overhead.is_flexible() {
            true if heap < 1 << 30 => live_blocks::MAX_LEVEL_BUDGETED,
            true => live_blocks::MAX_LEVEL_BUDGETED + 1,
            false => live_blocks::MAX_LEVEL,
        }
    }

    /// A block that was untracked cannot be tracked again: it is counted as lost.
    pub fn lose(&self, block: Block) {
        let weight = self.weight(block);
        let allocating_stack = self.allocating_stack(block);
        self.moments
            .freed(self.store, allocating_stack, block, weight);
        self.change_live(block.stack(), allocating_stack, weight, -1);
        self.store
            .header()
            .lost_blocks
            .fetch_add(1, Ordering::Relaxed);
    }

    /// The calling thread's stack from `at` outwards, below `root`, and the number of frames
    /// walked.
    #[inline(never)]
    pub(super) fn stack(
        &self,
        cells: &ThreadCells,
        kind: Kind,
        at: Registers,
        root: u32,
    ) -> (StackRef, usize) {
        let above = Above {
            root,
            contexts: &self.contexts,
            heaps: &self.heaps,
        };
        self.capture.stack(self.store, above, cells, kind, at)
    }

    /// Notes where the thread is now, and that it has left where it was.
    fn enter(&self, cells: &ThreadCells, at: StackRef) {
        let left = cells.last_node.load(Ordering::Relaxed);
        if left != at.node {
            let heap = cells.last_heap.load(Ordering::Relaxed) as i64;
            let contexts = in_force::all();
            match cells.last_contexts.load(Ordering::Relaxed) == contexts {
                true => ways_out::leave(self.store, left, at.node, heap),
                false => {
                    ways_out::leave_contexts(self.store, left, at.node, heap);
                    cells.last_contexts.store(contexts, Ordering::Relaxed);
                }
            }
            cells.last_node.store(at.node, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(super) fn stack_cells(&self, at: StackRef) -> &'static StackCells {
        match self.store.stacks.get(at.stack as usize) {
            Some(cells) => cells,
            None => self.other_cells(),
        }
    }

    #[cold]
    fn other_cells(&self) -> &'static StackCells {
        let other = self.store.stacks.get(interner::OTHER as usize);
        other.unwrap_or(&SINK)
    }
}

/// Takes what belongs to a file that has no room even for "other"; cannot happen, and is not worth
/// a panic.
static SINK: StackCells = StackCells::empty();
