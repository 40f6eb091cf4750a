//! The end of every slow path, and of a recording: heap, peak, timeline, totals.

use core::sync::atomic::Ordering;

use profiler_alloc_format::{Point, STATE_FINISHED, ThreadCells};

use super::Recorder;
use super::span_layer;
use crate::contexts::sets;
use crate::counters::open_scopes;
use crate::counters::own_work;
use crate::session;
use crate::session::threads;

/// The time at which a slow path began.
#[derive(Clone, Copy)]
pub(super) struct Tick {
    now_ns: u64,
    /// No slow path has read this time before.
    is_new: bool,
}

impl Recorder {
    /// Reads the clock, and says in the file what it is.
    pub(super) fn tick(&self) -> Tick {
        let updated_ns = &self.store.header().updated_ns;
        let now_ns = self.clock.elapsed();
        let is_new = now_ns > updated_ns.load(Ordering::Relaxed);
        if is_new {
            updated_ns.fetch_max(now_ns, Ordering::Relaxed);
        }
        Tick { now_ns, is_new }
    }

    /// As [`update_stats_at`](Self::update_stats_at), of a slow path that had no use for the time
    /// before.
    pub(super) fn update_stats(&self, cells: &ThreadCells) -> i64 {
        self.update_stats_at(cells, self.tick())
    }

    /// The end of every slow path: publishes the heap, which it gives, keeps the peak and the
    /// timeline, sets the thresholds.
    pub(super) fn update_stats_at(&self, cells: &ThreadCells, tick: Tick) -> i64 {
        let header = self.store.header();
        let heap = open_scopes::publish_much(cells);
        let Tick { now_ns, is_new } = tick;
        if is_new {
            header.heap.store(heap as u64, Ordering::Relaxed);
        }
        let peak = header.peak.load(Ordering::Relaxed) as i64;
        if heap > peak
            && header
                .peak
                .compare_exchange(
                    peak as u64,
                    heap as u64,
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                )
                .is_ok()
        {
            // The tick's clock is behind: a peak early in the run would be before its start.
            header.peak_ns.store(self.clock.now(), Ordering::Relaxed);
            header.peak_epoch.fetch_add(1, Ordering::AcqRel);
        }
        if self.timeline.is_due(now_ns) {
            self.add_point(now_ns, heap);
            threads::set_name(cells);
        }
        if self.overhead.is_due(now_ns) {
            self.check_overhead(now_ns);
        }
        self.follow_interval(cells);
        self.reset_thresholds(cells);
        heap
    }

    #[cold]
    pub(super) fn add_point(&self, now_ns: u64, heap: i64) {
        let header = self.store.header();
        let cpu_ns = self.overhead.cpu_ns();
        header.cpu_ns.store(cpu_ns, Ordering::Relaxed);
        let own_bytes = self.own_bytes();
        header.own_bytes.store(own_bytes, Ordering::Relaxed);
        (header.lost_contexts).store(sets::lost_sets(), Ordering::Relaxed);
        (header.span_layer).store(span_layer::seen(), Ordering::Relaxed);
        let rss = self.statm.rss();
        self.snapshot_if_due(now_ns);
        self.timeline.add(self.store, now_ns, cpu_ns, || Point {
            time_ns: now_ns.saturating_add(1),
            heap: heap as u64,
            rss: Point::rss_of(rss, own_bytes.saturating_add(self.store.bytes())),
            alloc_bytes: self.totals().alloc_bytes,
        });
        self.account_if_due(now_ns, cpu_ns, rss);
    }

    /// Adds a last point to the timeline, and brings the header up to date.
    pub fn bring_up_to_date(&self) {
        let now_ns = self.clock.now();
        self.store
            .header()
            .updated_ns
            .fetch_max(now_ns, Ordering::Relaxed);
        self.check_overhead(now_ns);
        self.add_point(now_ns, threads::process_totals().heap());
    }

    /// Ends the recording, in its own process.
    pub fn stop(&self) {
        // The last point of the timeline tells of the file as it then is.
        self.take_account();
        self.bring_up_to_date();
        // While it is active, so that no thread asks it of the blocks of another.
        self.sampled.filter.close();
        session::deactivate();
        self.end();
        self.finish();
        let state = &self.store.header().state;
        state.store(STATE_FINISHED, Ordering::Release);
    }

    /// Fixes the totals: what threads count from now on, until they have noticed, is not part of
    /// the recording. Closes what was open, so that a program may make any number of recordings one
    /// after another.
    fn finish(&self) {
        let totals = self.totals();
        let header = self.store.header();
        for (cell, value) in [
            (&header.final_allocs, totals.allocs),
            (&header.final_frees, totals.frees),
            (&header.final_reallocs, totals.reallocs),
            (&header.final_alloc_bytes, totals.alloc_bytes),
            (&header.final_freed_bytes, totals.freed_bytes),
            (&header.final_realloc_new, totals.realloc_new),
            (&header.final_grown, totals.grown),
            (&header.final_shrunk, totals.shrunk),
            (&header.final_ns, self.clock.now()),
        ] {
            cell.store(value, Ordering::Relaxed);
        }
        self.store.close();
        self.statm.close();
        self.smaps.close();
    }

    /// Bytes of address space the recorder has taken beside the file, of which it touched a part,
    /// and the wrappers' heap.
    pub(super) fn own_bytes(&self) -> u64 {
        let mapped =
            self.sampled.bytes() + self.heaps.bytes() + self.capture.bytes() + self.moments.bytes();
        (mapped as u64).saturating_add(own_work::heap())
    }
}
