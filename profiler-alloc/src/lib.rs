//! A stand-in with the final names, so that the examples compile on this branch: forwards, records nothing.

use std::alloc::{GlobalAlloc, Layout, System};

/// The allocator to register.
#[derive(Debug, Default)]
pub struct ProfilerAlloc<A = System> {
    inner: A,
}

impl ProfilerAlloc {
    /// Over the system's allocator.
    pub const fn system() -> Self {
        Self { inner: System }
    }
}

// SAFETY: every call goes to the inner allocator unchanged.
unsafe impl<A: GlobalAlloc> GlobalAlloc for ProfilerAlloc<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as promised by our caller.
        unsafe { self.inner.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as promised by our caller.
        unsafe { self.inner.dealloc(block, layout) }
    }
}
