//! Exact counts of a stretch of code, after `stats_alloc::Region`.

use core::alloc::GlobalAlloc;
use core::marker::PhantomData;

use stats_alloc::Stats;

use crate::ProfilerAlloc;
use crate::stats;

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
pub struct Region<'a, A: GlobalAlloc> {
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
