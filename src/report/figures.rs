//! The figures of a line or a function, each with its standard error.

use serde::{Deserialize, Serialize};

use crate::profile::Totals;

/// A figure is mostly noise if its standard error is above this part of it.
pub const NOISE: f64 = 1.0 / 3.0;

/// A number of bytes as estimated from samples.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
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

    /// The part `bytes` of `whole`. Its samples are not counted apart, so it is given its share of the whole's variance.
    fn part(bytes: i64, whole: i64, variance: f64) -> Bytes {
        let share = if whole > 0 {
            (bytes as f64 / whole as f64).clamp(0.0, 1.0)
        } else {
            0.0
        };
        Bytes::new(bytes, variance * share)
    }

    /// What came since the estimate was `before`: its samples are those of the one and not of the other.
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
    pub(super) fn per(self, parts: f64) -> Bytes {
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
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Figures {
    /// Heap in use in the whole process after the line ran, the highest if it ran more than once, in bytes.
    /// `None` if it is not known, and for whole functions.
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
    /// Samples behind these figures.
    pub samples: u64,
}

impl Figures {
    /// Adds what happened elsewhere. Errors add up in squares; mem usage does not add up, the higher one stays.
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
