//! Exact counts of the whole process, and of a stretch of code after `stats_alloc::Region`.

use core::alloc::GlobalAlloc;
use core::marker::PhantomData;

use stats_alloc::Stats;

use crate::allocator::ProfilerAlloc;
use crate::counters::{heap, open_scopes, own_work, slot};
use crate::session::threads;

/// Exact counts of the whole process so far, in `stats_alloc`'s vocabulary: a `realloc` counts as
/// one reallocation, and as allocating what it grows or freeing what it shrinks.
///
/// Exact for everything that happened before the call in this thread, and in threads it has
/// synchronised with. All zero if [`ProfilerAlloc`] is not the global allocator.
pub fn stats() -> Stats {
    threads::process_totals().to_stats()
}

/// Heap in use in the whole process, in bytes as requested: allocated minus freed.
pub fn heap_in_use() -> usize {
    threads::process_totals().heap().max(0) as usize
}

/// Highest heap in use so far, in bytes as requested.
///
/// A thread publishes its heap at least every 64 KiB that it allocates or frees, so the peak is
/// exact to 64 KiB for each thread that allocated or freed around it; a single thread recorded
/// exactly has an exact peak.
pub fn peak_heap() -> usize {
    let cells = own_work::of_program();
    if !slot::is_no_slot(cells) {
        open_scopes::publish(cells);
    }
    heap::peak().max(0) as usize
}

/// The former name of [`peak_heap`].
#[deprecated(since = "0.1.0", note = "renamed to `peak_heap`")]
pub fn peak() -> usize {
    peak_heap()
}

/// The difference between the counts now and when the region began; of the whole process.
///
/// ```
/// use profiler_alloc::{ProfilerAlloc, Region};
///
/// #[global_allocator]
/// static ALLOC: ProfilerAlloc = ProfilerAlloc::system();
///
/// # fn main() {
/// let region = Region::new(&ALLOC);
/// let list = vec![0u8; 4096];
/// assert_eq!(region.change().bytes_allocated, 4096);
/// # drop(list);
/// # }
/// ```
#[derive(Debug)]
pub struct Region<'a, A> {
    initial: Stats,
    allocator: PhantomData<&'a ProfilerAlloc<A>>,
}

impl<'a, A: GlobalAlloc> Region<'a, A> {
    /// Begins a region. Takes the allocator as `stats_alloc` does; the counts are the process's.
    pub fn new(_allocator: &'a ProfilerAlloc<A>) -> Self {
        Region {
            initial: stats(),
            allocator: PhantomData,
        }
    }

    /// The counts at the beginning.
    pub fn initial(&self) -> Stats {
        self.initial
    }

    /// What has changed since the beginning.
    pub fn change(&self) -> Stats {
        stats() - self.initial
    }

    /// What has changed; begins anew.
    pub fn change_and_reset(&mut self) -> Stats {
        let now = stats();
        now - core::mem::replace(&mut self.initial, now)
    }

    /// Begins anew.
    pub fn reset(&mut self) {
        self.initial = stats();
    }
}
