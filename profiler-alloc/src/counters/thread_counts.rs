//! What the calling thread has allocated and freed, exactly, whichever record it counts in at the
//! moment.
//!
//! A thread changes its record when a recording starts or ends. What it had counted until then is
//! carried over, so that the difference of two readings is what happened in between.
//!
//! What memprof itself does is not in it, nor in any figure of the program:
//!
//! ```text
//! the program ──Untracked──▶ memprof's own work ──Lent──▶ the program's code on its behalf
//!   its record               a record apart               its record again, but charged to no scope
//! ```

use core::cell::Cell;
use core::sync::atomic::Ordering;

use profiler_alloc_format::ThreadCells;

use crate::counters::own_work;
use crate::counters::slot;

/// Counts of one thread since it began; only differences mean anything.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct ThreadCounts {
    /// Bytes allocated, the new size of every realloc included.
    pub allocated: u64,
    /// Bytes freed, the old size of every realloc included.
    pub freed: u64,
    /// Calls of `alloc`, `alloc_zeroed` and `realloc`.
    pub allocations: u64,
}

struct Offset {
    allocated: Cell<u64>,
    freed: Cell<u64>,
    allocations: Cell<u64>,
}

thread_local! {
    static OFFSET: Offset = const {
        Offset {
            allocated: Cell::new(0),
            freed: Cell::new(0),
            allocations: Cell::new(0),
        }
    };
}

impl ThreadCounts {
    /// Of the calling thread, now.
    #[inline]
    pub fn now() -> ThreadCounts {
        let cells = own_work::of_program();
        let (allocated, freed) = bytes_with(cells);
        ThreadCounts {
            allocated,
            freed,
            allocations: OFFSET
                .with(|offset| offset.allocations.get())
                .wrapping_add(raw_allocations(cells)),
        }
    }

    /// What has happened since an earlier reading.
    pub fn since(self, earlier: ThreadCounts) -> ThreadCounts {
        ThreadCounts {
            allocated: self.allocated.wrapping_sub(earlier.allocated),
            freed: self.freed.wrapping_sub(earlier.freed),
            allocations: self.allocations.wrapping_sub(earlier.allocations),
        }
    }

    /// Bytes allocated minus bytes freed.
    pub fn net(self) -> i64 {
        self.allocated.wrapping_sub(self.freed) as i64
    }
}

/// Bytes allocated and freed by the calling thread, whose record is `cells`.
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

fn raw_allocations(cells: &ThreadCells) -> u64 {
    let reallocs = cells.reallocs.load(Ordering::Relaxed);
    cells.allocs.load(Ordering::Relaxed).wrapping_add(reallocs)
}

/// The calling thread counts in `to` from now on: whatever `to` stands at already is not its doing.
pub fn rebase(from: ThreadCounts, to: &ThreadCells) {
    let raw = ThreadCounts {
        allocated: to.alloc_bytes.load(Ordering::Relaxed),
        freed: to.freed_bytes.load(Ordering::Relaxed),
        allocations: raw_allocations(to),
    };
    let offset = from.since(raw);
    // For readers of the profile, who see the record and not the thread. The record of threads
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
    });
}

/// While it lives, what the calling thread allocates and frees is memprof's own, and in no figure
/// of the program.
#[derive(Debug)]
pub struct Untracked(());

impl Untracked {
    /// `None` if the thread is untracked already.
    pub fn begin() -> Option<Untracked> {
        // Not `then_some`: dropping an eager guard would end what goes on.
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
