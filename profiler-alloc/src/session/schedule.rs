//! When the next sample is due, and how samples are timed.

use core::sync::atomic::{AtomicU64, Ordering};

use profiler_alloc_format::ThreadCells;

use super::{Recorder, context_watch, samples};
use crate::counters::slot::STEP;
use crate::counters::totals::Totals;
use crate::ffi::os;
use crate::sampling::draws::random;
use crate::sampling::overhead::OverheadBudget;
use crate::sampling::weights;

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

    /// Runs one sample's work, whose result it gives, and which says how many frames were walked;
    /// and updates the statistics. Times some. `is_old` is of a sample drawn before the interval
    /// changed, or the free of such a block: its time is the recorder's, and says nothing of what
    /// samples cost at the interval there is now. Four threads that are in the middle of exact
    /// samples when the interval changes would have it widened again, and again.
    pub(super) fn timed<T>(
        &self,
        cells: &ThreadCells,
        number: u64,
        is_old: bool,
        work: impl FnOnce() -> (T, usize),
    ) -> T {
        let is_timed = self.overhead.is_timed(number);
        let start = if is_timed { os::now_ns() } else { 0 };
        let tick = self.tick();
        let (result, walked) = work();
        let heap = self.update_stats_at(cells, tick);
        cells.last_heap.store(heap as u64, Ordering::Relaxed);
        if is_timed {
            let taken = self.overhead.time_since(start, walked);
            self.used(taken);
            if !is_old {
                self.overhead.used(taken);
            }
        }
        result
    }

    /// Settles an operation without a sample. Times some.
    pub(super) fn unsampled(&self, cells: &ThreadCells) {
        if !OverheadBudget::is_timed_unsampled(random(cells)) {
            self.update_stats(cells);
            return;
        }
        let start = os::now_ns();
        self.update_stats(cells);
        self.used_unsampled(self.overhead.unsampled_since(start));
    }

    /// As [`used`](Self::used), for what was only counted.
    fn used_unsampled(&self, taken: u64) {
        let unsampled: &AtomicU64 = &self.store.header().unsampled_ns;
        unsampled.fetch_add(taken, Ordering::Relaxed);
        self.used(taken);
    }

    /// So much of the program's time was the recorder's, nanoseconds.
    pub(super) fn used(&self, taken: u64) {
        let own: &AtomicU64 = &self.store.header().own_ns;
        own.fetch_add(taken, Ordering::Relaxed);
    }

    /// Compares what samples cost with the budget, `now_ns` after the start.
    #[cold]
    #[inline(never)]
    pub(super) fn check_overhead(&self, now_ns: u64) {
        let header = self.store.header();
        let totals = self.totals();
        let asked = totals.frees.wrapping_add(totals.reallocs);
        let interval = header.interval.load(Ordering::Relaxed);
        let Some(_checking) = self.overhead.begin_check() else {
            return;
        };
        self.used_unsampled(self.overhead.filter_ns(asked));
        let own = header.own_ns.load(Ordering::Relaxed);
        let next = self
            .overhead
            .check(now_ns, own, interval, mean_size(&totals));
        self.change_interval(next);
    }

    /// Takes fewer samples from now on, if the interval may change.
    pub(super) fn widen(&self, interval: u64) {
        self.change_interval(self.overhead.widen(interval, mean_size(&self.totals())));
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
    #[inline(never)]
    pub(super) fn draw(&self, cells: &ThreadCells) {
        let interval = self.store.header().interval.load(Ordering::Relaxed);
        let gap = match interval {
            0 => 0,
            interval => weights::gap(interval, random(cells)),
        };
        let at = cells.alloc_bytes.load(Ordering::Relaxed).wrapping_add(gap);
        cells.sample_at.store(at, Ordering::Relaxed);
        cells.sample_interval.store(interval, Ordering::Relaxed);
    }

    /// Draws anew if the interval has changed since the thread drew: points of a Poisson process
    /// that are still ahead depend on nothing that was.
    #[inline]
    pub(super) fn follow_interval(&self, cells: &ThreadCells) {
        let interval = self.store.header().interval.load(Ordering::Relaxed);
        if interval != cells.sample_interval.load(Ordering::Relaxed) {
            self.draw(cells);
        }
    }

    /// Sets the thresholds of a thread of this recording. Every free comes by: it may be of a
    /// sampled block.
    pub fn reset_thresholds(&self, cells: &ThreadCells) {
        let alloc_bytes = cells.alloc_bytes.load(Ordering::Relaxed);
        let exact = cells.sample_interval.load(Ordering::Relaxed) == 0;
        let is_watched = context_watch::wants_every_operation();
        let sample_at = if exact || is_watched {
            0
        } else {
            cells.sample_at.load(Ordering::Relaxed)
        };
        cells.alloc_next.store(
            sample_at.min(alloc_bytes.wrapping_add(STEP)),
            Ordering::Relaxed,
        );
        cells.free_next.store(0, Ordering::Relaxed);
        let publish_frees_at =
            match is_watched || self.takes_all || (exact && self.attributes_unknown()) {
                true => 0,
                false => (cells.freed_bytes.load(Ordering::Relaxed)).wrapping_add(STEP),
            };
        cells
            .publish_frees_at
            .store(publish_frees_at, Ordering::Relaxed);
    }

    /// Makes a thread that has just joined ready for its first sample.
    pub fn on_join(&self, cells: &ThreadCells) {
        samples::forget_last_sample();
        self.draw(cells);
        self.reset_thresholds(cells);
    }
}

/// Mean size of what has been allocated, in bytes.
fn mean_size(totals: &Totals) -> u64 {
    let blocks = totals.allocs.saturating_add(totals.reallocs);
    totals.alloc_bytes / blocks.max(1)
}
