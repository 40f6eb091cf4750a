//! The slow path of every allocator method: what the fast path could not settle by two additions.
//!
//! ```text
//! counted fast ──yes──▶ done
//!      │no
//! memprof's own work? ──yes──▶ count it apart, done
//!      │no
//! already in here (signal, our own doing)? ──yes──▶ count, note the loss, done
//!      │no
//! record of the pool in force? ──no──▶ join it ──none left──▶ count in the shared record
//!      │
//! count ──▶ recording? ──▶ Recorder
//!                └──no──▶ publish the heap
//! ```
//! A sampled block that is freed without reaching the recorder is forgotten all the same: its
//! address is about to be another block's. `at` is where the allocator's method stands, which is
//! where a stack is walked from.
//!
//! Rules: nothing here panics, allocates, or waits for a lock; `errno` stays as it was.

use core::cell::Cell;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use profiler_alloc_format::ThreadCells;

use crate::block::Block;
use crate::counters::{self, Operation};
use crate::recorder::{self, Recorder};
use crate::registers::Registers;
use crate::{fork, modules, own_record, start, sys, thread_exit, unsampled, watch};

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

static STARTED: AtomicBool = AtomicBool::new(false);

/// Keeps a thread from entering the slow path while it is in it.
pub struct Inside(());

impl Inside {
    pub fn enter() -> Option<Inside> {
        let was_inside = INSIDE
            .try_with(|inside| inside.replace(true))
            .unwrap_or(true);
        // Not `then_some`: a guard made for nothing would open the door when it is dropped.
        if was_inside { None } else { Some(Inside(())) }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _ = INSIDE.try_with(|inside| inside.set(false));
    }
}

/// An allocation of `size` bytes succeeded at `address`.
#[cold]
#[inline(never)]
pub fn allocated(at: Registers, address: usize, size: usize) {
    let size = size as u64;
    watch::allocated(address);
    settle(Operation::Alloc { size }, |recorder, cells| {
        recorder.allocated(cells, at, address, size)
    });
}

/// The block at `address` is about to be freed.
#[cold]
#[inline(never)]
pub fn freeing(at: Registers, address: usize, size: usize) {
    let size = size as u64;
    watch::freeing(address, size);
    let is_recorded = settle(Operation::Free { size }, |recorder, cells| {
        recorder.freeing(cells, at, address, size)
    });
    if !is_recorded && let Some(recorder) = ours() {
        recorder.forget(address);
    }
}

/// False if the block at `address` was certainly not sampled.
#[inline(always)]
pub fn may_be_sampled(address: usize) -> bool {
    // This thread may not have joined the recording yet: then the filter it asks has no answer.
    recorder::current().is_some() && !unsampled::is_unsampled(address)
}

/// The block at `address` is about to be reallocated: forgets it, so that whoever gets the address
/// next is not confused.
pub fn before_realloc(address: usize) -> Option<Block> {
    let recorder = recorder::current()?;
    if !recorder.is_ours() || recorder.sampled.filter.lacks(address) {
        return None;
    }
    let _errno = sys::Errno::keep();
    let Some(_inside) = Inside::enter() else {
        recorder.forget(address);
        return None;
    };
    recorder.take_block(address)
}

/// The reallocation failed; the block is as it was.
#[cold]
pub fn realloc_failed(old: Option<Block>) {
    if let (Some(block), Some(recorder)) = (old, ours()) {
        let _errno = sys::Errno::keep();
        let _inside = Inside::enter();
        recorder.put_back(block);
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
    watch::reallocated(old_address, address, sizes);
    let operation = Operation::Realloc {
        old: sizes.0,
        new: sizes.1,
    };
    let is_recorded = settle(operation, |recorder, cells| {
        recorder.reallocated(cells, at, old, address, sizes);
    });
    if !is_recorded && let (Some(block), Some(recorder)) = (old, ours()) {
        recorder.lose(block);
    }
}

/// True if `record` was called.
fn settle(
    operation: Operation,
    record: impl FnOnce(&'static Recorder, &'static ThreadCells),
) -> bool {
    if own_record::is_own(counters::current()) {
        operation.count_own();
        return false;
    }
    let _errno = sys::Errno::keep();
    let Some(_inside) = Inside::enter() else {
        count_inside(operation);
        return false;
    };
    let recorder = recorder_in_force();
    let cells = counters::current();
    let joined = match counters::has_joined(cells, recorder) {
        true => Some((recorder, cells)),
        false => join_pool(),
    };
    let Some((recorder, cells)) = joined else {
        operation.count_shared();
        return false;
    };
    operation.count(cells);
    match recorder {
        Some(recorder) => record(recorder, cells),
        None => {
            counters::publish(cells);
            counters::rearm(cells);
        }
    }
    recorder.is_some()
}

/// Gives the calling thread a record of the pool in force, which the first thread of all may put in
/// force here.
#[cold]
#[inline(never)]
fn join_pool() -> Option<(Option<&'static Recorder>, &'static ThreadCells)> {
    if !STARTED.load(Ordering::Relaxed) {
        STARTED.store(true, Ordering::Relaxed);
        modules::note_start();
        start::from_env();
    }
    let recorder = recorder_in_force();
    let cells = counters::join(recorder)?;
    thread_exit::watch(cells);
    Some((recorder, cells))
}

/// The recording in force, if it is this process's.
fn ours() -> Option<&'static Recorder> {
    recorder::current().filter(|recorder| recorder.is_ours())
}

/// Has the calling thread count in `recorder`'s file now, rather than at its next look-up. Gives
/// the number of its record; 0 if it has none.
#[cold]
pub fn join(recorder: &'static Recorder) -> u32 {
    let _errno = sys::Errno::keep();
    let Some(_inside) = Inside::enter() else {
        return 0;
    };
    if !counters::has_joined(own_record::of_program(), Some(recorder)) {
        let Some(cells) = counters::join(Some(recorder)) else {
            return 0;
        };
        thread_exit::watch(cells);
    }
    counters::number()
}

/// The recording in force, unless this is a child of the process it belongs to.
fn recorder_in_force() -> Option<&'static Recorder> {
    let recorder = recorder::current()?;
    if recorder.is_ours() {
        return Some(recorder);
    }
    fork::become_child();
    None
}

/// The same thread is in the slow path already: the operation is counted, and not sampled.
#[cold]
fn count_inside(operation: Operation) {
    let cells = counters::current();
    if counters::is_nobody(cells) {
        operation.count_shared();
    } else {
        operation.count(cells);
    }
    if let Some(recorder) = ours() {
        let lost: &AtomicU64 = &recorder.store.header().lost_reentrant;
        lost.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_enters_twice_however_often_it_is_tried() {
        let first = Inside::enter();
        assert!(first.is_some());
        assert!((0..3).all(|_| Inside::enter().is_none()));
        drop(first);
        assert!(Inside::enter().is_some());
    }
}
