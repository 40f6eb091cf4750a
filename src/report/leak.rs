//! How much a line looks like a leak: what it has grown by since the program was warm, and how steadily.
//!
//! ```text
//! live at waypoints        1     2     3     4     end
//! a table made at start   90    96    96    96     96   warm at 2: grew by 0
//! a leak                   1     2     3     4      5   warm at 2: grew by 3, by 1 in each period: scores 3
//! a cache, filled anew    40     5    60    10     40   stayed:    5 → 10 → 10 → 40: mostly in one period: scores 20
//! ```

use super::sites::Site;
use super::{Bytes, Stacks};
use crate::profile::Course;

/// Fewer waypoints say nothing of a course.
const LEAST: usize = 4;

/// What a line has live, over time.
#[derive(Clone, PartialEq, Debug)]
pub struct Growth {
    /// Bytes live at each waypoint, and at the end.
    pub course: Vec<i64>,
    /// Bytes live at the end minus those when the program was warm.
    pub since_warm: Bytes,
    /// Since when, nanoseconds before the end.
    pub span_ns: u64,
    /// How much it looks like a leak, in bytes.
    pub score: f64,
}

impl Growth {
    /// Bytes by second since the program was warm.
    pub fn per_second(&self) -> Bytes {
        self.since_warm.per(self.span_ns as f64 / 1e9)
    }
}

impl Stacks {
    /// The waypoint at which a program counts as warm: the first after a quarter of the run. `None` if the run was too short
    /// for waypoints.
    fn warm(&self) -> Option<usize> {
        let quarter = self.recording.duration_ns / 4;
        let warm = (self.waypoints.iter()).position(|&time_ns| time_ns >= quarter);
        warm.filter(|_| self.waypoints.len() >= LEAST)
    }
}

impl Site {
    /// What the line has live, over time. `None` if the recorder did not say, or the run was too short.
    pub fn growth(&self, stacks: &Stacks) -> Option<Growth> {
        let warm = stacks.warm()?;
        let times = &stacks.waypoints;
        let end_ns = stacks.recording.duration_ns.max(*times.last()?);
        let live = &self.course.live[..times.len()];
        let course: Vec<i64> = live
            .iter()
            .copied()
            .chain([self.figures.live.bytes])
            .collect();
        let times: Vec<u64> = times.iter().copied().chain([end_ns]).collect();
        let since = |slot: usize| self.since(stacks, slot);

        // What was there at a waypoint and stayed: no more than what was live at any later moment.
        let mut stayed = course.clone();
        for slot in (0..stayed.len() - 1).rev() {
            stayed[slot] = stayed[slot].min(stayed[slot + 1]);
        }
        let end = course.len() - 1;
        let lowest = (warm..=end).find(|&slot| course[slot] == stayed[warm]);
        let span_ns = end_ns - times[warm];
        let periods = (warm..end).map(|slot| {
            let grown = stayed[slot + 1].saturating_sub(stayed[slot]);
            (grown as f64, (times[slot + 1] - times[slot]) as f64)
        });
        let grown: f64 = periods.clone().map(|(grown, _)| grown).sum();
        // All of it if it grew by the same in every second, and the nth part if in one of n periods only.
        let roots: f64 = periods.map(|(grown, ns)| (grown * ns).sqrt()).sum();
        let steady = roots.powi(2) / (span_ns as f64).max(1.0);
        let error = lowest.map_or(0.0, |slot| since(slot).standard_error);
        // What noise alone makes 19 times of 20 is nothing.
        let sure = 1.0 - (2.0 * error / grown.max(1.0)).min(1.0);
        Some(Growth {
            since_warm: since(warm),
            span_ns,
            score: steady * sure,
            course,
        })
    }

    /// Bytes live at the end minus those at a waypoint.
    fn since(&self, stacks: &Stacks, slot: usize) -> Bytes {
        if slot >= stacks.waypoints.len() {
            return Bytes::default();
        }
        let mut since = Bytes {
            bytes: self
                .figures
                .live
                .bytes
                .saturating_sub(self.course.live[slot]),
            standard_error: 0.0,
        };
        let variances = self.stacks.iter().map(|&number| {
            let stack = &stacks.stacks[number];
            let now = stack.figures.live.standard_error.powi(2);
            let frees_nothing = stack.figures.live_count >= stack.figures.count;
            variance_since(
                &stack.course,
                (slot, stacks.waypoints[slot]),
                now,
                frees_nothing,
            )
        });
        since.standard_error = variances.sum::<f64>().sqrt();
        since
    }
}

/// The variance of what a stack has live at the end minus what it had at a waypoint: that of the blocks which are in one of the
/// two alone. Where it took none since, or freed none ever, these are all of one kind; else how many are in both is not
/// known, and the sum bounds it.
fn variance_since(
    course: &Course,
    (slot, time_ns): (usize, u64),
    now: f64,
    frees_nothing: bool,
) -> f64 {
    let then = course.variance[slot];
    let took_none = course.taken.is_some_and(|taken| taken.last_ns < time_ns);
    if took_none || frees_nothing {
        (now - then).abs()
    } else {
        now + then
    }
}
