//! The slow path of every allocator method: whatever the fast path could not finish with two
//! additions.
//!
//! ```text
//! counted fast ──yes──▶ done
//!      │no
//! memprof's own work? ──yes──▶ count it apart, done
//!      │no
//! already in here (a signal handler)? ──yes──▶ count, note the loss, done
//!      │no
//! slot of the active pool?  ──no──▶ take one ──none left──▶ count in the shared slot
//!      │
//! count ──▶ recording? ──▶ Recorder
//!                └──no──▶ publish the heap
//! ```
//! A sampled block that is freed without reaching the recorder is untracked all the same: its
//! address is about to be another block's. `at` holds the registers of the allocator's method,
//! from which the stack is walked.
//!
//! Rules: nothing here panics, allocates, or waits for a lock; `errno` stays as it was.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use profiler_alloc_format::ThreadCells;

use crate::counters::open_scopes;
use crate::counters::own_work;
use crate::counters::reentrancy::Inside;
use crate::counters::slot::{self, Operation};
use crate::ffi::os;
#[cfg(feature = "preload")]
use crate::resident::block_sizes;
use crate::sampling::block::Block;
use crate::sampling::fast_path;
use crate::session::attach;
use crate::session::context_counts;
use crate::session::control_page;
use crate::session::fork;
use crate::session::forked;
use crate::session::start;
use crate::session::thread_exit;
use crate::session::threads;
use crate::session::{self, Recorder};
use crate::unwinder::modules;
use crate::unwinder::registers::Registers;

static STARTED: AtomicBool = AtomicBool::new(false);
/// False before a preloaded recorder has looked at the program: it starts in a constructor, on the
/// program's first stack, and not in the first allocation, wherever that is.
static MAY_START: AtomicBool = AtomicBool::new(cfg!(not(feature = "preload")));

/// An allocation of `size` bytes succeeded at `address`.
#[cold]
#[inline(never)]
pub fn allocated(at: Registers, address: usize, size: usize) {
    let size = size as u64;
    open_scopes::allocated(address);
    count_and_record(Operation::Alloc { size }, |recorder, cells| {
        recorder.allocated(cells, at, address, size)
    });
}

/// The block at `address` is about to be freed.
#[cold]
#[inline(never)]
pub fn freeing(at: Registers, address: usize, size: usize) {
    let size = size as u64;
    open_scopes::freeing(address, size);
    let is_recorded = count_and_record(Operation::Free { size }, |recorder, cells| {
        recorder.freeing(cells, at, address, size)
    });
    if !is_recorded && let Some(recorder) = ours() {
        recorder.drop_block(address);
    }
}

/// False if the block at `address` was certainly not sampled.
#[inline(always)]
pub fn may_be_sampled(address: usize) -> bool {
    // This thread may not have joined the recording yet: then the filter it asks has no answer.
    session::current().is_some() && !fast_path::is_unsampled(address)
}

/// The block at `address` is about to be reallocated: untracks it, so that whoever gets the address
/// next is not confused.
pub fn before_realloc(address: usize) -> Option<Block> {
    let recorder = session::current()?;
    if !recorder.is_ours() || recorder.sampled.filter.lacks(address) {
        return None;
    }
    let _errno = os::Errno::keep();
    let Some(_inside) = Inside::enter() else {
        recorder.drop_block(address);
        return None;
    };
    recorder.untrack(address)
}

/// The reallocation failed; the block is as it was.
#[cold]
pub fn realloc_failed(old: Option<Block>) {
    if let (Some(block), Some(recorder)) = (old, ours()) {
        let _errno = os::Errno::keep();
        let _inside = Inside::enter();
        recorder.track_again(block);
    }
}

/// A reallocation succeeded; `old` is what [`before_realloc`] gave, `addresses` and `sizes` are the
/// old and the new one.
#[inline(never)]
pub fn reallocated(
    at: Registers,
    old: Option<Block>,
    addresses: (usize, usize),
    sizes: (usize, usize),
) {
    let sizes = (sizes.0 as u64, sizes.1 as u64);
    let (old_address, address) = addresses;
    open_scopes::reallocated(old_address, address, sizes);
    let operation = Operation::Realloc {
        old: sizes.0,
        new: sizes.1,
    };
    let is_recorded = count_and_record(operation, |recorder, cells| {
        recorder.reallocated(cells, at, old, address, sizes);
    });
    if !is_recorded && let (Some(block), Some(recorder)) = (old, ours()) {
        recorder.lose(block);
    }
}

