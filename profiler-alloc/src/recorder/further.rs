//! What a sample adds beside the totals of a stack: the errors of its counts of blocks, and the course of what it has live.
//!
//! A stack has a record for this from the first waypoint or the first sampled block on, so that programs which are short and
//! recorded exactly do without.

use core::sync::atomic::Ordering;

use profiler_alloc_format::{COUNT_FRACTION_BITS, FurtherCells, StackCells, TICK_BITS};

use super::Recorder;
use crate::at_peak::{self, add_variance, change_live};
use crate::course;
use crate::sampling::Weight;
use crate::stacks::{OTHER, StackRef};

impl Recorder {
    /// Adds the error of `weight` to one of the counts of the stack `at`.
    pub(super) fn add_count_variance(
        &self,
        at: StackRef,
        weight: Weight,
        which: fn(&FurtherCells) -> &core::sync::atomic::AtomicU64,
    ) {
        let variance = count_variance(weight);
        if variance != 0.0
            && let Some(further) = self.further(at.stack)
        {
            add_variance(which(further), variance);
        }
    }

    /// Adds `weight` to what a stack has live, or takes it away if `sign` is -1.
    pub(super) fn change_live(&self, number: u32, stack: &StackCells, weight: Weight, sign: i64) {
        let header = self.store.header();
        let epoch = header.peak_epoch.load(Ordering::Acquire);
        let ticks = header.updated_ns.load(Ordering::Relaxed) >> TICK_BITS;
        let variance = count_variance(weight);
        let further = match ticks > 0 || variance != 0.0 {
            true => self.further(number),
            false => None,
        };
        let Some(further) = further else {
            change_live(stack, epoch, weight, sign);
            return;
        };
        course::pass(further, stack, ticks);
        if change_live(stack, epoch, weight, sign) {
            at_peak::copy(&further.live_count_variance, &further.peak_count_variance);
        }
        add_variance(&further.live_count_variance, variance * sign as f64);
    }

    #[inline]
    fn further(&self, stack: u32) -> Option<&'static FurtherCells> {
        // As for its totals: a stack without a place counts under "other".
        let stack = match self.store.stacks.get(stack as usize) {
            Some(_) => stack,
            None => OTHER,
        } as usize;
        (self.store.further.get(stack)).or_else(|| self.store.make_further(stack))
    }
}

/// The part of `weight` in the variance of a count of blocks: that of bytes, by the square of the block's size.
fn count_variance(weight: Weight) -> f64 {
    if weight.variance == 0.0 {
        return 0.0;
    }
    let blocks = weight.count as f64 / f64::from(1 << COUNT_FRACTION_BITS);
    weight.variance * (blocks / weight.bytes.max(1) as f64).powi(2)
}

#[cfg(test)]
mod tests {
    use super::count_variance;
    use crate::sampling::weight;

    #[test]
    fn the_variance_of_a_count_is_that_of_its_blocks() {
        assert_eq!(count_variance(weight(100, 0)), 0.0);
        // Sampled with chance p, a block stands for 1/p blocks, whose variance is estimated by (1 - p) / p².
        for (size, interval) in [(40, 4096), (256, 65_536), (4096, 4096)] {
            let chance = 1.0 - (-f64::from(size) / f64::from(interval)).exp();
            let expected = (1.0 - chance) / chance.powi(2);
            let found = count_variance(weight(size as u64, interval as u64));
            assert!((found / expected - 1.0).abs() < 1e-3, "{found} {expected}");
        }
    }
}
