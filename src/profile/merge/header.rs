//! The headers of many profiles as one: exact counts, losses and times.

use profiler_alloc_format::{Header, MAGIC, MODE_AUTO, STATE_FINISHED, SizeClass, VERSION};

use super::super::{Counters, Profile};
use super::clock::Together;

/// The sum so far.
pub struct HeaderSum {
    sum: Header,
    counters: Counters,
    sizes: Vec<SizeClass>,
    count: u64,
    /// First start and last end, nanoseconds since 1970.
    started: u64,
    ended: u64,
}

impl Default for HeaderSum {
    fn default() -> Self {
        HeaderSum {
            sum: Header::empty(),
            counters: Counters::default(),
            sizes: vec![SizeClass::empty(); profiler_alloc_format::SIZE_CLASSES],
            count: 0,
            started: u64::MAX,
            ended: 0,
        }
    }
}

impl HeaderSum {
    /// Adds the header of a profile.
    pub fn add(&mut self, profile: &Profile) {
        let header = &profile.header;
        let (sum, is_first) = (&mut self.sum, self.count == 0);
        self.count += 1;
        self.counters.add(&profile.counters());
        for (class, more) in self.sizes.iter_mut().zip(&profile.sizes) {
            class.count = class.count.saturating_add(more.count);
            class.bytes = class.bytes.saturating_add(more.bytes);
        }
        self.started = self.started.min(header.started_unix_ns);
        let end = header.started_unix_ns.saturating_add(profile.duration_ns());
        self.ended = self.ended.max(end);
        // What is the same in all is that of all.
        for (value, other, if_different) in [
            (&mut sum.mode, header.mode, MODE_AUTO),
            (&mut sum.budget_ppm, header.budget_ppm, 0),
        ] {
            *value = match is_first || *value == other {
                true => other,
                false => if_different,
            };
        }
        sum.run_id = match is_first || sum.run_id == header.run_id {
            true => header.run_id,
            false => 0,
        };
        sum.stack_depth = sum.stack_depth.max(header.stack_depth);
        sum.interval = sum.interval.max(header.interval);
        sum.interval_widest = sum.interval_widest.max(header.interval_widest);
        sum.span_layer |= header.span_layer;
        let base = (header.heap_base as i64).saturating_sub(profile.before_fork());
        sum.heap_base = (sum.heap_base as i64).saturating_add(base) as u64;
        for (total, more) in [
            (&mut sum.grant_ns, header.grant_ns),
            (&mut sum.own_ns, header.own_ns),
            (&mut sum.unsampled_ns, header.unsampled_ns),
            (&mut sum.cpu_ns, header.cpu_ns),
            (&mut sum.own_bytes, header.own_bytes),
            (&mut sum.chunk_count, header.chunk_count),
            (&mut sum.lost_stacks, header.lost_stacks),
            (&mut sum.lost_outer_frames, header.lost_outer_frames),
            (&mut sum.lost_middle_frames, header.lost_middle_frames),
            (&mut sum.lost_reentrant, header.lost_reentrant),
            (&mut sum.lost_blocks, header.lost_blocks),
            (&mut sum.lost_modules, header.lost_modules),
            (&mut sum.lost_threads, header.lost_threads),
            (&mut sum.lost_growth, header.lost_growth),
            (&mut sum.lost_calls, header.lost_calls),
            (&mut sum.lost_in_run_time_code, header.lost_in_run_time_code),
            (&mut sum.lost_on_other_stack, header.lost_on_other_stack),
            (&mut sum.lost_without_table, header.lost_without_table),
            (&mut sum.lost_starts, header.lost_starts),
            (&mut sum.lost_crowded, header.lost_crowded),
            (&mut sum.lost_contexts, header.lost_contexts),
            (&mut sum.lost_moments, header.lost_moments),
            (&mut sum.forks, header.forks),
            (&mut sum.pauses, header.pauses),
            (&mut sum.final_realloc_new, header.final_realloc_new),
            (&mut sum.final_grown, header.final_grown),
            (&mut sum.final_shrunk, header.final_shrunk),
        ] {
            *total = total.saturating_add(more);
        }
    }

    /// The first start, nanoseconds since 1970.
    pub fn started(&self) -> u64 {
        if self.count == 0 { 0 } else { self.started }
    }

    /// The size histogram.
    pub fn sizes(&self) -> Vec<SizeClass> {
        self.sizes.clone()
    }

    /// The header of all, as one recording that ended in order.
    pub fn finish(&self, together: &Together) -> Header {
        let counters = &self.counters;
        let change = counters.alloc_bytes.wrapping_sub(counters.freed_bytes);
        let duration = self.ended.saturating_sub(self.started());
        Header {
            magic: MAGIC,
            version: VERSION,
            state: STATE_FINISHED,
            started_unix_ns: self.started(),
            updated_ns: duration,
            final_ns: duration,
            final_allocs: counters.allocs,
            final_frees: counters.frees,
            final_reallocs: counters.reallocs,
            final_alloc_bytes: counters.alloc_bytes,
            final_freed_bytes: counters.freed_bytes,
            heap: self.sum.heap_base.wrapping_add(change),
            peak: together.peak as u64,
            peak_ns: together.peak_ns,
            peak_epoch: 1,
            timeline_interval_ns: together.step_ns,
            ..self.sum
        }
    }
}
