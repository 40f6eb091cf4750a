//! What open scopes hold: each of its own, and the highest heap of the process meanwhile.
//!
//! A thread with an open scope takes the slow path at every operation, so the course of its own
//! counts is exact, and the fast path knows nothing of scopes. Other threads are seen whenever
//! they publish their heap, at least every 64 KiB.
//!
//! What its thread allocates is attributed to a scope, and what it frees is credited to it, except
//! for blocks that are certainly older than the scope ([`births`]). Nested scopes judge each block
//! separately: a block allocated in the outer scope and freed in the inner one is old for the
//! inner scope, and the outer scope's own. Of three nested scopes, the outer two are judged as the
//! outermost.

use core::cell::Cell;
use core::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use profiler_alloc_format::ThreadCells;

use crate::counters::births;
use crate::counters::course::Course;
use crate::counters::heap;
use crate::counters::own_work;
use crate::counters::slot;
use crate::counters::thread_counts::{self, ThreadCounts};
use crate::ffi::thread_local::thread_locals;

/// One bit for each scope of the process that is open.
static OPEN: AtomicU64 = AtomicU64::new(0);
/// The highest heap of the process inside each of them.
static PEAKS: [AtomicI64; 64] = [const { AtomicI64::new(0) }; 64];

/// The innermost open scope of a thread.
#[derive(Clone, Debug)]
struct Innermost {
    /// Scopes that are open, one inside the other.
    depth: Cell<u32>,
    /// Its number, and the least of its own and those around it.
    scope: Cell<u32>,
    outermost: Cell<u32>,
    /// What the thread had allocated minus freed when the scope opened.
    start: Cell<i64>,
    seen: Cell<Course>,
    /// As the scopes around it see it.
    seen_outside: Cell<Course>,
    /// Bytes of blocks older than the scope that were freed in it, and of those older than all.
    older: Cell<i64>,
    older_than_all: Cell<i64>,
}

thread_locals! {
    static INNERMOST: Innermost = const { Innermost::none() };
}

impl Innermost {
    const fn none() -> Innermost {
        Innermost {
            depth: Cell::new(0),
            scope: Cell::new(0),
            outermost: Cell::new(0),
            start: Cell::new(0),
            seen: Cell::new(Course::NONE),
            seen_outside: Cell::new(Course::NONE),
            older: Cell::new(0),
            older_than_all: Cell::new(0),
        }
    }

    /// The thread has allocated minus freed `net` bytes by now.
    fn go_to(&self, net: i64) {
        let change = net.wrapping_sub(self.start.get());
        go_to(&self.seen, change.wrapping_add(self.older.get()));
        let outside = change.wrapping_add(self.older_than_all.get());
        go_to(&self.seen_outside, outside);
    }

    fn become_like(&self, other: &Innermost) {
        self.depth.set(other.depth.get());
        self.scope.set(other.scope.get());
        self.outermost.set(other.outermost.get());
        self.start.set(other.start.get());
        self.seen.set(other.seen.get());
        self.seen_outside.set(other.seen_outside.get());
        self.older.set(other.older.get());
        self.older_than_all.set(other.older_than_all.get());
    }

    /// A scope inside is over, and was seen like this.
    fn add(&self, inside: &Innermost) {
        let seen = inside.seen_outside.get();
        self.seen.set(self.seen.get().then(seen));
        self.seen_outside.set(self.seen_outside.get().then(seen));
        add(&self.older, inside.older_than_all.get());
        add(&self.older_than_all, inside.older_than_all.get());
    }
}

fn go_to(course: &Cell<Course>, now: i64) {
    let mut moved = course.get();
    moved.go_to(now);
    course.set(moved);
}

fn add(sum: &Cell<i64>, more: i64) {
    sum.set(sum.get().wrapping_add(more));
}

/// True if the calling thread wants the slow path at its every operation.
#[inline]
pub fn is_open() -> bool {
    INNERMOST.try_with(|innermost| innermost.depth.get() > 0) == Ok(true)
}

/// The calling thread has allocated the block at `address`.
#[inline]
pub fn allocated(address: usize) {
    if is_open() && !thread_counts::is_untracked() {
        births::born(address);
    }
}

