//! What the calling thread has allocated and freed, exactly, whichever slot it counts in.
//!
//! A thread changes its slot when a recording starts or ends. An offset keeps the counts of the
//! thread continuous, so that the difference of two readings is what happened between them.
//!
//! What memprof itself does is in no figure of the program:
//!
//! ```text
//! the program ──Untracked──▶ memprof's own work ──Lent──▶ the program's code on its behalf
//!   its slot                 a slot apart                 its slot again, but of no scope
//! ```
//! Example: a report is formatted (`Untracked`) and handed to a callback of the program (`Lent`).

use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering};

use profiler_alloc_format::ThreadCells;

use crate::counters::own_work;
use crate::counters::slot;
use crate::ffi::thread_local::thread_locals;

/// Counts of one thread since it began; only differences mean anything.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct ThreadCounts {
    /// Bytes allocated, the new size of every realloc included.
    pub allocated: u64,
    /// Bytes freed, the old size of every realloc included.
    pub freed: u64,
    /// Calls of `alloc`, `alloc_zeroed` and `realloc`.
    pub allocations: u64,
    /// Calls of `dealloc` and `realloc`.
    pub frees: u64,
}

struct Offset {
    allocated: Cell<u64>,
    freed: Cell<u64>,
    allocations: Cell<u64>,
    frees: Cell<u64>,
}

thread_locals! {
    static OFFSET: Offset = const {
        Offset {
            allocated: Cell::new(0),
            freed: Cell::new(0),
            allocations: Cell::new(0),
            frees: Cell::new(0),
        }
    };
}

impl ThreadCounts {
    /// Of a thread that has done nothing.
    pub const NONE: ThreadCounts = ThreadCounts {
        allocated: 0,
        freed: 0,
        allocations: 0,
        frees: 0,
    };

    /// Of the calling thread, now.
    #[inline]
    pub fn now() -> ThreadCounts {
        let cells = own_work::of_program();
        let raw = ThreadCounts::raw(cells);
        OFFSET.with(|offset| ThreadCounts {
            allocated: offset.allocated.get().wrapping_add(raw.allocated),
            freed: offset.freed.get().wrapping_add(raw.freed),
            allocations: offset.allocations.get().wrapping_add(raw.allocations),
            frees: offset.frees.get().wrapping_add(raw.frees),
        })
    }

    /// As they stand in a slot.
    #[inline]
    fn raw(cells: &ThreadCells) -> ThreadCounts {
        let load = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        let reallocs = load(&cells.reallocs);
        ThreadCounts {
            allocated: load(&cells.alloc_bytes),
            freed: load(&cells.freed_bytes),
            allocations: load(&cells.allocs).wrapping_add(reallocs),
            frees: load(&cells.frees).wrapping_add(reallocs),
        }
    }

    /// What has happened since an earlier reading.
    pub fn since(self, earlier: ThreadCounts) -> ThreadCounts {
        ThreadCounts {
            allocated: self.allocated.wrapping_sub(earlier.allocated),
            freed: self.freed.wrapping_sub(earlier.freed),
            allocations: self.allocations.wrapping_sub(earlier.allocations),
            frees: self.frees.wrapping_sub(earlier.frees),
        }
    }

    /// Bytes allocated minus bytes freed.
    pub fn net(self) -> i64 {
        self.allocated.wrapping_sub(self.freed) as i64
    }
}

/// Bytes allocated and freed by the calling thread, whose slot is `cells`.
#[inline]
pub fn bytes_with(cells: &ThreadCells) -> (u64, u64) {
    OFFSET.with(|offset| {
        let allocated = cells.alloc_bytes.load(Ordering::Relaxed);
        let freed = cells.freed_bytes.load(Ordering::Relaxed);
        (
            offset.allocated.get().wrapping_add(allocated),
            offset.freed.get().wrapping_add(freed),
        )
    })
}

/// The calling thread counts in `to` from now on. Counts already in `to` belong to earlier threads
/// and are subtracted.
///
/// Example: the thread has allocated 100 bytes in its old slot and takes over one that stands at
/// 5,000. The offset is 100 - 5,000; after 20 more bytes the slot stands at 5,020, and the thread
/// at 120.
pub fn rebase(from: ThreadCounts, to: &ThreadCells) {
    let offset = from.since(ThreadCounts::raw(to));
    // For readers of the profile, who see the slot and not the thread. The slot of threads
    // without one is read only.
    if !slot::is_no_slot(to) {
        to.own_alloc_offset
            .store(offset.allocated, Ordering::Relaxed);
        to.own_freed_offset.store(offset.freed, Ordering::Relaxed);
    }
    set_offset(offset);
}

fn set_offset(counts: ThreadCounts) {
    OFFSET.with(|offset| {
        offset.allocated.set(counts.allocated);
        offset.freed.set(counts.freed);
        offset.allocations.set(counts.allocations);
        offset.frees.set(counts.frees);
    });
}

/// While it lives, what the calling thread allocates and frees is memprof's own, and in no figure
/// of the program.
#[derive(Debug)]
pub struct Untracked(());

impl Untracked {
    /// `None` if the thread is untracked already.
    pub fn begin() -> Option<Untracked> {
        // `then_some` would build the guard eagerly; dropping it would end the outer scope.
        if own_work::begin() {
            Some(Untracked(()))
        } else {
            None
        }
    }
}

impl Drop for Untracked {
    fn drop(&mut self) {
        own_work::end();
    }
}

/// True while the calling thread does memprof's own work.
pub fn is_untracked() -> bool {
    own_work::is_program_waiting()
}

/// While it lives, memprof's own work waits for code of the program's, such as an output that the
/// program has given. What that allocates is the program's, but no scope's that happens to be open.
#[derive(Debug)]
pub struct Lent {
    before: ThreadCounts,
}

impl Lent {
    /// `None` unless the thread does memprof's own work.
    pub fn begin() -> Option<Lent> {
        let before = ThreadCounts::now();
        own_work::lend().then(|| Lent { before })
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        rebase(self.before, own_work::of_program());
        own_work::go_on();
    }
}

/// A value that memprof makes and the program keeps: the program's is a copy, so that nothing is
/// allocated by one and freed by the other.
pub fn given<T>(make: impl FnOnce() -> T, copy: impl FnOnce(&T) -> T) -> T {
    let untracked = Untracked::begin();
    let made = make();
    let given = {
        let _lent = Lent::begin();
        copy(&made)
    };
    drop(made);
    drop(untracked);
    given
}
