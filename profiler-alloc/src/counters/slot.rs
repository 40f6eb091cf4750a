//! Exact counts: one record of plain counters per thread, written by that thread alone.
//!
//! A thread finds its record through a thread-local; one without a record finds [`UNSET`], whose
//! thresholds send every operation down the slow path, so the fast path needs no check. Records
//! stand in a pool: in private memory when nothing is recorded, in the profile file during a
//! recording. They outlive their threads and are taken over by later ones, so the sum over all
//! records of all pools is what the process has ever allocated and freed.

use core::cell::Cell;
use core::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use profiler_alloc_format::ThreadCells;

use crate::counters::open_scopes;
use crate::counters::own_work::{self, of_program};
use crate::counters::thread_counts::{self, OwnCounts};
use crate::ffi::os;
use crate::lockfree::active::look_up;
use crate::lockfree::lazy_slice::LazySlice;
use crate::lockfree::slot_pool::{self, FreeRecords};
use crate::sampling::fast_path;
use crate::session::{self, Recorder};

/// Bytes a thread may allocate or free before it publishes its heap and looks up.
pub const STEP: u64 = 64 << 10;

/// Generation of [`UNSET`], which no recording has.
pub const NOBODY: u64 = u64::MAX;

static UNSET: ThreadCells = {
    let mut cells = ThreadCells::empty();
    cells.generation = AtomicU64::new(NOBODY);
    cells
};

/// Records for when nothing is recorded.
static PRIVATE: LazySlice<ThreadCells> = LazySlice::new(16 << 10);
static PRIVATE_COUNT: AtomicU64 = AtomicU64::new(1);
static PRIVATE_FREE: FreeRecords = FreeRecords::new();

/// Bytes that a thread which is recorded exactly may keep to itself: what all threads write, each
/// waits for.
const LITTLE: u64 = 4 << 10;

/// Alone in its cache lines: processors take them in pairs of 64 bytes.
#[repr(align(128))]
struct Shared(AtomicI64);

/// Heap in use in the whole process, as published, and its highest value.
static HEAP: Shared = Shared(AtomicI64::new(0));
static PEAK: Shared = Shared(AtomicI64::new(0));

thread_local! {
    static CELLS: Cell<&'static ThreadCells> = const { Cell::new(&UNSET) };
    static NUMBER: Cell<u32> = const { Cell::new(0) };
    /// Generation of the recording that had no record left for this thread.
    static REFUSED: Cell<u64> = const { Cell::new(0) };
}

/// Adds to a counter that only this thread writes: a load and a store, no locked instruction.
#[inline(always)]
pub fn bump(counter: &AtomicU64, by: u64) {
    counter.store(
        counter.load(Ordering::Relaxed).wrapping_add(by),
        Ordering::Relaxed,
    );
}

/// The calling thread's record, or [`UNSET`].
#[inline(always)]
pub fn current() -> &'static ThreadCells {
    CELLS.try_with(Cell::get).unwrap_or(&UNSET)
}

