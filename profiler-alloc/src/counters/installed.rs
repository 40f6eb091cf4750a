//! Whether anything is counted at all.

use crate::counters::slot;

/// True if the program's global allocator is a [`ProfilerAlloc`](crate::ProfilerAlloc).
pub fn is_installed() -> bool {
    let allocate = || drop(core::hint::black_box(Box::new(0u8)));
    // The first one may make the thread join a new pool of records, whose counts are others.
    allocate();
    let before = slot::own_allocs();
    allocate();
    slot::own_allocs() != before
}
