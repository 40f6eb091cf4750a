//! How much a line looks like a leak: what it has grown by since the program was warm, and how
//! steadily.
//!
//! ```text
//! live at waypoints        1     2     3     4     end   warm at 2
//! a table made at start   90    96    96    96     96    grew by 0
//! a leak                   1     2     3     4      5    grew by 3, by 1 in each period: scores 3
//! a cache, filled anew    40     5    60    10     40    grew by 35, mostly in one: scores 20
//! ```
//! Of the cache, 5 → 10 → 10 → 40 stayed from each waypoint on to the end.

use std::cmp::Ordering;

use super::sites::Site;
use super::{Bytes, Stacks};
use crate::profile::Course;

/// Fewer waypoints say nothing of a course.
const MIN_WAYPOINTS: usize = 4;

/// What a line has live, over time.
#[derive(Clone, PartialEq, Debug)]
pub struct LeakGrowth {
    /// Bytes live at each waypoint, and at the end.
    pub course: Vec<i64>,
    /// Bytes live at the end minus those when the program was warm.
    pub since_warm: Bytes,
    /// Since when, nanoseconds before the end.
    pub span_ns: u64,
    /// How much it looks like a leak, in bytes.
    pub score: f64,
}

/// A line, or all lines together, and how much it looks like a leak.
#[derive(Clone, PartialEq, Debug)]
pub struct Leak {
    /// What it is, and what it has live.
    pub site: Site,
    /// How that developed. `None` if the run was too short to tell.
    pub growth: Option<LeakGrowth>,
}

impl Leak {
    fn of(site: Site, stacks: &Stacks) -> Leak {
        Leak {
            growth: site.growth(stacks),
            site,
        }
    }

    /// How much it looks like a leak, in bytes: what it grew by, or where that is not known, what
    /// it [holds](Site::held).
    pub fn score(&self) -> f64 {
        let growth = self.growth.as_ref();
        growth.map_or_else(|| self.site.held(), |growth| growth.score)
    }

    /// What looks most like a leak first; among those that do not grow, what holds most.
    pub(super) fn order(&self, other: &Leak) -> Ordering {
        let score = other.score().total_cmp(&self.score());
        let held = || other.site.held().total_cmp(&self.site.held());
        score.then_with(held)
    }
}

impl LeakGrowth {
    /// Bytes by second since the program was warm.
    pub fn per_second(&self) -> Bytes {
        self.since_warm.per(self.span_ns as f64 / 1e9)
    }
}

impl Stacks {
    /// The lines that have something live, what looks most like a leak first.
    pub fn leaks(&self) -> Vec<Leak> {
        let sites = self.sites().into_iter();
        let live = sites.filter(|site| site.figures.live.bytes > 0);
        let mut leaks: Vec<Leak> = live.map(|site| Leak::of(site, self)).collect();
        leaks.sort_by(|a, b| a.order(b).then(a.site.frame.cmp(&b.site.frame)));
        leaks
    }

    /// All lines together, as if they were one.
    pub fn leak(&self) -> Leak {
        Leak::of(self.whole(), self)
    }

    /// The waypoint at which a program counts as warm: the first after a quarter of the run. `None`
    /// if the run was too short for waypoints.
    fn warm(&self) -> Option<usize> {
        let quarter = self.recording.duration_ns / 4;
        let warm = (self.waypoints.iter()).position(|&time_ns| time_ns >= quarter);
        warm.filter(|_| self.waypoints.len() >= MIN_WAYPOINTS)
    }
}

