//! The figures of a line or a function, each with its standard error.

use crate::profile::{BlockCount, Totals};

/// A figure is mostly noise if its standard error is above this part of it.
pub const NOISE: f64 = 1.0 / 3.0;

/// A number of bytes as estimated from samples.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Bytes {
    /// The estimate; exact if the standard error is 0.
    pub bytes: i64,
    /// Standard error, in bytes.
    pub standard_error: f64,
}

impl Bytes {
    fn new(bytes: i64, variance: f64) -> Bytes {
        Bytes {
            bytes,
            standard_error: variance.max(0.0).sqrt(),
        }
    }

    /// The part `bytes` of `whole`. Its samples are not counted apart, so it is given its share of
    /// the whole's variance.
    fn part(bytes: i64, whole: i64, variance: f64) -> Bytes {
        let share = if whole > 0 {
            (bytes as f64 / whole as f64).clamp(0.0, 1.0)
        } else {
            0.0
        };
        Bytes::new(bytes, variance * share)
    }

    /// What came since the estimate was `before`: its samples are those of the one and not of the
    /// other.
    pub(super) fn since(self, before: Bytes) -> Bytes {
        let variance = self.standard_error.powi(2) - before.standard_error.powi(2);
        Bytes::new(self.bytes.saturating_sub(before.bytes), variance)
    }

    /// The sum of two estimates from different samples.
    pub fn plus(self, other: Bytes) -> Bytes {
        let variance = self.standard_error.powi(2) + other.standard_error.powi(2);
        Bytes::new(self.bytes.saturating_add(other.bytes), variance)
    }

    /// The part of it in one of `parts` parts.
    pub fn per(self, parts: f64) -> Bytes {
        Bytes {
            bytes: (self.bytes as f64 / parts).round() as i64,
            standard_error: self.standard_error / parts,
        }
    }

    /// Standard error over value; 0 if exact, infinite for an estimate of 0.
    pub fn relative_error(self) -> f64 {
        if self.standard_error == 0.0 {
            0.0
        } else {
            self.standard_error / (self.bytes as f64).abs()
        }
    }

    /// Whether the figure is mostly noise.
    pub fn is_noise(self) -> bool {
        self.relative_error() > NOISE
    }
}

/// What happened on a line or in a function, callees included.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Figures {
    /// Heap in use in the whole process after the line ran, the highest if it ran more than once,
    /// in bytes. `None` if it is not known, and for whole functions.
    pub mem_usage: Option<i64>,
    /// Allocated minus freed.
    pub increment: Bytes,
    /// Allocated.
    pub allocated: Bytes,
    /// Freed, of blocks allocated anywhere.
    pub freed: Bytes,
    /// Allocated here and not yet freed when the profile ends.
    pub live: Bytes,
    /// Allocated here and in use when the whole process was at its peak.
    pub at_peak: Bytes,
    /// Freed before the thread's next sample; part of `allocated`.
    pub temporary: Bytes,
    /// Came from `realloc`; part of `allocated`.
    pub reallocated: Bytes,
    /// Blocks allocated.
    pub count: i64,
    /// Blocks freed.
    pub freed_count: i64,
    /// Blocks freed before the thread's next sample; part of `count`.
    pub temporary_count: i64,
    /// Blocks that came from `realloc`; part of `count`.
    pub reallocated_count: i64,
    /// Blocks live.
    pub live_count: i64,
    /// Blocks at the peak.
    pub at_peak_count: i64,
    /// The standard errors of these counts.
    pub count_errors: CountErrors,
    /// Samples behind these figures.
    pub samples: u64,
}

/// Standard errors of counts of blocks, in blocks; 0 for what is exact.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct CountErrors {
    /// Of [`Figures::count`].
    pub count: f64,
    /// Of [`Figures::freed_count`].
    pub freed: f64,
    /// Of [`Figures::temporary_count`].
    pub temporary: f64,
    /// Of [`Figures::reallocated_count`].
    pub reallocated: f64,
    /// Of [`Figures::live_count`].
    pub live: f64,
    /// Of [`Figures::at_peak_count`].
    pub at_peak: f64,
}

impl CountErrors {
    fn of(t: &Totals) -> CountErrors {
        let whole = |blocks: BlockCount| blocks.rounded();
        let error = |blocks, bytes, (variance, of_bytes): (f64, f64)| {
            if variance == 0.0 && of_bytes > 0.0 {
                // The recorder did not say: a guess, right for blocks of one size.
                let relative = Bytes::new(bytes, of_bytes).relative_error();
                return relative.min(1.0) * (whole(blocks) as f64).abs();
            }
            variance.max(0.0).sqrt()
        };
        let count = error(
            t.alloc_count,
            t.alloc_bytes,
            (t.alloc_count_variance, t.alloc_variance),
        );
        let part = |blocks| {
            let (part, of) = (whole(blocks), whole(t.alloc_count));
            Bytes::part(part, of, count.powi(2)).standard_error
        };
        CountErrors {
            count,
            freed: error(
                t.freed_count,
                t.freed_bytes,
                (t.freed_count_variance, t.freed_variance),
            ),
            temporary: part(t.temporary_count),
            reallocated: part(t.realloc_count),
            live: error(
                t.live_count,
                t.live_bytes,
                (t.live_count_variance, t.live_variance),
            ),
            at_peak: error(
                t.peak_count,
                t.peak_bytes,
                (t.peak_count_variance, t.peak_variance),
            ),
        }
    }

