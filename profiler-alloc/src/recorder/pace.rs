//! When the next sample is due, and what samples may cost.

use core::sync::atomic::Ordering;

use profiler_alloc_format::ThreadCells;

use super::Recorder;
use crate::counters::STEP;
use crate::{budget, sampling, sys, watch};

impl Recorder {
    pub(super) fn is_due(&self, cells: &ThreadCells) -> bool {
        let interval = cells.sample_interval.load(Ordering::Relaxed);
        let due = interval == 0
            || cells.alloc_bytes.load(Ordering::Relaxed) >= cells.sample_at.load(Ordering::Relaxed);
        if due && self.paused.load(Ordering::Relaxed) {
            self.draw(cells);
            return false;
        }
        due
    }

    /// Runs one sample's work, which gives the frames walked, and settles; times one in [`budget::TIMED`], and looks at the
    /// budget.
    pub(super) fn timed(&self, cells: &ThreadCells, number: u64, work: impl FnOnce() -> usize) {
        let is_timed = number.is_multiple_of(budget::TIMED);
        let start = if is_timed { sys::now_ns() } else { 0 };
        let walked = work();
        let heap = self.settle(cells);
        cells.last_heap.store(heap as u64, Ordering::Relaxed);
        if is_timed {
            let taken = self.budget.time_since(start, walked);
            let header = self.store.header();
            let own = (header.own_ns.fetch_add(taken, Ordering::Relaxed)).saturating_add(taken);
            let interval = header.interval.load(Ordering::Relaxed);
            self.change_interval(self.budget.check(own, interval, mean_size(cells)));
        }
    }

    /// Takes fewer samples from now on, if the interval may change.
    pub(super) fn widen(&self, cells: &ThreadCells, interval: u64) {
        self.change_interval(self.budget.widen(interval, mean_size(cells)));
    }

    fn change_interval(&self, interval: Option<u64>) {
        if let Some(interval) = interval {
            let header = self.store.header();
            header.interval.store(interval, Ordering::Relaxed);
            header
                .interval_widest
                .fetch_max(interval, Ordering::Relaxed);
        }
    }

    /// Draws the thread's next sampling point.
    pub(super) fn draw(&self, cells: &ThreadCells) {
        let interval = self.store.header().interval.load(Ordering::Relaxed);
        let (state, random) = sampling::next_random(cells.random.load(Ordering::Relaxed));
        cells.random.store(state, Ordering::Relaxed);
        let at = cells
            .alloc_bytes
            .load(Ordering::Relaxed)
            .wrapping_add(sampling::gap(interval, random));
        cells.sample_at.store(at, Ordering::Relaxed);
        cells.sample_interval.store(interval, Ordering::Relaxed);
    }

    /// Sets the thresholds of a thread of this recording. Every free comes by: it may be of a sampled block.
    pub fn rearm(&self, cells: &ThreadCells) {
        let alloc_bytes = cells.alloc_bytes.load(Ordering::Relaxed);
        let exact = cells.sample_interval.load(Ordering::Relaxed) == 0;
        let sample_at = if exact || watch::is_open() {
            0
        } else {
            cells.sample_at.load(Ordering::Relaxed)
        };
        cells.alloc_next.store(
            sample_at.min(alloc_bytes.wrapping_add(STEP)),
            Ordering::Relaxed,
        );
        cells.free_next.store(0, Ordering::Relaxed);
        let publish_frees_at = match exact && self.charges_unknown() {
            true => 0,
            false => (cells.freed_bytes.load(Ordering::Relaxed)).wrapping_add(STEP),
        };
        cells
            .publish_frees_at
            .store(publish_frees_at, Ordering::Relaxed);
    }

    /// Makes a thread that has just joined ready for its first sample.
    pub fn welcome(&self, cells: &ThreadCells) {
        self.draw(cells);
        self.rearm(cells);
    }
}

/// Mean size of what the thread has allocated, in bytes.
fn mean_size(cells: &ThreadCells) -> u64 {
    let blocks = (cells.allocs.load(Ordering::Relaxed))
        .saturating_add(cells.reallocs.load(Ordering::Relaxed));
    cells.alloc_bytes.load(Ordering::Relaxed) / blocks.max(1)
}