/// The calling thread has reallocated the block that was at `old_address`; `sizes` are the old and
/// the new one.
///
/// An older block that shrinks stays one: what it gives back was never the scope's. One that grows
/// is the scope's from then on, as nothing tells the older part of it from the new one, and to
/// charge it when it goes would be a false alarm.
#[inline]
pub fn reallocated(old_address: usize, address: usize, sizes: (u64, u64)) {
    if !is_open() || thread_counts::is_untracked() {
        return;
    }
    let shrunk = sizes.0.saturating_sub(sizes.1) as i64;
    let stays = shrunk > 0
        && INNERMOST.with(|innermost| {
            let is_older = births::is_older(old_address, innermost.scope.get());
            let is_older_than_all = births::is_older(old_address, innermost.outermost.get());
            if is_older {
                add(&innermost.older, shrunk);
            }
            if is_older_than_all {
                add(&innermost.older_than_all, shrunk);
            }
            // Where it has moved to, nothing says that it is a scope's around this one.
            is_older_than_all || (is_older && address == old_address)
        });
    if !stays {
        births::born(address);
    }
}

/// The calling thread is about to free the block at `address`, and to count that.
#[inline]
pub fn freeing(address: usize, size: u64) {
    if is_open() && !thread_counts::is_untracked() {
        INNERMOST.with(|innermost| {
            let (scope, outermost) = (innermost.scope.get(), innermost.outermost.get());
            // What is older than all is older than the innermost, but for a future's scope that
            // opened before.
            if births::is_older(address, scope) {
                add(&innermost.older, size as i64);
            }
            if births::is_older(address, outermost) {
                add(&innermost.older_than_all, size as i64);
            }
        });
    }
}

/// Publishes the heap (see [`heap::publish`]), and shows it to the scopes that are open.
pub fn publish(cells: &ThreadCells) -> i64 {
    let heap = heap::publish(cells);
    saw(cells, heap);
    heap
}

/// As [`publish`], but see [`heap::publish_much`].
#[inline]
pub fn publish_much(cells: &ThreadCells) -> i64 {
    let heap = heap::publish_much(cells);
    saw(cells, heap);
    heap
}

/// The calling thread has counted an operation in `cells`; the process's heap is `heap` now.
#[inline]
fn saw(cells: &ThreadCells, heap: i64) {
    if OPEN.load(Ordering::Relaxed) != 0 || is_open() {
        note(cells, heap);
    }
}

#[cold]
fn note(cells: &ThreadCells, heap: i64) {
    if thread_counts::is_untracked() {
        return;
    }
    let (allocated, freed) = thread_counts::bytes_with(cells);
    let net = allocated.wrapping_sub(freed) as i64;
    if is_open() {
        INNERMOST.with(|innermost| innermost.go_to(net));
    }
    let mut open = OPEN.load(Ordering::Relaxed);
    while open != 0 {
        let lowest = open.trailing_zeros() as usize;
        PEAKS[lowest].fetch_max(heap, Ordering::Relaxed);
        open &= open - 1;
    }
}

/// The calling thread takes the slow path at its next operation, which says what it does then.
pub fn want_every_operation() {
    // 0 is "at every operation".
    let cells = own_work::of_program();
    if !slot::is_no_slot(cells) {
        for threshold in [&cells.alloc_next, &cells.free_next, &cells.publish_frees_at] {
            threshold.store(0, Ordering::Relaxed);
        }
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
        let start = ThreadCounts::now().net();
        let around = INNERMOST.with(|innermost| {
            let around = innermost.clone();
            let is_inside = around.depth.get() > 0;
            if is_inside {
                around.go_to(start);
            }
            let outermost = match is_inside {
                true => scope.min(around.outermost.get()),
                false => scope,
            };
            innermost.become_like(&Innermost {
                depth: Cell::new(around.depth.get() + 1),
                scope: Cell::new(scope),
                outermost: Cell::new(outermost),
                start: Cell::new(start),
                ..Innermost::none()
            });
            around
        });
        want_every_operation();
        ThreadCourse { around }
    }

    /// What the thread held in the scope, without what is certainly older than it.
    pub fn close(self) -> Course {
        let now = ThreadCounts::now().net();
        INNERMOST.with(|innermost| {
            innermost.go_to(now);
            if self.around.depth.get() > 0 {
                self.around.add(innermost);
            }
            let seen = innermost.seen.get();
            innermost.become_like(&self.around);
            seen
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
                    PEAKS[free as usize].store(heap::heap(), Ordering::Relaxed);
                    return Some(ProcessPeak(free as usize));
                }
                Err(other) => open = other,
            }
        }
    }

    /// *Bytes.*
    pub fn close(self) -> i64 {
        let peak = PEAKS[self.0].load(Ordering::Relaxed).max(heap::heap());
        OPEN.fetch_and(!(1 << self.0), Ordering::AcqRel);
        peak
    }
}
