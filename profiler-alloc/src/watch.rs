//! What open scopes hold: of their own, and the process in the meantime.
//!
//! A thread with an open scope takes the slow path at every operation, so the course of its own counts is exact; the fast path
//! knows nothing of scopes. Other threads are seen whenever they publish their heap, at least every 64 KiB.
//!
//! A scope is charged for what its thread allocates, and credited with what it frees, but for blocks that are certainly older
//! than the scope ([`births`]). Of a scope inside another one, both look at each block with their own eyes; the outer one's
//! are those of the outermost.

use core::cell::Cell;
use core::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use profiler_alloc_format::ThreadCells;

use crate::births;
use crate::counters;
use crate::course::Course;
use crate::own_counts::{self, OwnCounts};

/// One bit for each scope of the process that is open.
static OPEN: AtomicU64 = AtomicU64::new(0);
/// The highest heap of the process inside each of them.
static PEAKS: [AtomicI64; 64] = [const { AtomicI64::new(0) }; 64];

/// The innermost open scope of a thread.
#[derive(Clone, Copy, Debug)]
struct Innermost {
    /// Scopes that are open, one inside the other.
    depth: u32,
    /// Its number, and the least of those around it.
    scope: u32,
    outermost: u32,
    /// What the thread had allocated minus freed when the scope opened.
    start: i64,
    seen: Course,
    /// As the scopes around it see it.
    seen_outside: Course,
    /// Bytes of blocks older than the scope that were freed in it, and of those older than all.
    older: i64,
    older_than_all: i64,
}

const NONE: Innermost = Innermost {
    depth: 0,
    scope: 0,
    outermost: 0,
    start: 0,
    seen: Course::NONE,
    seen_outside: Course::NONE,
    older: 0,
    older_than_all: 0,
};

thread_local! {
    static INNERMOST: Cell<Innermost> = const { Cell::new(NONE) };
}

impl Innermost {
    /// The thread has allocated minus freed `net` bytes by now.
    fn go_to(&mut self, net: i64) {
        let change = net.wrapping_sub(self.start);
        self.seen.go_to(change.wrapping_add(self.older));
        self.seen_outside
            .go_to(change.wrapping_add(self.older_than_all));
    }
}

fn with_innermost(change: impl FnOnce(&mut Innermost)) {
    let _ = INNERMOST.try_with(|cell| {
        let mut innermost = cell.get();
        if innermost.depth > 0 && !own_counts::is_excused() {
            change(&mut innermost);
            cell.set(innermost);
        }
    });
}

/// True if the calling thread wants the slow path at its every operation.
#[inline]
pub fn is_open() -> bool {
    INNERMOST.try_with(|innermost| innermost.get().depth > 0) == Ok(true)
}

/// The calling thread has allocated the block at `address`.
#[inline]
pub fn allocated(address: usize) {
    if is_open() && !own_counts::is_excused() {
        births::born(address);
    }
}

/// The calling thread is about to free the block at `address`, and to count that.
#[inline]
pub fn freeing(address: usize, size: u64) {
    if is_open() {
        with_innermost(|innermost| {
            let older = |scope| i64::from(births::is_older(address, scope)) * size as i64;
            let (of_scope, of_all) = (older(innermost.scope), older(innermost.outermost));
            innermost.older = innermost.older.wrapping_add(of_scope);
            innermost.older_than_all = innermost.older_than_all.wrapping_add(of_all);
        });
    }
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
    with_innermost(|innermost| innermost.go_to(net));
    let mut open = OPEN.load(Ordering::Relaxed);
    while open != 0 {
        let lowest = open.trailing_zeros() as usize;
        PEAKS[lowest].fetch_max(heap, Ordering::Relaxed);
        open &= open - 1;
    }
}

/// A scope that runs on the calling thread.
#[derive(Debug)]
pub struct ThreadCourse {
    around: Innermost,
}

impl ThreadCourse {
    /// Of the scope numbered `scope`.
    pub fn open(scope: u32) -> ThreadCourse {
        let start = OwnCounts::now().net();
        let mut around = INNERMOST.with(Cell::get);
        let outermost = match around.depth {
            0 => scope,
            _ => {
                around.go_to(start);
                scope.min(around.outermost)
            }
        };
        INNERMOST.with(|cell| {
            cell.set(Innermost {
                depth: around.depth + 1,
                scope,
                outermost,
                start,
                ..NONE
            });
        });
        // 0 is "at every operation".
        let cells = counters::of_program();
        if !counters::is_nobody(cells) {
            for threshold in [&cells.alloc_next, &cells.free_next, &cells.publish_frees_at] {
                threshold.store(0, Ordering::Relaxed);
            }
        }
        ThreadCourse { around }
    }

    /// What the thread held in the scope, without what is certainly older than it.
    pub fn close(self) -> Course {
        let now = OwnCounts::now().net();
        let mut closed = INNERMOST.with(Cell::get);
        closed.go_to(now);
        let mut around = self.around;
        if around.depth > 0 {
            around.seen = around.seen.then(closed.seen_outside);
            around.seen_outside = around.seen_outside.then(closed.seen_outside);
            let older = closed.older_than_all;
            around.older = around.older.wrapping_add(older);
            around.older_than_all = around.older_than_all.wrapping_add(older);
        }
        INNERMOST.with(|cell| cell.set(around));
        closed.seen
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
