//! The highest heap inside open scopes.
//!
//! A thread with an open scope takes the slow path at every allocation, so its own peak is exact; the fast path knows
//! nothing of scopes. Other threads are seen whenever they publish their heap, at least every 64 KiB.

use core::cell::Cell;
use core::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use profiler_alloc_format::ThreadCells;

use crate::counters;
use crate::own_counts::{self, OwnCounts};

/// One bit for each scope of the process that is open.
static OPEN: AtomicU64 = AtomicU64::new(0);
/// The highest heap of the process inside each of them.
static PEAKS: [AtomicI64; 64] = [const { AtomicI64::new(0) }; 64];

struct Thread {
    open: Cell<u32>,
    /// Highest value of what the thread has allocated minus freed, since its innermost scope opened.
    peak: Cell<i64>,
}

thread_local! {
    static THREAD: Thread = const {
        Thread {
            open: Cell::new(0),
            peak: Cell::new(0),
        }
    };
}

/// True if the calling thread wants the slow path at its every allocation.
#[inline]
pub fn is_open() -> bool {
    THREAD.try_with(|thread| thread.open.get() > 0) == Ok(true)
}

/// The calling thread has counted an operation in `cells`; the process's heap is `heap` now.
#[inline]
pub fn saw(cells: &ThreadCells, heap: i64) {
    if OPEN.load(Ordering::Relaxed) != 0 || is_open() {
        note(cells, heap);
    }
}

#[cold]
fn note(cells: &ThreadCells, heap: i64) {
    if own_counts::is_excused() {
        return;
    }
    let (allocated, freed) = own_counts::bytes_with(cells);
    let net = allocated.wrapping_sub(freed) as i64;
    THREAD.with(|thread| thread.peak.set(thread.peak.get().max(net)));
    let mut open = OPEN.load(Ordering::Relaxed);
    while open != 0 {
        let lowest = open.trailing_zeros() as usize;
        PEAKS[lowest].fetch_max(heap, Ordering::Relaxed);
        open &= open - 1;
    }
}

/// A scope of the calling thread: how much more it had at most than when the scope opened.
#[derive(Debug)]
pub struct ThreadPeak {
    outer: i64,
    start: i64,
}

impl ThreadPeak {
    pub fn open() -> ThreadPeak {
        let start = OwnCounts::now().net();
        let outer = THREAD.with(|thread| {
            thread.open.set(thread.open.get() + 1);
            thread.peak.replace(start)
        });
        let cells = counters::current();
        if !counters::is_nobody(cells) {
            // 0 is "at every allocation".
            cells.alloc_next.store(0, Ordering::Relaxed);
        }
        ThreadPeak { outer, start }
    }

    /// *Bytes* above the start.
    pub fn close(self) -> i64 {
        let now = OwnCounts::now().net();
        THREAD.with(|thread| {
            let peak = thread.peak.get().max(now);
            thread.peak.set(peak.max(self.outer));
            thread.open.set(thread.open.get().saturating_sub(1));
            peak.wrapping_sub(self.start)
        })
    }
}

/// A scope of the process: the highest heap in use while it was open.
#[derive(Debug)]
pub struct ProcessPeak(usize);

impl ProcessPeak {
    /// `None` if too many are open.
    pub fn open() -> Option<ProcessPeak> {
        let mut open = OPEN.load(Ordering::Relaxed);
        loop {
            let free = open.trailing_ones();
            if free == u64::BITS {
                return None;
            }
            match OPEN.compare_exchange_weak(
                open,
                open | 1 << free,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    PEAKS[free as usize].store(counters::heap(), Ordering::Relaxed);
                    return Some(ProcessPeak(free as usize));
                }
                Err(other) => open = other,
            }
        }
    }

    /// *Bytes.*
    pub fn close(self) -> i64 {
        let peak = PEAKS[self.0].load(Ordering::Relaxed).max(counters::heap());
        OPEN.fetch_and(!(1 << self.0), Ordering::AcqRel);
        peak
    }
}