/// The calling thread counts in that record from now on.
pub fn set_current(cells: &'static ThreadCells) {
    let _ = CELLS.try_with(|current| current.set(cells));
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
    /// Counts it in a record of the calling thread.
    #[inline]
    pub fn count(self, cells: &ThreadCells) {
        self.add_to(cells, bump);
    }

    /// Counts it as memprof's own.
    #[cold]
    pub fn count_own(self) {
        self.add_to(own_work::cells(), add_atomically);
    }

    /// Counts it in the record shared by threads that have none: slower, and as exact.
    #[cold]
    pub fn count_shared(self) {
        let shared = match session::current() {
            Some(recorder) => recorder.store.threads.get(0),
            None => PRIVATE.open().map(|cells| &cells[0]),
        };
        if let Some(cells) = shared {
            self.add_to(cells, add_atomically);
        }
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

/// True if the calling thread has a record of the pool in force.
#[inline]
pub fn has_joined(cells: &ThreadCells, recorder: Option<&Recorder>) -> bool {
    cells.generation.load(Ordering::Relaxed) == recorder.map_or(0, |recorder| recorder.generation)
}

/// Gives the calling thread a record of the pool in force, and the old one back. `None` if there is
/// none left.
#[cold]
pub fn join(recorder: Option<&'static Recorder>) -> Option<&'static ThreadCells> {
    leave();
    let taken = match recorder {
        Some(recorder) => recorder.take_thread().or_else(|| count_refusal(recorder)),
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
    cells.stack_top.store(0, Ordering::Relaxed);
    match recorder {
        Some(recorder) => recorder.welcome(cells),
        None => rearm(cells),
    }
    change_to(cells, recorder);
    NUMBER.try_with(|current| current.set(number)).ok()?;
    Some(cells)
}

/// Counts a thread that there is no record for, once.
fn count_refusal<T>(recorder: &Recorder) -> Option<T> {
    let before = REFUSED.try_with(|refused| refused.replace(recorder.generation));
    if before != Ok(recorder.generation) {
        let header = recorder.store.header();
        header.lost_threads.fetch_add(1, Ordering::Relaxed);
    }
    None
}

/// True for the record of threads that have none.
pub fn is_nobody(cells: &ThreadCells) -> bool {
    core::ptr::eq(cells, &UNSET)
}

/// Number of the calling thread's record.
pub fn number() -> u32 {
    NUMBER.try_with(Cell::get).unwrap_or(0)
}

/// Gives the calling thread's record back, its counts published.
pub fn leave() {
    let cells = of_program();
    if is_nobody(cells) {
        return;
    }
    publish(cells);
    change_to(&UNSET, None);
    let free = match session::with_generation(cells.generation.load(Ordering::Relaxed)) {
        Some(recorder) => &recorder.free_threads,
        None => &PRIVATE_FREE,
    };
    free.give_back(cells, number() as usize);
}

/// Every thread that only counts takes the slow path next.
pub fn look_up_all() {
    let count = PRIVATE_COUNT.load(Ordering::Acquire) as usize;
    let records = PRIVATE.get().unwrap_or_default();
    records.iter().take(count).for_each(look_up);
}

/// In a forked child: forgets the parent's records without giving them back.
pub fn forget() {
    change_to(&UNSET, None);
}

/// The calling thread counts in `cells`, a record of `recorder`, from now on.
fn change_to(cells: &'static ThreadCells, recorder: Option<&'static Recorder>) {
    let own = OwnCounts::now();
    fast_path::ask(recorder.map(|recorder| recorder.sampled.filter));
    own_work::change_program_to(cells);
    thread_counts::carry_over(own, cells);
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
    PRIVATE_FREE.take(count(), get).or_else(|| {
        let at = PRIVATE_COUNT
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |count| {
                (count < records.len() as u64).then_some(count + 1)
            })
            .ok()? as usize;
        slot_pool::claim(&records[at]);
        Some((at as u32, &records[at]))
    })
}

/// Adds what this thread has allocated and freed since the last time to the process's heap, and
/// gives that. *Bytes.*
pub fn publish(cells: &ThreadCells) -> i64 {
    let (net, change) = unpublished(cells);
    cells.published.store(net, Ordering::Relaxed);
    let heap = HEAP
        .0
        .fetch_add(change, Ordering::Relaxed)
        .wrapping_add(change);
    saw(cells, heap)
}

/// As [`publish`], but changes of up to [`LITTLE`] bytes are left for later.
#[inline]
pub fn publish_much(cells: &ThreadCells) -> i64 {
    let (_, change) = unpublished(cells);
    if change.unsigned_abs() > LITTLE {
        return publish(cells);
    }
    saw(cells, HEAP.0.load(Ordering::Relaxed).wrapping_add(change))
}

/// The process's heap is `heap` bytes, which it gives.
#[inline]
fn saw(cells: &ThreadCells, heap: i64) -> i64 {
    if heap > PEAK.0.load(Ordering::Relaxed) {
        PEAK.0.fetch_max(heap, Ordering::Relaxed);
    }
    open_scopes::saw(cells, heap);
    heap
}

/// What a thread has allocated minus freed, and by how much that has changed since it was
/// published.
#[inline]
fn unpublished(cells: &ThreadCells) -> (u64, i64) {
    let net = (cells.alloc_bytes.load(Ordering::Relaxed))
        .wrapping_sub(cells.freed_bytes.load(Ordering::Relaxed));
    let change = net.wrapping_sub(cells.published.load(Ordering::Relaxed)) as i64;
    (net, change)
}

/// Heap in use in the whole process, in bytes: exact for the calling thread, and to [`STEP`] for
/// each other one.
#[inline]
pub fn heap() -> i64 {
    heap_with(of_program())
}

/// As [`heap`], for the thread whose record is `cells`.
#[inline]
pub fn heap_with(cells: &ThreadCells) -> i64 {
    let (_, change) = unpublished(cells);
    HEAP.0.load(Ordering::Relaxed).wrapping_add(change)
}

/// Sets the thresholds for a thread that only counts.
pub fn rearm(cells: &ThreadCells) {
    if open_scopes::is_open() {
        return session::arm(cells, 0, 0);
    }
    let alloc_next = cells.alloc_bytes.load(Ordering::Relaxed).wrapping_add(STEP);
    let free_next = cells.freed_bytes.load(Ordering::Relaxed).wrapping_add(STEP);
    session::arm(cells, alloc_next, free_next);
}

/// Calls `visit` with every record of every pool, used or free.
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

/// Allocations counted for the calling thread.
pub fn own_allocs() -> u64 {
    current().allocs.load(Ordering::Relaxed)
}

/// Highest heap in use so far, in bytes, the calling thread's latest included.
pub fn peak() -> i64 {
    let cells = of_program();
    if !is_nobody(cells) {
        publish(cells);
    }
    PEAK.0.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_is_kept_back_until_it_is_much_and_known_to_the_thread_all_the_same() {
        let cells = ThreadCells::empty();
        let published = || cells.published.load(Ordering::Relaxed);
        cells.alloc_bytes.store(LITTLE, Ordering::Relaxed);
        let before = HEAP.0.load(Ordering::Relaxed);
        let heap = publish_much(&cells);
        assert_eq!((heap - before, published()), (LITTLE as i64, 0));
        assert!(PEAK.0.load(Ordering::Relaxed) >= heap);
        cells.alloc_bytes.store(LITTLE + 1, Ordering::Relaxed);
        assert_eq!(publish_much(&cells) - before, LITTLE as i64 + 1);
        assert_eq!(published(), LITTLE + 1);
        // Downwards, too.
        cells.freed_bytes.store(LITTLE, Ordering::Relaxed);
        publish_much(&cells);
        assert_eq!(published(), LITTLE + 1);
        cells.freed_bytes.store(LITTLE + 1, Ordering::Relaxed);
        publish_much(&cells);
        assert_eq!(published(), 0);
    }

    #[test]
    fn a_counter_at_its_end_wraps() {
        let cells = ThreadCells::empty();
        cells.alloc_bytes.store(u64::MAX - 10, Ordering::Relaxed);
        cells.allocs.store(u64::MAX, Ordering::Relaxed);
        Operation::Alloc { size: 21 }.count(&cells);
        Operation::Realloc { old: 0, new: 0 }.count(&cells);
        assert_eq!(cells.alloc_bytes.load(Ordering::Relaxed), 10);
        assert_eq!(cells.allocs.load(Ordering::Relaxed), 0);
        rearm(&cells);
        assert_eq!(cells.alloc_next.load(Ordering::Relaxed), 10 + STEP);
    }
}
