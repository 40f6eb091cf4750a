//! What a sample adds beside a stack's totals: the errors of its counts of blocks, and the course
//! of what it has live.
//!
//! A stack gets a record for this at its first waypoint or its first weighted sample. Short
//! programs that are recorded exactly have none.

use core::sync::atomic::{AtomicU64, Ordering};

use profiler_alloc_format::{FurtherCells, StackCells, TICK_BITS};

use super::Recorder;
use crate::sampling::at_peak::{self, add_variance, change_live};
use crate::sampling::waypoints;
use crate::sampling::weights::Weight;
use crate::stacks::interner::StackRef;

impl Recorder {
    /// Adds the error of `weight` to one of the counts of the stack `at`.
    pub(super) fn add_count_variance(
        &self,
        at: StackRef,
        weight: Weight,
        which: fn(&FurtherCells) -> &AtomicU64,
    ) {
        let variance = weight.count_variance;
        if variance != 0.0
            && let Some(further) = self.further(at.stack)
        {
            add_variance(which(further), variance);
        }
    }

    /// Adds `weight` to what a stack has live, or takes it away if `sign` is -1.
    #[inline]
    pub(super) fn change_live(&self, number: u32, stack: &StackCells, weight: Weight, sign: i64) {
        let epoch = self.store.header().peak_epoch.load(Ordering::Acquire);
        self.change_live_at(epoch, number, stack, weight, sign);
    }

    /// The same of a stack whose heap has come to the peak of that number.
    pub(super) fn change_live_at(
        &self,
        epoch: u64,
        number: u32,
        stack: &StackCells,
        weight: Weight,
        sign: i64,
    ) {
        let header = self.store.header();
        let ticks = header.updated_ns.load(Ordering::Relaxed) >> TICK_BITS;
        let variance = weight.count_variance;
        let further = match ticks > 0 || variance != 0.0 {
            true => self.further(number),
            false => None,
        };
        let Some(further) = further else {
            change_live(stack, epoch, weight, sign);
            return;
        };
        waypoints::pass(further, stack, ticks);
        if change_live(stack, epoch, weight, sign) {
            at_peak::copy(&further.live_count_variance, &further.peak_count_variance);
        }
        add_variance(&further.live_count_variance, variance * sign as f64);
    }

    #[inline]
    fn further(&self, stack: u32) -> Option<&'static FurtherCells> {
        let further = self.store.further.get(stack as usize);
        further.or_else(|| self.store.make_further(stack as usize))
    }
}
