//! Whether anything is counted at all, and how the program's allocator is spoken to.

use core::alloc::Layout;

use crate::counters::slot;
use crate::ffi::memory;

/// An alignment that nobody asks for: the request is a message, which the size tells, and gets no
/// block.
pub const KNOCK: usize = 1 << (usize::BITS - 2);
/// The message: a recording may begin.
pub const START: usize = 1;
/// The message: say what the inner allocator is.
pub const INTRODUCE: usize = 2;

/// Gives the program's allocator a message. Without effect if it is no
/// [`ProfilerAlloc`](crate::ProfilerAlloc).
pub fn knock(message: usize) {
    if let Ok(layout) = Layout::from_size_align(message, KNOCK) {
        memory::ask_in_vain(layout);
    }
}

/// True if the program's global allocator is a [`ProfilerAlloc`](crate::ProfilerAlloc).
pub fn is_installed() -> bool {
    let allocate = || drop(core::hint::black_box(Box::new(0u8)));
    // The first one may make the thread join a new pool of slots, whose counts are others.
    allocate();
    let before = slot::own_allocs();
    allocate();
    slot::own_allocs() != before
}
