//! Sums over the counters of all threads.

use core::sync::atomic::{AtomicU64, Ordering};

use profiler_alloc_format::ThreadCells;
use stats_alloc::Stats;

/// Sums over records.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Totals {
    pub allocs: u64,
    pub frees: u64,
    pub reallocs: u64,
    pub alloc_bytes: u64,
    pub freed_bytes: u64,
    pub realloc_new: u64,
    pub grown: u64,
    pub shrunk: u64,
}

impl Totals {
    pub fn add(&mut self, cells: &ThreadCells) {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        self.allocs = self.allocs.wrapping_add(get(&cells.allocs));
        self.frees = self.frees.wrapping_add(get(&cells.frees));
        self.reallocs = self.reallocs.wrapping_add(get(&cells.reallocs));
        self.alloc_bytes = self.alloc_bytes.wrapping_add(get(&cells.alloc_bytes));
        self.freed_bytes = self.freed_bytes.wrapping_add(get(&cells.freed_bytes));
        self.realloc_new = self.realloc_new.wrapping_add(get(&cells.realloc_new));
        self.grown = self.grown.wrapping_add(get(&cells.grown));
        self.shrunk = self.shrunk.wrapping_add(get(&cells.shrunk));
    }

    /// Heap in use: bytes allocated minus bytes freed.
    pub fn heap(&self) -> i64 {
        self.alloc_bytes.wrapping_sub(self.freed_bytes) as i64
    }

    /// In the vocabulary of `stats_alloc`, where a realloc allocates only what it grows and frees what it shrinks.
    pub fn to_stats(self) -> Stats {
        let realloc_old = self
            .realloc_new
            .wrapping_sub(self.grown)
            .wrapping_add(self.shrunk);
        let allocated = self
            .alloc_bytes
            .wrapping_sub(self.realloc_new)
            .wrapping_add(self.grown);
        let freed = self
            .freed_bytes
            .wrapping_sub(realloc_old)
            .wrapping_add(self.shrunk);
        Stats {
            allocations: self.allocs as usize,
            deallocations: self.frees as usize,
            reallocations: self.reallocs as usize,
            bytes_allocated: allocated as usize,
            bytes_deallocated: freed as usize,
            bytes_reallocated: self.grown.wrapping_sub(self.shrunk) as isize,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No program comes so far; one that did would see its counters wrap, and go on.
    #[test]
    fn counters_wrap_beyond_all_bounds() {
        let cells = ThreadCells::empty();
        let huge = [1 << 63, (1 << 63) + 10, u64::MAX];
        let mut totals = Totals::default();
        for value in huge {
            for cell in [
                &cells.allocs,
                &cells.frees,
                &cells.reallocs,
                &cells.alloc_bytes,
                &cells.freed_bytes,
                &cells.realloc_new,
                &cells.grown,
                &cells.shrunk,
            ] {
                cell.store(value, Ordering::Relaxed);
            }
            totals.add(&cells);
        }
        let sum = huge.into_iter().fold(0u64, u64::wrapping_add);
        assert_eq!((totals.allocs, totals.alloc_bytes), (sum, sum));
        assert_eq!(totals.heap(), 0);
        assert_eq!(totals.to_stats().allocations, sum as usize);
    }
}
