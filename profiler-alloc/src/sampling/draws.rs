//! The random numbers of a thread, whose state stands in its record.

use core::sync::atomic::Ordering;

use profiler_alloc_format::ThreadCells;

use crate::sampling::weights;

/// The next random number of a thread.
pub fn random(cells: &ThreadCells) -> u64 {
    let (state, random) = weights::next_random(cells.random.load(Ordering::Relaxed));
    cells.random.store(state, Ordering::Relaxed);
    random
}
