//! The sums that samples add up to, for one stack or for any set of stacks.

use profiler_alloc_format::{COUNT_FRACTION_BITS, Further, Stack};

/// A number of blocks, fixed-point, as sampling weights are not whole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct BlockCount(pub i64);

impl BlockCount {
    /// The nearest whole number of blocks.
    pub fn rounded(self) -> i64 {
        let half = 1 << (COUNT_FRACTION_BITS - 1);
        self.0.saturating_add(half) >> COUNT_FRACTION_BITS
    }

    /// `blocks` blocks.
    pub fn whole(blocks: i64) -> BlockCount {
        BlockCount(blocks << COUNT_FRACTION_BITS)
    }
}

/// What a set of stacks allocated, freed and kept. Sums saturate, so that no damaged profile can
/// overflow them.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Totals {
    /// Bytes allocated.
    pub alloc_bytes: i64,
    /// Blocks allocated.
    pub alloc_count: BlockCount,
    /// Bytes freed, of blocks allocated anywhere.
    pub freed_bytes: i64,
    /// Blocks freed.
    pub freed_count: BlockCount,
    /// Bytes allocated here and not yet freed.
    pub live_bytes: i64,
    /// Blocks allocated here and not yet freed.
    pub live_count: BlockCount,
    /// `live_bytes` at the peak.
    pub peak_bytes: i64,
    /// `live_count` at the peak.
    pub peak_count: BlockCount,
    /// Bytes freed before the thread's next sample.
    pub temporary_bytes: i64,
    /// Blocks freed before the thread's next sample.
    pub temporary_count: BlockCount,
    /// The part of `alloc_bytes` that came from `realloc`.
    pub realloc_bytes: i64,
    /// The part of `alloc_count` that came from `realloc`.
    pub realloc_count: BlockCount,
    /// Allocations sampled.
    pub alloc_samples: u64,
    /// Frees sampled.
    pub free_samples: u64,
    /// Variance of `alloc_bytes`, in bytes squared.
    pub alloc_variance: f64,
    /// Variance of `freed_bytes`, in bytes squared.
    pub freed_variance: f64,
    /// Variance of `live_bytes`, in bytes squared.
    pub live_variance: f64,
    /// Variance of `peak_bytes`, in bytes squared.
    pub peak_variance: f64,
    /// Variance of `alloc_count`, in blocks squared.
    pub alloc_count_variance: f64,
    /// Variance of `freed_count`, in blocks squared.
    pub freed_count_variance: f64,
    /// Variance of `live_count`, in blocks squared.
    pub live_count_variance: f64,
    /// Variance of `peak_count`, in blocks squared.
    pub peak_count_variance: f64,
}

impl Totals {
    /// Decodes the records of a stack, in a profile whose current peak is number `peak_epoch`.
    ///
    /// The second value counts variances that are no finite, positive number.
    pub(super) fn from_record(
        record: &Stack,
        further: Option<&Further>,
        peak_epoch: u64,
    ) -> (Totals, u64) {
        let mut damaged = 0;
        let mut variance = |bits| {
            let value = f64::from_bits(bits);
            if value.is_finite() && value >= 0.0 {
                value
            } else {
                damaged += 1;
                0.0
            }
        };
        let count = |bits: u64| BlockCount(bits as i64);
        // A stack that did not change since the peak has no copy of what it held then: it still
        // holds it. An epoch above the header's is a peak set while a live file was being read.
        let (peak_bytes, peak_count, peak_variance) = if record.peak_epoch >= peak_epoch {
            (record.peak_bytes, record.peak_count, record.peak_variance)
        } else {
            (record.live_bytes, record.live_count, record.live_variance)
        };
        let further = further.copied().unwrap_or(Further::empty());
        let peak_count_variance = if record.peak_epoch >= peak_epoch {
            further.peak_count_variance
        } else {
            further.live_count_variance
        };
        let totals = Totals {
            alloc_bytes: record.alloc_bytes as i64,
            alloc_count: count(record.alloc_count),
            freed_bytes: record.freed_bytes as i64,
            freed_count: count(record.freed_count),
            live_bytes: record.live_bytes as i64,
            live_count: count(record.live_count),
            peak_bytes: peak_bytes as i64,
            peak_count: count(peak_count),
            temporary_bytes: record.temporary_bytes as i64,
            temporary_count: count(record.temporary_count),
            realloc_bytes: record.realloc_bytes as i64,
            realloc_count: count(record.realloc_count),
            alloc_samples: record.alloc_samples,
            free_samples: record.free_samples,
            alloc_variance: variance(record.alloc_variance),
            freed_variance: variance(record.freed_variance),
            live_variance: variance(record.live_variance),
            peak_variance: variance(peak_variance),
            alloc_count_variance: variance(further.alloc_count_variance),
            freed_count_variance: variance(further.freed_count_variance),
            live_count_variance: variance(further.live_count_variance),
            peak_count_variance: variance(peak_count_variance),
        };
        (totals, damaged)
    }

