//! When the next sample is due, and what samples may cost.

use core::sync::atomic::Ordering;

use profiler_alloc_format::ThreadCells;

use super::{Recorder, samples};
use crate::counters::STEP;
use crate::{sampling, sys, watch};

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

    /// Runs one sample's work, whose result it gives, and which says how many frames were walked; and settles. Times some,
    /// and looks at the budget then.
    pub(super) fn timed<T>(
        &self,
        cells: &ThreadCells,
        number: u64,
        work: impl FnOnce() -> (T, usize),
    ) -> T {
        let is_timed = self.budget.is_timed(number);
        let start = if is_timed { sys::now_ns() } else { 0 };
        let tick = self.tick();
        let (result, walked) = work();
        let heap = self.settle_at(cells, tick);
        cells.last_heap.store(heap as u64, Ordering::Relaxed);
        if is_timed {
            let taken = self.budget.time_since(start, walked);
            let header = self.store.header();
            let own = (header.own_ns.fetch_add(taken, Ordering::Relaxed)).saturating_add(taken);
            let interval = header.interval.load(Ordering::Relaxed);
            self.change_interval(self.budget.check(own, interval, mean_size(cells)));
        }
        result
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
        let gap = match interval {
            0 => 0,
            interval => {
                let (state, random) = sampling::next_random(cells.random.load(Ordering::Relaxed));
                cells.random.store(state, Ordering::Relaxed);
                sampling::gap(interval, random)
            }
        };
        let at = cells.alloc_bytes.load(Ordering::Relaxed).wrapping_add(gap);
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
        let publish_frees_at = match self.takes_all || (exact && self.charges_unknown()) {
            true => 0,
            false => (cells.freed_bytes.load(Ordering::Relaxed)).wrapping_add(STEP),
        };
        cells
            .publish_frees_at
            .store(publish_frees_at, Ordering::Relaxed);
    }

    /// Makes a thread that has just joined ready for its first sample.
    pub fn welcome(&self, cells: &ThreadCells) {
        samples::forget_latest();
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
