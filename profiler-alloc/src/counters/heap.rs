//! The heap in use in the whole process, and its highest value.
//!
//! Each thread counts for itself and *publishes* the change now and then: at least every [`STEP`]
//! bytes that it allocates or frees. So the heap is exact for the thread that asks, and exact to
//! 64 KiB for every other one.
//!
//! [`STEP`]: crate::counters::slot::STEP

use core::sync::atomic::{AtomicI64, Ordering};

use profiler_alloc_format::ThreadCells;

use crate::counters::own_work::of_program;

/// Bytes that a thread which is recorded exactly may leave unpublished. `HEAP` is one contended
/// cache line: publishing every block would serialize the threads on it.
const LITTLE: u64 = 4 << 10;

/// Alone in its cache lines: processors take them in pairs of 64 bytes.
#[repr(align(128))]
struct Shared(AtomicI64);

/// Heap in use in the whole process, as published, and its highest value.
static HEAP: Shared = Shared(AtomicI64::new(0));
static PEAK: Shared = Shared(AtomicI64::new(0));

/// Adds what this thread has allocated and freed since the last time to the process's heap, and
/// gives that. *Bytes.*
pub fn publish(cells: &ThreadCells) -> i64 {
    let (net, change) = unpublished(cells);
    cells.published.store(net, Ordering::Relaxed);
    let heap = HEAP
        .0
        .fetch_add(change, Ordering::Relaxed)
        .wrapping_add(change);
    raise_peak(heap)
}

/// As [`publish`], but changes of up to [`LITTLE`] bytes are left for later.
#[inline]
pub fn publish_much(cells: &ThreadCells) -> i64 {
    let (_, change) = unpublished(cells);
    if change.unsigned_abs() > LITTLE {
        return publish(cells);
    }
    raise_peak(HEAP.0.load(Ordering::Relaxed).wrapping_add(change))
}

/// The process's heap is `heap` bytes, which it gives.
#[inline]
fn raise_peak(heap: i64) -> i64 {
    if heap > PEAK.0.load(Ordering::Relaxed) {
        PEAK.0.fetch_max(heap, Ordering::Relaxed);
    }
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

/// As [`heap`], for the thread whose slot is `cells`.
#[inline]
pub fn heap_with(cells: &ThreadCells) -> i64 {
    let (_, change) = unpublished(cells);
    HEAP.0.load(Ordering::Relaxed).wrapping_add(change)
}

/// The word that holds the heap in use, as published.
pub fn published() -> &'static AtomicI64 {
    &HEAP.0
}

/// Highest heap in use so far, in bytes, as published.
pub fn peak() -> i64 {
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
}