impl Site {
    /// What the line has live, over time. `None` if the recorder did not say, or the run was too
    /// short.
    pub fn growth(&self, stacks: &Stacks) -> Option<LeakGrowth> {
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
        // All of it if it grew by the same in every second, and the nth part if in one of n periods
        // only.
        let roots: f64 = periods.map(|(grown, ns)| (grown * ns).sqrt()).sum();
        let steady = roots.powi(2) / (span_ns as f64).max(1.0);
        let error = lowest.map_or(0.0, |slot| since(slot).standard_error);
        // What noise alone may have made counts for little: at three standard errors half, at one a
        // tenth.
        let sure = 1.0 / (1.0 + (3.0 * error / grown.max(1.0)).powi(2));
        Some(LeakGrowth {
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

/// The variance of what a stack has live at the end minus what it had at a waypoint: that of the
/// blocks which are in one of the two alone. Where it took none since, or freed none ever, these
/// are all of one kind; else how many are in both is not known, and the sum bounds it.
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

#[cfg(test)]
mod tests {
    use profiler_alloc_format::{Further, TICK_BITS, WAYPOINTS};

    use super::*;
    use crate::profile::builder::Builder;
    use crate::profile::{Frame, parse};
    use crate::source::Sources;
    use crate::symbolize::{CodeFrame, Symbols};

    /// The growth of a line that had so many KiB live at waypoints 1, 2, 3 and 4, and at the end,
    /// at 4.5; `error` is the standard error of what is live at the end.
    fn growth(course: [u64; 5], error: u64) -> LeakGrowth {
        let mut builder = Builder::new();
        builder.module("/bin/app");
        let frame = Frame::new(0, 16);
        let mut symbols = Symbols::default();
        symbols.insert(frame, vec![CodeFrame::new("app::grow", "/none/a.rs", 1)]);
        let stack = builder.stack(&[frame]);
        builder.allocated(stack, 1 << 30, 1 << 20);
        builder.freed(stack, stack, (1 << 30) - (course[4] << 10), (1 << 20) - 1);
        let error = (error << 10) as f64;
        builder.stacks[stack].live_variance = error.powi(2).to_bits();
        builder.header.final_ns = 9 << (TICK_BITS - 1);
        let mut live_bytes = [0; WAYPOINTS];
        live_bytes[..4].copy_from_slice(&course.map(|kib| kib << 10)[..4]);
        builder.further = vec![Further::empty(); stack];
        builder.further.push(Further {
            changed: 4,
            live_bytes,
            ..Further::empty()
        });
        let (profile, defects) = parse("app".as_ref(), builder.to_input()).unwrap();
        let mut sources = Sources::new(Default::default());
        let stacks = Stacks::new(&profile, &symbols, &mut sources, defects);
        stacks.sites()[0].growth(&stacks).unwrap()
    }

    fn score(course: [u64; 5]) -> f64 {
        growth(course, 0).score / 1024.0
    }

    #[test]
    fn what_grows_all_the_time_scores_all_that_it_grew_by() {
        // 2 at the second waypoint, where a run of 4.5 counts as warm; half a period at the end.
        assert_eq!(score([20, 40, 60, 80, 90]).round(), 50.0);
        let grown = growth([20, 40, 60, 80, 90], 0);
        assert_eq!(grown.since_warm.bytes, 50 << 10);
        let seconds = 2.5 * (1_u64 << TICK_BITS) as f64 / 1e9;
        let rate = grown.per_second().bytes as f64;
        assert!((rate - (50 << 10) as f64 / seconds).abs() < 1.0, "{rate}");
    }

    #[test]
    fn what_stopped_growing_sinks() {
        assert_eq!(score([900, 900, 900, 900, 900]), 0.0);
        assert_eq!(score([10, 900, 900, 900, 900]), 0.0);
        // In the second of three periods.
        assert_eq!(score([10, 400, 900, 900, 900]).round(), 200.0);
        assert_eq!(score([900, 900, 800, 700, 600]), 0.0);
    }

    #[test]
    fn what_is_emptied_and_filled_again_scores_little() {
        let cache = growth([40, 5, 60, 10, 40], 0);
        assert_eq!((cache.score / 1024.0).round(), 15.0);
        assert_eq!(cache.since_warm.bytes, 35 << 10);
        assert_eq!(score([40, 40, 0, 40, 0]), 0.0);
    }

    #[test]
    fn a_leak_after_a_higher_peak_is_one() {
        // The peak is gone at the third waypoint; in 1.5 of the 2.5 periods left it grew by 30.
        assert_eq!(score([900, 900, 20, 40, 50]).round(), 18.0);
    }

    #[test]
    fn what_chance_may_have_made_scores_little() {
        let of = |error| growth([20, 40, 60, 80, 90], error);
        assert_eq!(of(10).since_warm.standard_error.round(), 10.0 * 1024.0);
        let parts = [1, 10, 17, 50, 500].map(|error| of(error).score / (50.0 * 1024.0));
        assert_eq!(
            parts.map(|part| (part * 100.0).round()),
            [100.0, 74.0, 49.0, 10.0, 0.0]
        );
    }
}