/// True if `record` was called.
fn count_and_record(
    operation: Operation,
    record: impl FnOnce(&'static Recorder, &'static ThreadCells),
) -> bool {
    if own_work::is_own(slot::current()) {
        operation.count_shared(own_work::cells());
        return false;
    }
    let _errno = os::Errno::keep();
    let Some(_inside) = Inside::enter() else {
        count_inside(operation);
        return false;
    };
    let recorder = active_recorder();
    let cells = slot::current();
    let joined = match threads::has_joined(cells, recorder) {
        true => Some((recorder, cells)),
        false => join_pool(),
    };
    let Some((recorder, cells)) = joined else {
        threads::count_shared(operation);
        return false;
    };
    operation.count(cells);
    match recorder {
        Some(recorder) => record(recorder, cells),
        None => {
            open_scopes::publish(cells);
            threads::reset_thresholds(cells);
            forked::record_if_due(cells);
        }
    }
    context_counts::bring_up_to_date_now_and_then(cells);
    // After the thresholds are set: a request that comes now has the thread come back here.
    if control_page::is_asked() {
        attach::answer();
    }
    recorder.is_some()
}

/// Gives the calling thread a slot of the active pool, which the first thread of all may activate
/// here.
#[cold]
#[inline(never)]
fn join_pool() -> Option<(Option<&'static Recorder>, &'static ThreadCells)> {
    if !STARTED.load(Ordering::Relaxed) && MAY_START.load(Ordering::Relaxed) {
        start();
    }
    let recorder = active_recorder();
    let cells = threads::join(recorder)?;
    thread_exit::watch(cells);
    Some((recorder, cells))
}

/// Starts a recording if the environment asks for one.
fn start() {
    STARTED.store(true, Ordering::Relaxed);
    modules::note_start();
    control_page::open();
    start::from_env();
}

/// The program or library is being loaded: its first operation need not start anything.
#[cold]
#[inline(never)]
pub fn start_at_load() {
    let _errno = os::Errno::keep();
    if let Some(_inside) = Inside::enter()
        && !STARTED.load(Ordering::Relaxed)
    {
        start();
    }
}

/// A preloaded recorder has looked at the program, and is to record it if the environment asks for
/// that. `is_glibcs` says that the blocks are the GNU C library's, each of which has room for one
/// byte more.
#[cfg(feature = "preload")]
pub fn start_preloaded(is_glibcs: bool) {
    block_sizes::say(is_glibcs.then_some(1));
    MAY_START.store(true, Ordering::Relaxed);
    start_at_load();
}

/// The active recording, if it is this process's.
fn ours() -> Option<&'static Recorder> {
    session::current().filter(|recorder| recorder.is_ours())
}

/// Has the calling thread count in `recorder`'s file now, rather than at its next look-up. Gives
/// the number of its slot; 0 if it has none.
#[cold]
pub fn join(recorder: &'static Recorder) -> u32 {
    let _errno = os::Errno::keep();
    let Some(_inside) = Inside::enter() else {
        return 0;
    };
    if !threads::has_joined(own_work::of_program(), Some(recorder)) && take(recorder).is_none() {
        return 0;
    }
    slot::number()
}

/// The slot of the calling thread in `recorder`'s file, taken now if need be. To be called inside
/// the slow path, outside of memprof's own work.
pub fn joined(recorder: &'static Recorder) -> Option<&'static ThreadCells> {
    let cells = slot::current();
    match threads::has_joined(cells, Some(recorder)) {
        true => Some(cells),
        false => take(recorder),
    }
}

#[cold]
fn take(recorder: &'static Recorder) -> Option<&'static ThreadCells> {
    let cells = threads::join(Some(recorder))?;
    thread_exit::watch(cells);
    Some(cells)
}

/// The active recording, unless this is a child of the process it belongs to.
fn active_recorder() -> Option<&'static Recorder> {
    let recorder = session::current()?;
    if recorder.is_ours() {
        return Some(recorder);
    }
    fork::become_child();
    None
}

/// The same thread is in the slow path already: the operation is counted, and not sampled.
#[cold]
fn count_inside(operation: Operation) {
    let cells = slot::current();
    if slot::is_no_slot(cells) {
        threads::count_shared(operation);
    } else {
        operation.count(cells);
    }
    if let Some(recorder) = ours() {
        let lost: &AtomicU64 = &recorder.store.header().lost_reentrant;
        lost.fetch_add(1, Ordering::Relaxed);
    }
}
