//! Which thread counts in which slot: of a recording's file, or of private memory while nothing is
//! recorded.
//!
//! Example: 200 threads run, one after another, two at a time. They use two slots of the file; the
//! table shows each slot's latest name.

use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering};

use profiler_alloc_format::ThreadCells;

use crate::counters::open_scopes::publish;
use crate::counters::own_work::{self, of_program};
use crate::counters::slot::{self, Operation, STEP, is_no_slot, number};
use crate::counters::thread_counts::{self, ThreadCounts};
use crate::counters::totals::Totals;
use crate::ffi::os;
use crate::ffi::thread_local::thread_locals;
use crate::lockfree::active::force_slow_path;
use crate::lockfree::lazy_slice::LazySlice;
use crate::lockfree::slot_pool::{self, SlotPool};
use crate::sampling::fast_path;
use crate::session::control_page;
use crate::session::{self, Recorder};
use crate::session::{context_counts, context_watch};
use crate::unwinder::stack_memory::OwnStack;

/// Slots for when nothing is recorded.
static PRIVATE: LazySlice<ThreadCells> = LazySlice::new(16 << 10);
static PRIVATE_COUNT: AtomicU64 = AtomicU64::new(1);
static PRIVATE_POOL: SlotPool = SlotPool::new();

thread_locals! {
    /// Generation of the recording that had no slot left for this thread.
    static REFUSED: Cell<u64> = const { Cell::new(0) };
}

/// Counts an operation in the slot shared by threads that have none.
#[cold]
pub fn count_shared(operation: Operation) {
    let shared = match session::current() {
        Some(recorder) => recorder.store.threads.get(0),
        None => PRIVATE.open().map(|cells| &cells[0]),
    };
    if let Some(cells) = shared {
        operation.count_shared(cells);
    }
}

/// True if the calling thread has a slot of the active pool.
#[inline]
pub fn has_joined(cells: &ThreadCells, recorder: Option<&Recorder>) -> bool {
    cells.generation.load(Ordering::Relaxed) == recorder.map_or(0, |recorder| recorder.generation)
}

