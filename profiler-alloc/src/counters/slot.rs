//! Exact counts: one slot of plain counters per thread, written by that thread alone.
//!
//! A thread finds its slot through a thread-local. A thread without one finds [`NO_SLOT`], whose
//! thresholds send every operation down the slow path, so the fast path needs no check. Slots live
//! in a pool: in private memory while nothing is recorded, in the profile file during a recording.
//! They outlive their threads and are taken over by later ones, so the sum over all slots of all
//! pools is what the process has ever allocated and freed.
//!
//! Example: thread 12 ends with 500 bytes allocated in its slot. Thread 13 takes the slot over and
//! allocates 20: the slot says 520, and so does the sum.

use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::ffi::thread_local::thread_locals;
use profiler_alloc_format::ThreadCells;

use crate::lockfree::static_ref::StaticRef;

/// Bytes a thread may allocate or free before it takes the slow path and publishes its heap.
pub const STEP: u64 = 64 << 10;

/// Generation of [`NO_SLOT`], which no recording has.
pub const NO_SLOT_GENERATION: u64 = u64::MAX;

static NO_SLOT: ThreadCells = {
    let mut cells = ThreadCells::empty();
    cells.generation = AtomicU64::new(NO_SLOT_GENERATION);
    cells
};

thread_locals! {
    static CELLS: Cell<StaticRef<ThreadCells>> = const { Cell::new(StaticRef::new(&NO_SLOT)) };
    static NUMBER: Cell<u32> = const { Cell::new(0) };
}

/// Adds to a counter that only this thread writes: a load and a store, no locked instruction.
#[inline(always)]
pub fn bump(counter: &AtomicU64, by: u64) {
    counter.store(
        counter.load(Ordering::Relaxed).wrapping_add(by),
        Ordering::Relaxed,
    );
}

/// The calling thread's slot, or [`NO_SLOT`].
#[inline(always)]
pub fn current() -> &'static ThreadCells {
    let cells = CELLS.try_with(Cell::get);
    cells.map_or(&NO_SLOT, StaticRef::get)
}

/// The calling thread counts in that slot from now on.
pub fn set_current(cells: &'static ThreadCells) {
    let _ = CELLS.try_with(|current| current.set(StaticRef::new(cells)));
}

/// Counts an allocation if that is all there is to do. False: nothing is counted, take the slow
/// path.
#[inline(always)]
pub fn count_alloc_fast(size: usize) -> bool {
    let cells = current();
    let total = cells
        .alloc_bytes
        .load(Ordering::Relaxed)
        .wrapping_add(size as u64);
    if total >= cells.alloc_next.load(Ordering::Relaxed) {
        return false;
    }
    cells.alloc_bytes.store(total, Ordering::Relaxed);
    bump(&cells.allocs, 1);
    true
}

/// One operation on the heap.
#[derive(Clone, Copy, Debug)]
pub enum Operation {
    Alloc { size: u64 },
    Free { size: u64 },
    Realloc { old: u64, new: u64 },
}

impl Operation {
    /// Counts it in a slot of the calling thread.
    #[inline]
    pub fn count(self, cells: &ThreadCells) {
        self.add_to(cells, bump);
    }

    /// Counts it in a slot that several threads count in: slower, and as exact.
    #[cold]
    pub fn count_shared(self, cells: &ThreadCells) {
        self.add_to(cells, add_atomically);
    }

    #[inline]
    fn add_to(self, cells: &ThreadCells, add: impl Fn(&AtomicU64, u64)) {
        match self {
            Operation::Alloc { size } => {
                add(&cells.alloc_bytes, size);
                add(&cells.allocs, 1);
            }
            Operation::Free { size } => {
                add(&cells.freed_bytes, size);
                add(&cells.frees, 1);
            }
            Operation::Realloc { old, new } => {
                add(&cells.alloc_bytes, new);
                add(&cells.freed_bytes, old);
                add(&cells.realloc_new, new);
                add(&cells.grown, new.saturating_sub(old));
                add(&cells.shrunk, old.saturating_sub(new));
                add(&cells.reallocs, 1);
            }
        }
    }
}

/// Adds to a counter that several threads write.
fn add_atomically(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

/// The slot of threads that have none.
pub fn no_slot() -> &'static ThreadCells {
    &NO_SLOT
}

/// True for the slot of threads that have none.
pub fn is_no_slot(cells: &ThreadCells) -> bool {
    core::ptr::eq(cells, &NO_SLOT)
}

/// The calling thread's slot has that number from now on. False when the thread is about to end.
pub fn set_number(number: u32) -> bool {
    NUMBER.try_with(|current| current.set(number)).is_ok()
}

/// Number of the calling thread's slot.
pub fn number() -> u32 {
    NUMBER.try_with(Cell::get).unwrap_or(0)
}

/// Allocations counted for the calling thread.
pub fn own_allocs() -> u64 {
    current().allocs.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_at_its_end_wraps() {
        let cells = ThreadCells::empty();
        cells.alloc_bytes.store(u64::MAX - 10, Ordering::Relaxed);
        cells.allocs.store(u64::MAX, Ordering::Relaxed);
        Operation::Alloc { size: 21 }.count(&cells);
        Operation::Realloc { old: 0, new: 0 }.count(&cells);
        assert_eq!(cells.alloc_bytes.load(Ordering::Relaxed), 10);
        assert_eq!(cells.allocs.load(Ordering::Relaxed), 0);
    }
}