    /// Adds `other` to this sum.
    pub fn add(&mut self, other: &Totals) {
        self.combine(other, i64::saturating_add, u64::saturating_add);
        // What is estimated from other samples is as uncertain whether it is added or taken away.
        for ((sum, more), _) in self.variances(other) {
            *sum += more;
        }
    }

    /// What was added since the sum was `before`. Samples that are in both are certain; of what is
    /// live, how many these are is not known.
    pub(super) fn subtract(&mut self, before: &Totals) {
        if self == before {
            *self = Totals::default();
            return;
        }
        self.combine(before, i64::saturating_sub, u64::saturating_sub);
        for ((sum, less), only_grows) in self.variances(before) {
            *sum = if only_grows {
                (*sum - less).max(0.0)
            } else {
                *sum + less
            };
        }
    }

    fn combine(&mut self, other: &Totals, with: fn(i64, i64) -> i64, samples: fn(u64, u64) -> u64) {
        for (figure, others) in [
            (&mut self.alloc_bytes, other.alloc_bytes),
            (&mut self.alloc_count.0, other.alloc_count.0),
            (&mut self.freed_bytes, other.freed_bytes),
            (&mut self.freed_count.0, other.freed_count.0),
            (&mut self.live_bytes, other.live_bytes),
            (&mut self.live_count.0, other.live_count.0),
            (&mut self.peak_bytes, other.peak_bytes),
            (&mut self.peak_count.0, other.peak_count.0),
            (&mut self.temporary_bytes, other.temporary_bytes),
            (&mut self.temporary_count.0, other.temporary_count.0),
            (&mut self.realloc_bytes, other.realloc_bytes),
            (&mut self.realloc_count.0, other.realloc_count.0),
        ] {
            *figure = with(*figure, others);
        }
        self.alloc_samples = samples(self.alloc_samples, other.alloc_samples);
        self.free_samples = samples(self.free_samples, other.free_samples);
    }

    /// Each variance beside that of `other`, and whether it only grows.
    fn variances(&mut self, other: &Totals) -> [((&mut f64, f64), bool); 8] {
        [
            ((&mut self.alloc_variance, other.alloc_variance), true),
            ((&mut self.freed_variance, other.freed_variance), true),
            ((&mut self.live_variance, other.live_variance), false),
            ((&mut self.peak_variance, other.peak_variance), false),
            (
                (&mut self.alloc_count_variance, other.alloc_count_variance),
                true,
            ),
            (
                (&mut self.freed_count_variance, other.freed_count_variance),
                true,
            ),
            (
                (&mut self.live_count_variance, other.live_count_variance),
                false,
            ),
            (
                (&mut self.peak_count_variance, other.peak_count_variance),
                false,
            ),
        ]
    }

    /// Whether anything at all was seen.
    pub fn is_empty(&self) -> bool {
        *self == Totals::default()
    }
}