/// Gives the calling thread a slot of the active pool, and the old one back. `None` if there is
/// none left.
#[cold]
pub fn join(recorder: Option<&'static Recorder>) -> Option<&'static ThreadCells> {
    leave();
    let taken = match recorder {
        Some(recorder) => recorder
            .take_thread()
            .or_else(|| count_lost_thread(recorder)),
        None => take_private(),
    };
    let (number, cells) = taken?;
    cells.generation.store(
        recorder.map_or(0, |recorder| recorder.generation),
        Ordering::Relaxed,
    );
    cells.tid.store(os::thread_id(), Ordering::Relaxed);
    set_name(cells);
    cells
        .start_alloc_bytes
        .store(cells.alloc_bytes.load(Ordering::Relaxed), Ordering::Relaxed);
    cells
        .start_freed_bytes
        .store(cells.freed_bytes.load(Ordering::Relaxed), Ordering::Relaxed);
    let seed = os::now_ns() ^ u64::from(os::thread_id()) << 32 ^ (&raw const *cells as u64);
    cells.random.store(seed, Ordering::Relaxed);
    cells.last_node.store(0, Ordering::Relaxed);
    cells.last_contexts.store(0, Ordering::Relaxed);
    cells.last_heaps_node.store(0, Ordering::Relaxed);
    cells.heaps_interval.store(0, Ordering::Relaxed);
    cells.stack_top.store(0, Ordering::Relaxed);
    match recorder {
        Some(recorder) => {
            let threads = &recorder.store.threads;
            control_page::threads_are(threads.get(0), &recorder.store.header().thread_count);
            let stack = OwnStack::find();
            cells.stack_low.store(stack.low as u64, Ordering::Relaxed);
            cells.stack_top.store(stack.high as u64, Ordering::Relaxed);
            recorder.on_join(cells);
        }
        None => {
            let first = PRIVATE.get().and_then(|records| records.first());
            control_page::threads_are(first, &PRIVATE_COUNT);
            reset_thresholds(cells);
        }
    }
    change_to(cells, recorder);
    slot::set_number(number).then_some(cells)
}

/// Counts a thread that there is no slot for, once.
fn count_lost_thread<T>(recorder: &Recorder) -> Option<T> {
    let before = REFUSED.try_with(|refused| refused.replace(recorder.generation));
    if before != Ok(recorder.generation) {
        let header = recorder.store.header();
        header.lost_threads.fetch_add(1, Ordering::Relaxed);
    }
    None
}

/// Gives the calling thread's slot back, its counts published.
pub fn leave() {
    let cells = of_program();
    if is_no_slot(cells) {
        return;
    }
    publish(cells);
    context_counts::bring_up_to_date();
    change_to(slot::no_slot(), None);
    let free = match session::with_generation(cells.generation.load(Ordering::Relaxed)) {
        Some(recorder) => &recorder.slot_pool,
        None => &PRIVATE_POOL,
    };
    free.give_back(cells, number() as usize);
}

/// Every thread that only counts takes the slow path next.
pub fn force_slow_path_everywhere() {
    let count = PRIVATE_COUNT.load(Ordering::Acquire) as usize;
    let records = PRIVATE.get().unwrap_or_default();
    records.iter().take(count).for_each(force_slow_path);
}

/// In a forked child: forgets the parent's slots without giving them back.
pub fn forget() {
    change_to(slot::no_slot(), None);
}

/// The calling thread counts in `cells`, a slot of `recorder`, from now on.
fn change_to(cells: &'static ThreadCells, recorder: Option<&'static Recorder>) {
    let own = ThreadCounts::now();
    fast_path::ask(recorder.map(|recorder| recorder.sampled.filter));
    own_work::change_program_to(cells);
    thread_counts::rebase(own, cells);
}

/// Thread names may be set after the first allocation; look again now and then.
pub fn set_name(cells: &ThreadCells) {
    let name = os::thread_name();
    for (cell, part) in cells.name.iter().zip(name.chunks_exact(8)) {
        let word = u64::from_le_bytes(part.try_into().unwrap_or_default());
        cell.store(word, Ordering::Relaxed);
    }
}

fn take_private() -> Option<(u32, &'static ThreadCells)> {
    let records = PRIVATE.open()?;
    let get = |at: usize| records.get(at);
    let count = || PRIVATE_COUNT.load(Ordering::Acquire) as usize;
    PRIVATE_POOL.take(count(), get).or_else(|| {
        let at = PRIVATE_COUNT
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |count| {
                (count < records.len() as u64).then_some(count + 1)
            })
            .ok()? as usize;
        slot_pool::claim(&records[at]);
        Some((at as u32, &records[at]))
    })
}

/// Sets the thresholds for a thread that only counts.
pub fn reset_thresholds(cells: &ThreadCells) {
    if context_watch::wants_every_operation() {
        return session::set_thresholds(cells, 0, 0);
    }
    let alloc_next = cells.alloc_bytes.load(Ordering::Relaxed).wrapping_add(STEP);
    let free_next = cells.freed_bytes.load(Ordering::Relaxed).wrapping_add(STEP);
    session::set_thresholds(cells, alloc_next, free_next);
}

/// Calls `visit` with every slot of every pool, used or free.
pub fn for_each(mut visit: impl FnMut(&ThreadCells)) {
    if let Some(records) = PRIVATE.get() {
        let count = PRIVATE_COUNT.load(Ordering::Acquire) as usize;
        records[..count.min(records.len())]
            .iter()
            .for_each(&mut visit);
    }
    let mut recorder = session::latest();
    while let Some(each) = recorder {
        each.for_each_thread(&mut visit);
        recorder = each.previous;
    }
}

/// Sums over the counters of the whole process.
pub fn process_totals() -> Totals {
    let mut totals = Totals::default();
    for_each(|cells| totals.add(cells));
    totals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_at_the_end_of_numbers_wraps() {
        let cells = ThreadCells::empty();
        cells.alloc_bytes.store(10, Ordering::Relaxed);
        cells.freed_bytes.store(u64::MAX - 9, Ordering::Relaxed);
        reset_thresholds(&cells);
        assert_eq!(cells.alloc_next.load(Ordering::Relaxed), 10 + STEP);
        assert_eq!(cells.free_next.load(Ordering::Relaxed), STEP - 10);
    }
}
