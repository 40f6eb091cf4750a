//! Timelines aligned by the clock: what all processes have in use together.
//!
//! Each process adds what it has to the sum from its start to its end; between two points of its
//! timeline it has what it had at the first, or at its peak, if that came since. Only changes are
//! kept, and of those that lie nearer together than a step, the sum; the step is doubled whenever
//! there are too many. So memory is bounded, and the result the same in whatever order they come.
//!
//! ```text
//! process 1   ──10──┐        at 0  +10     at 4 -10
//! process 2      ──5────┐    at 2  + 5     at 6 - 5
//! sum         10  15 5  0    peak 15, where the sum of both peaks is 15 too; one that began at 5
//!                            would have left it at 10
//! ```

use profiler_alloc_format::{CHUNK_LEN, Point};

use super::super::Profile;

/// Changes that are kept: of a run of a minute, one each millisecond.
const MOST: usize = 1 << 16;
/// The first step, in nanoseconds.
const FIRST_STEP_NS: u64 = 1 << 10;
/// Points that a profile has room for, but for a few.
const POINTS: usize = CHUNK_LEN / Point::LEN - 16;

/// How much more, or less, there is from a moment on.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Delta {
    heap: i64,
    resident: i64,
    own: i64,
    allocated: i64,
}

impl Delta {
    fn add(&mut self, other: &Delta) {
        for (sum, more) in [
            (&mut self.heap, other.heap),
            (&mut self.resident, other.resident),
            (&mut self.own, other.own),
            (&mut self.allocated, other.allocated),
        ] {
            *sum = sum.saturating_add(more);
        }
    }

    fn minus(&self, other: &Delta) -> Delta {
        Delta {
            heap: self.heap.saturating_sub(other.heap),
            resident: self.resident.saturating_sub(other.resident),
            own: self.own.saturating_sub(other.own),
            allocated: self.allocated.saturating_sub(other.allocated),
        }
    }
}

/// The sum so far.
#[derive(Debug)]
pub struct Clock {
    step_ns: u64,
    /// By the time of the clock, in nanoseconds since 1970.
    changes: Vec<(u64, Delta)>,
}

/// All processes together.
pub struct Together {
    /// Time since the first start.
    pub points: Vec<Point>,
    /// Highest sum of the heaps, in bytes.
    pub peak: i64,
    /// When that was, nanoseconds since the first start.
    pub peak_ns: u64,
    /// What lay nearer together than this counts as one moment, in nanoseconds.
    pub step_ns: u64,
}

impl Default for Clock {
    fn default() -> Self {
        Clock {
            step_ns: FIRST_STEP_NS,
            changes: Vec::new(),
        }
    }
}

impl Clock {
    /// Adds the process of `profile`. Its resident set counts if no other profile of the same
    /// process tells of it.
    pub fn add(&mut self, profile: &Profile, resident_counts: bool) {
        let started = profile.header.started_unix_ns;
        let before = profile.before_fork();
        let rss = |point: &Point| match resident_counts {
            true => (point.resident() as i64, point.own() as i64),
            false => (0, 0),
        };
        // What is known of each moment; the peak is seldom at a point of the timeline.
        let mut known: Vec<(u64, Delta)> = vec![(
            0,
            Delta {
                heap: profile.header.heap_base as i64 - before,
                ..Delta::default()
            },
        )];
        let mut last = known[0].1;
        for point in &profile.timeline {
            let (resident, own) = rss(point);
            // A point without it says nothing of it.
            if resident != 0 {
                (last.resident, last.own) = (resident, own);
            }
            last.heap = (point.heap as i64).saturating_sub(before);
            last.allocated = last.allocated.max(point.alloc_bytes as i64);
            known.push((point.time_ns, last));
        }
        let at = |time_ns: u64, heap: i64, known: &[(u64, Delta)]| {
            let since = known.iter().rev().find(|(time, _)| *time <= time_ns);
            let heap = heap.saturating_sub(before);
            let since = since.map_or(Delta::default(), |(_, change)| *change);
            (time_ns, Delta { heap, ..since })
        };
        let peak = at(profile.header.peak_ns, profile.peak(), &known);
        let mut end = at(profile.duration_ns(), profile.heap(), &known);
        end.1.allocated = profile.counters().alloc_bytes as i64;
        if profile.peak() > 0 {
            known.push(peak);
        }
        known.push(end);
        // Of one moment, the end comes last.
        known.sort_by_key(|(time, _)| *time);
        let mut before = Delta::default();
        for (time_ns, now) in known {
            self.change(started.saturating_add(time_ns), now.minus(&before));
            before = now;
        }
        // What was allocated stays so.
        let gone = Delta {
            allocated: before.allocated,
            ..Delta::default()
        };
        let end_ns = started.saturating_add(profile.duration_ns());
        // Later than the last of it, so that what it had then is seen.
        self.change(end_ns.saturating_add(1), gone.minus(&before));
    }

    fn change(&mut self, time_ns: u64, change: Delta) {
        self.changes.push((time_ns, change));
        if self.changes.len() >= 2 * MOST {
            self.thin();
        }
    }

