//! By how much the heap grew while the program was warm, as the recorder counted it: no sample may
//! tell of it yet.
//!
//! ```text
//! 1 KiB/s is leaked in blocks of 256 bytes; one in 512 KiB is sampled
//! after 2 minutes   the heap has grown by 90 KiB; no sample of the leak: it is in no line
//! after 30 minutes  by 1.3 MiB; two or three samples: the line stands first
//! ```

use profiler_alloc_format::Point;

use super::Sampling;
use crate::profile::Profile;

/// With so many samples, a line's growth counts by half or more of what it is.
const SAMPLES: u64 = 3;
/// So many are to be expected at the interval that is proposed.
const PROPOSED_SAMPLES: u64 = 10;
/// Points of the timeline without which nothing is said.
const MIN_POINTS: usize = 30;
/// Blocks of one page or less come and go.
const LITTLE: i64 = 4096;

/// What the heap grew by steadily, after a quarter of the run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeapGrowth {
    /// Bytes in use at the lowest point of the last third of that time, minus those at the lowest
    /// of the first: what only one request holds is in neither.
    pub bytes: i64,
    /// From the one point to the other, nanoseconds.
    pub span_ns: u64,
}

impl HeapGrowth {
    /// `None` if the heap did not grow from third to third, or the run was too short to tell.
    pub(super) fn of(profile: &Profile) -> Option<HeapGrowth> {
        let end_ns = profile.timeline.last()?.time_ns;
        let is_warm = |point: &&Point| point.time_ns >= end_ns / 4;
        let warm: Vec<&Point> = profile.timeline.iter().filter(is_warm).collect();
        if warm.len() < MIN_POINTS {
            return None;
        }
        let lowest = |part: usize| {
            let of_part = |point: &&&Point| {
                let part_of =
                    |time_ns: u64| (time_ns - end_ns / 4).saturating_mul(4) / end_ns.max(1);
                part_of(point.time_ns).min(2) == part as u64
            };
            let points = warm.iter().filter(of_part);
            points.min_by_key(|point| point.heap as i64)
        };
        let [first, second, third] = [lowest(0)?, lowest(1)?, lowest(2)?];
        let heap = |point: &Point| point.heap as i64;
        let grows = heap(first) < heap(second) && heap(second) < heap(third);
        let growth = HeapGrowth {
            bytes: heap(third).saturating_sub(heap(first)),
            span_ns: third.time_ns - first.time_ns,
        };
        (grows && growth.bytes >= LITTLE).then_some(growth)
    }

    /// Bytes by second.
    pub fn per_second(&self) -> f64 {
        self.bytes as f64 / (self.span_ns.max(1) as f64 / 1e9)
    }

    /// An interval at which the growth would have had samples enough, if at the one that was used
    /// it may have none. *Bytes.*
    pub fn missed(&self, sampling: &Sampling) -> Option<u64> {
        let grown = self.bytes.unsigned_abs();
        let is_missed = grown < SAMPLES * sampling.interval;
        let wanted = (grown / PROPOSED_SAMPLES).max(1);
        is_missed.then(|| 1 << wanted.ilog2())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::builder::Builder;
    use crate::profile::parse;

    /// What is said of a heap that had so many bytes in each of 120 seconds.
    fn growth(heap: impl Fn(u64) -> u64) -> Option<HeapGrowth> {
        let mut builder = Builder::new();
        builder.timeline = (1..=120)
            .map(|second| Point {
                time_ns: second * 1_000_000_000,
                heap: heap(second),
                rss: 0,
                alloc_bytes: 0,
            })
            .collect();
        let (profile, _) = parse("app".as_ref(), builder.to_input()).unwrap();
        HeapGrowth::of(&profile)
    }

    /// Of every seven seconds, six end in the midst of a request that holds 100 KiB.
    fn requests(second: u64) -> u64 {
        match second % 7 {
            0 => 0,
            _ => 100 << 10,
        }
    }

    fn sampling(interval: u64) -> Sampling {
        Sampling {
            mode: "auto",
            exact: false,
            interval,
            interval_widest: interval,
            alloc_samples: 1,
            free_samples: 0,
        }
    }

    #[test]
    fn what_grows_below_requests_that_come_and_go_is_found() {
        let grown = growth(|second| (10 << 20) + requests(second) + second * 1024).unwrap();
        // From second 35 to second 91, both without a request.
        assert_eq!((grown.bytes, grown.span_ns), (56 << 10, 56_000_000_000));
        assert_eq!(grown.per_second().round(), 1024.0);
    }

    #[test]
    fn what_comes_and_goes_or_ends_is_no_growth() {
        assert_eq!(growth(|second| (10 << 20) + requests(second)), None);
        assert_eq!(growth(|second| second.min(60) << 20), None);
        assert_eq!(growth(|second| (200 - second) << 20), None);
    }

    #[test]
    fn growth_is_missed_where_too_few_samples_are_to_be_expected() {
        let grown = growth(|second| second * 1024).unwrap();
        assert_eq!(grown.bytes, 60 << 10);
        assert_eq!(grown.missed(&sampling(512 << 10)), Some(4096));
        assert_eq!(grown.missed(&sampling(20 << 10)), None, "three samples");
        assert_eq!(grown.missed(&sampling(0)), None, "everything");
    }
}
