//! Exact counts of the process, of a thread, or of a heap.

/// Exact counts, from counters and not from samples.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Calls of `alloc` and `alloc_zeroed` that returned a block.
    pub allocs: u64,
    /// Calls of `dealloc`.
    pub frees: u64,
    /// Calls of `realloc` that succeeded.
    pub reallocs: u64,
    /// Bytes allocated, the new size of every realloc included.
    pub alloc_bytes: u64,
    /// Bytes freed, the old size of every realloc included.
    pub freed_bytes: u64,
}

impl Counters {
    pub(super) fn add(&mut self, other: &Counters) {
        self.allocs = self.allocs.saturating_add(other.allocs);
        self.frees = self.frees.saturating_add(other.frees);
        self.reallocs = self.reallocs.saturating_add(other.reallocs);
        self.alloc_bytes = self.alloc_bytes.saturating_add(other.alloc_bytes);
        self.freed_bytes = self.freed_bytes.saturating_add(other.freed_bytes);
    }
}
