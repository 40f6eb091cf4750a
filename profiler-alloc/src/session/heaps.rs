//! The heaps beside the main one, in the file of a recording: their counts, and the samples of
//! their blocks.
//!
//! A sample here is what it is in the main heap, by the same interval, within the same budget. What
//! differs: the stack stands below a node that names the heap, the gap to the next sample is one of
//! all these heaps together, and the peak is the heap's own.

use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering};

use profiler_alloc_format::{HeapCells, StackCells, ThreadCells};

use super::Recorder;
use super::capture::Kind;
use super::file_heaps;
use crate::counters::heaps::{self, Id};
use crate::ffi::thread_local::thread_locals;
use crate::sampling::block::Block;
use crate::sampling::draws::random;
use crate::sampling::weights::{self, Weight};
use crate::stacks::interner::StackRef;
use crate::stacks::ways_out;
use crate::unwinder::registers::Registers;

thread_locals! {
    /// [`Block::key`] of the thread's latest sample in these heaps; 0 if that was a reallocation.
    static LAST_IN_HEAPS: Cell<u64> = const { Cell::new(0) };
    /// The root of that sample's stack.
    static LAST_ROOT: Cell<u32> = const { Cell::new(0) };
}

impl Recorder {
    /// What the file says of a heap. `None` if it has no room.
    #[inline]
    pub fn heap_cells(&self, heap: Id) -> Option<&'static HeapCells> {
        let number = self.heaps.number(self.store, heap)?;
        self.store.heaps.get(number as usize)
    }

    /// The heaps that have something in use when the recording begins.
    pub(super) fn note_heaps(&self) {
        heaps::in_use_now().for_each(|heap| {
            self.heap_cells(heap);
        });
    }

    /// Notes the peak of a heap, of which `in_use` bytes are in use now.
    #[inline]
    pub fn note_heap_peak(&self, cells: &HeapCells, in_use: i64) {
        let peak = cells.peak.load(Ordering::Relaxed) as i64;
        if in_use > peak
            && (cells.peak)
                .compare_exchange(
                    peak as u64,
                    in_use as u64,
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                )
                .is_ok()
        {
            (cells.peak_ns).store(self.clock.elapsed(), Ordering::Relaxed);
            cells.peak_epoch.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Whether the thread is to sample a block of `size` bytes of another heap than the main one.
    /// To be asked once of each.
    #[inline]
    pub fn is_heap_sample_due(&self, cells: &ThreadCells, size: u64) -> bool {
        if self.paused.load(Ordering::Relaxed) || size == 0 {
            return false;
        }
        let interval = self.store.header().interval.load(Ordering::Relaxed);
        if interval == 0 {
            return true;
        }
        let is_drawn = cells.heaps_interval.load(Ordering::Relaxed) == interval.wrapping_add(1);
        let gap = match is_drawn {
            true => cells.heaps_gap.load(Ordering::Relaxed),
            false => weights::gap(interval, random(cells)),
        };
        let is_due = size >= gap;
        let next = match is_due {
            true => weights::gap(interval, random(cells)),
            false => gap - size,
        };
        cells.heaps_gap.store(next, Ordering::Relaxed);
        if !is_drawn {
            (cells.heaps_interval).store(interval.wrapping_add(1), Ordering::Relaxed);
        }
        is_due
    }

    /// The interval of a sample that is due. *Bytes; 0 is exact.*
    pub(super) fn heap_interval(&self, cells: &ThreadCells) -> u64 {
        match self.store.header().interval.load(Ordering::Relaxed) {
            0 => 0,
            // As it was drawn: by now it may be another.
            interval => match cells.heaps_interval.load(Ordering::Relaxed) {
                0 => interval,
                drawn => drawn - 1,
            },
        }
    }

    /// Untracks the block at `address` of a heap, if it was sampled.
    pub fn untrack_of_heap(&self, heap: Id, address: usize) -> Option<Block> {
        let key = Block::key_of(address, heap)?;
        self.heaps.blocks.remove_key(key)
    }

    /// Whether blocks of a heap that are not tracked are from before the recording, and are to be
    /// attributed where they are freed.
    pub fn attributes_unknown_of_heap(&self, cells: &HeapCells) -> bool {
        cells.base.load(Ordering::Relaxed) != 0
            && self.store.header().interval_widest.load(Ordering::Relaxed) == 0
            && !self.paused.load(Ordering::Relaxed)
    }

    /// A block that was untracked, and whose free cannot be attributed.
    pub fn lose_of_heap(&self, cells: &HeapCells, block: Block) {
        self.change_heap_live(cells, block, self.weight(block), -1);
        let lost: &AtomicU64 = &self.store.header().lost_blocks;
        lost.fetch_add(1, Ordering::Relaxed);
    }

    /// A block of a heap was allocated, is sampled, and was counted, which left `in_use` bytes.
    pub fn heap_allocated(
        &self,
        cells: &ThreadCells,
        at: Registers,
        (heap, home): (Id, &HeapCells),
        (address, size): (usize, u64),
        in_use: i64,
    ) {
        let before = in_use.saturating_sub(size as i64);
        self.timed_of_heap(cells, home, || {
            let (stack, walked) = self.heap_stack(cells, Kind::HeapAlloc, at, heap);
            let allocating =
                self.sample_heap_alloc(cells, stack, (heap, home), (address, size), false);
            self.note_time(allocating);
            self.enter_heap(cells, (heap, home), stack, before);
            ((), walked)
        });
        self.note_heap_peak(home, in_use);
    }

    /// A block of a heap is about to be freed, and was counted.
    pub fn heap_freeing(
        &self,
        cells: &ThreadCells,
        at: Registers,
        (heap, home): (Id, &HeapCells),
        block: Option<Block>,
        size: u64,
        in_use: i64,
    ) {
        let before = in_use.saturating_add(size as i64);
        self.timed_of_heap(cells, home, || {
            let (stack, walked) = self.heap_stack(cells, Kind::HeapFree, at, heap);
            self.attribute_heap_free(home, stack, block, size, false);
            self.enter_heap(cells, (heap, home), stack, before);
            ((), walked)
        });
    }

    /// A block of a heap was reallocated, and counted: the old one is freed here, and the new
    /// one sampled, if its address is given.
    pub fn heap_reallocated(
        &self,
        cells: &ThreadCells,
        at: Registers,
        (heap, home): (Id, &HeapCells),
        (old, new): (Option<Block>, Option<usize>),
        (old_size, size): (u64, u64),
        in_use: i64,
    ) {
        let before = in_use
            .saturating_sub(size as i64)
            .saturating_add(old_size as i64);
        self.timed_of_heap(cells, home, || {
            let (stack, walked) = self.heap_stack(cells, Kind::HeapRealloc, at, heap);
            self.attribute_heap_free(home, stack, old, old_size, true);
            if let Some(address) = new {
                let block = (address, size);
                let allocating = self.sample_heap_alloc(cells, stack, (heap, home), block, true);
                self.note_time(allocating);
            }
            self.enter_heap(cells, (heap, home), stack, before);
            ((), walked)
        });
        self.note_heap_peak(home, in_use);
    }

    /// Runs one sample's work, which is timed as those of the main heap are.
    pub(super) fn timed_of_heap(
        &self,
        cells: &ThreadCells,
        home: &HeapCells,
        work: impl FnOnce() -> ((), usize),
    ) {
        let load = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        let number = load(&home.allocs).wrapping_add(load(&home.frees));
        let heap = load(&cells.last_heap);
        self.timed(cells, number, false, work);
        // What the main heap had after the thread's last sample there.
        cells.last_heap.store(heap, Ordering::Relaxed);
    }

    pub(super) fn heap_stack(
        &self,
        cells: &ThreadCells,
        kind: Kind,
        at: Registers,
        heap: Id,
    ) -> (StackRef, usize) {
        match self.stack(cells, kind, at, file_heaps::root(heap)) {
            // What is known of no stack is the main heap's: here it is the heap's own node's.
            (StackRef::OTHER, walked) => (self.only_heap(heap), walked),
            known => known,
        }
    }

    #[cold]
    fn only_heap(&self, heap: Id) -> StackRef {
        let frame = self.heaps.frame(self.store, heap);
        let only = frame.and_then(|frame| self.capture.only_root(self.store, frame));
        only.unwrap_or(StackRef::OTHER)
    }

    fn sample_heap_alloc(
        &self,
        cells: &ThreadCells,
        at: StackRef,
        (heap, home): (Id, &HeapCells),
        (address, size): (usize, u64),
        is_realloc: bool,
    ) -> &'static StackCells {
        let interval = self.heap_interval(cells);
        let weight = weights::weight(size, interval);
        let stack = self.stack_cells(at);
        self.add_allocated(at, stack, weight, is_realloc);
        let birth = self.moments.generation_of(self.store, at.stack, stack);
        let block = Block::new(address, size, at.stack, interval, heap);
        let block = block.map(|block| block.born(birth));
        let key = block.filter(|_| !is_realloc).map_or(0, Block::key);
        let _ = LAST_IN_HEAPS.try_with(|latest| latest.set(key));
        let limit = self.most_levels();
        let kept = block.filter(|&block| self.heaps.blocks.insert(block, limit));
        match kept {
            Some(block) => self.change_heap_live(home, block, weight, 1),
            None => {
                self.widen(interval);
                let lost: &AtomicU64 = &self.store.header().lost_blocks;
                lost.fetch_add(1, Ordering::Relaxed);
            }
        }
        stack
    }

    /// As the main heap's.
    fn attribute_heap_free(
        &self,
        home: &HeapCells,
        at: StackRef,
        block: Option<Block>,
        size: u64,
        is_realloc: bool,
    ) {
        let weight = match block {
            Some(block) => self.free_heap_block(home, block, is_realloc),
            None if self.attributes_unknown_of_heap(home) => weights::weight(size, 0),
            None => return,
        };
        self.add_freed(at, self.stack_cells(at), weight);
    }

    fn free_heap_block(&self, home: &HeapCells, block: Block, is_realloc: bool) -> Weight {
        let weight = self.weight(block);
        self.change_heap_live(home, block, weight, -1);
        if !is_realloc && LAST_IN_HEAPS.try_with(Cell::get) == Ok(block.key()) {
            let allocating = self.allocating_stack(block);
            (allocating.temporary_bytes).fetch_add(weight.bytes, Ordering::Relaxed);
            (allocating.temporary_count).fetch_add(weight.count, Ordering::Relaxed);
        }
        weight
    }

    /// Changes what the stack that allocated `block` has live, at the peaks of its heap.
    fn change_heap_live(&self, home: &HeapCells, block: Block, weight: Weight, sign: i64) {
        let epoch = home.peak_epoch.load(Ordering::Acquire);
        let stack = self.allocating_stack(block);
        if sign < 0 {
            self.moments.freed(self.store, stack, block, weight);
        }
        self.change_live_at(epoch, block.stack(), stack, weight, sign);
    }

    /// Notes where the thread is now in these heaps, and that it has left where it was, with so
    /// much in use `before` in that heap.
    pub(super) fn enter_heap(
        &self,
        cells: &ThreadCells,
        (heap, home): (Id, &HeapCells),
        at: StackRef,
        before: i64,
    ) {
        let left = cells.last_heaps_node.load(Ordering::Relaxed);
        if left == at.node {
            return;
        }
        let root = file_heaps::root(heap);
        let last_root = LAST_ROOT.try_with(|last| last.replace(root));
        if left == 0 {
            // The thread comes from nowhere.
        } else if last_root == Ok(root) {
            ways_out::leave(self.store, left, at.node, before);
        } else {
            let in_use = match self.heap_of(left) {
                Some(other) if !core::ptr::eq(other, home) => held(other),
                _ => before,
            };
            ways_out::leave_contexts(self.store, left, at.node, in_use);
        }
        cells.last_heaps_node.store(at.node, Ordering::Relaxed);
    }

    /// The heap that a node stands below.
    fn heap_of(&self, node: u32) -> Option<&'static HeapCells> {
        let outermost = ways_out::outermost(self.store, node)?;
        self.store.heaps.get(outermost.address() as usize)
    }
}

/// In use in a heap. *Bytes.*
fn held(cells: &HeapCells) -> i64 {
    let load = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
    let change = load(&cells.alloc_bytes).wrapping_sub(load(&cells.freed_bytes));
    load(&cells.base).wrapping_add(change) as i64
}