    fn add(&mut self, other: &CountErrors) {
        for (sum, more) in [
            (&mut self.count, other.count),
            (&mut self.freed, other.freed),
            (&mut self.temporary, other.temporary),
            (&mut self.reallocated, other.reallocated),
            (&mut self.live, other.live),
            (&mut self.at_peak, other.at_peak),
        ] {
            *sum = sum.hypot(more);
        }
    }
}

impl Figures {
    /// Adds what happened elsewhere. Errors add up in squares; mem usage does not add up, the
    /// higher one stays.
    pub fn add(&mut self, other: &Figures) {
        self.mem_usage = self.mem_usage.max(other.mem_usage);
        for (sum, more) in [
            (&mut self.increment, other.increment),
            (&mut self.allocated, other.allocated),
            (&mut self.freed, other.freed),
            (&mut self.live, other.live),
            (&mut self.at_peak, other.at_peak),
            (&mut self.temporary, other.temporary),
            (&mut self.reallocated, other.reallocated),
        ] {
            *sum = sum.plus(more);
        }
        for (count, more) in [
            (&mut self.count, other.count),
            (&mut self.freed_count, other.freed_count),
            (&mut self.temporary_count, other.temporary_count),
            (&mut self.reallocated_count, other.reallocated_count),
            (&mut self.live_count, other.live_count),
            (&mut self.at_peak_count, other.at_peak_count),
        ] {
            *count = count.saturating_add(more);
        }
        self.count_errors.add(&other.count_errors);
        self.samples = self.samples.saturating_add(other.samples);
    }

    pub(super) fn of(totals: &Totals, mem_usage: Option<i64>) -> Figures {
        let t = totals;
        Figures {
            mem_usage,
            increment: Bytes::new(
                t.alloc_bytes.saturating_sub(t.freed_bytes),
                t.alloc_variance + t.freed_variance,
            ),
            allocated: Bytes::new(t.alloc_bytes, t.alloc_variance),
            freed: Bytes::new(t.freed_bytes, t.freed_variance),
            live: Bytes::new(t.live_bytes, t.live_variance),
            at_peak: Bytes::new(t.peak_bytes, t.peak_variance),
            temporary: Bytes::part(t.temporary_bytes, t.alloc_bytes, t.alloc_variance),
            reallocated: Bytes::part(t.realloc_bytes, t.alloc_bytes, t.alloc_variance),
            count: t.alloc_count.rounded(),
            freed_count: t.freed_count.rounded(),
            temporary_count: t.temporary_count.rounded(),
            reallocated_count: t.realloc_count.rounded(),
            live_count: t.live_count.rounded(),
            at_peak_count: t.peak_count.rounded(),
            count_errors: CountErrors::of(t),
            samples: t.alloc_samples.saturating_add(t.free_samples),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_add_up_in_squares() {
        let totals = Totals {
            alloc_bytes: 100,
            freed_bytes: 20,
            alloc_variance: 9.0,
            freed_variance: 16.0,
            temporary_bytes: 25,
            ..Totals::default()
        };
        let figures = Figures::of(&totals, None);
        assert_eq!(
            figures.increment,
            Bytes {
                bytes: 80,
                standard_error: 5.0
            }
        );
        assert_eq!(figures.temporary.standard_error, 1.5);
        assert_eq!(figures.live.relative_error(), 0.0);
    }

    /// One block of 1 MiB that is sampled for sure, and a million of 16 bytes of which few are:
    /// bytes say nothing of blocks.
    #[test]
    fn counts_have_errors_of_their_own() {
        let totals = Totals {
            alloc_bytes: 17 << 20,
            alloc_count: BlockCount::whole(1_000_001),
            alloc_variance: 100.0,
            alloc_count_variance: 90_000.0 * 90_000.0,
            temporary_count: BlockCount::whole(250_000),
            ..Totals::default()
        };
        let mut figures = Figures::of(&totals, None);
        assert_eq!(figures.count_errors.count, 90_000.0);
        assert_eq!(figures.count_errors.temporary.round(), 45_000.0);
        assert_eq!(figures.count_errors.live, 0.0);
        figures.add(&figures.clone());
        assert_eq!(figures.count_errors.count.round(), 127_279.0);
    }

    #[test]
    fn a_profile_without_errors_of_counts_has_those_of_its_bytes() {
        let totals = Totals {
            alloc_bytes: 1000,
            alloc_count: BlockCount::whole(50),
            alloc_variance: 100.0 * 100.0,
            ..Totals::default()
        };
        assert_eq!(Figures::of(&totals, None).count_errors.count, 5.0);
    }

    #[test]
    fn what_came_since_has_its_own_error() {
        let estimate = |bytes, standard_error| Bytes {
            bytes,
            standard_error,
        };
        let since = estimate(500, 5.0).since(estimate(100, 3.0));
        assert_eq!(since.per(2.0), estimate(200, 2.0));
    }

    #[test]
    fn noise_is_an_error_above_a_third() {
        let noise = |bytes, standard_error| {
            Bytes {
                bytes,
                standard_error,
            }
            .is_noise()
        };
        assert!(!noise(-90, 30.0));
        assert!(noise(-89, 30.0));
        assert!(noise(0, 1.0));
        assert!(!noise(0, 0.0));
    }
}