    /// Adds up what lies within a step, and widens the step until there are no more than are kept.
    fn thin(&mut self) {
        loop {
            let step = self.step_ns;
            // The end of a step, so that what ends and what begins within it meet.
            for (time, _) in &mut self.changes {
                *time = time.div_ceil(step).saturating_mul(step);
            }
            self.changes.sort_by_key(|(time, _)| *time);
            self.changes.dedup_by(|next, kept| {
                let is_same = next.0 == kept.0;
                if is_same {
                    kept.1.add(&next.1);
                }
                is_same
            });
            if self.changes.len() <= MOST {
                return;
            }
            self.step_ns = step.saturating_mul(2);
        }
    }

    /// All together, in time since `started_ns` of the clock. What one process alone had at its
    /// peak, `highest`, was there at `highest_ns`.
    pub fn finish(mut self, started_ns: u64, (highest, highest_ns): (i64, u64)) -> Together {
        self.thin();
        let mut sums: Vec<(u64, Delta)> = Vec::with_capacity(self.changes.len());
        let mut sum = Delta::default();
        for (time, change) in &self.changes {
            sum.add(change);
            sums.push((time.saturating_sub(started_ns), sum));
        }
        // When all are gone, there is nothing to be shown.
        if sums.last().is_some_and(|(_, last)| last.heap == 0) {
            sums.pop();
        }
        let peak = sums
            .iter()
            .max_by_key(|(time, sum)| (sum.heap, std::cmp::Reverse(*time)));
        let (mut peak_ns, mut peak) = peak.map_or((0, 0), |(time, sum)| (*time, sum.heap));
        // Within a step, a process may have come to its peak and have ended.
        if highest > peak {
            (peak, peak_ns) = (highest, highest_ns.saturating_sub(started_ns));
        }
        Together {
            points: points(&sums),
            peak,
            peak_ns,
            step_ns: self.step_ns,
        }
    }
}

/// No more points than a profile has room for: of those near together, the highest.
fn points(sums: &[(u64, Delta)]) -> Vec<Point> {
    let per_point = sums.len().div_ceil(POINTS).max(1);
    let highest = sums
        .chunks(per_point)
        .filter_map(|near| near.iter().max_by_key(|(_, sum)| sum.heap));
    highest
        .map(|&(time_ns, sum)| Point {
            time_ns,
            heap: sum.heap as u64,
            rss: Point::rss_of(sum.resident.max(0) as u64, sum.own.max(0) as u64),
            alloc_bytes: sum.allocated.max(0) as u64,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::builder::Builder;
    use crate::profile::parse;

    const MS: u64 = 1_000_000;

    /// A process that starts at `start` ms, has so many bytes from then on, and ends at `end`.
    fn process(start: u64, end: u64, heap: u64) -> Profile {
        let mut builder = Builder::new();
        let header = &mut builder.header;
        header.started_unix_ns = 1_000_000 * MS + start * MS;
        header.final_ns = (end - start) * MS;
        (header.peak, header.heap) = (heap, heap);
        (header.final_alloc_bytes, header.final_allocs) = (heap, 1);
        parse("x".as_ref(), builder.to_input()).unwrap().0
    }

    fn together(profiles: &[Profile]) -> Together {
        let mut clock = Clock::default();
        profiles.iter().for_each(|profile| clock.add(profile, true));
        clock.finish(1_000_000 * MS, (0, 0))
    }

    #[test]
    fn peaks_add_up_only_while_processes_live_at_once() {
        let after = together(&[process(0, 10, 700), process(10, 20, 500)]);
        assert_eq!(after.peak, 700);
        let overlap = together(&[process(0, 10, 700), process(9, 20, 500)]);
        assert_eq!((overlap.peak, overlap.peak_ns / MS), (1200, 9));
    }

    #[test]
    fn the_order_of_processes_is_of_no_account() {
        let mut profiles: Vec<Profile> = (0..500)
            .map(|number| process(number * 7 % 100, 100 + number * 13 % 400, 1 + number))
            .collect();
        let one = together(&profiles);
        profiles.reverse();
        let other = together(&profiles);
        assert_eq!(one.points, other.points);
        assert_eq!((one.peak, one.peak_ns), (other.peak, other.peak_ns));
        assert!(one.points.len() <= POINTS && one.peak > 100_000);
    }

    #[test]
    fn many_changes_widen_the_step_and_lose_no_bytes() {
        let mut clock = Clock::default();
        let mut plain = 0;
        for number in 0..3 * MOST as u64 {
            let heap = (number % 5) as i64 - 1;
            plain += heap;
            let change = Delta {
                heap,
                ..Delta::default()
            };
            clock.change(number * MS, change);
        }
        let together = clock.finish(0, (0, 0));
        assert!(together.step_ns > MS && together.step_ns < 8 * MS);
        assert_eq!(together.peak, plain);
        assert!(together.points.is_sorted_by_key(|point| point.time_ns));
    }
}
