//! The time budget: how wide the sampling interval must be for the recorder to stay within its
//! share of the program's time.
//!
//! Allowed is `grant + share * cpu time`. Sampling starts exact (interval 0) and stays so until
//! half of the grant is spent; programs that allocate little never get there. From then on the
//! interval follows the program. Every check compares the share of CPU time that samples took since
//! the last check with the share they may take. Half the interval means twice the samples, so
//!
//! ```text
//! next interval = interval * taken / may take
//! may take      = share + left / cpu time - unsampled,   at least half of the share
//! ```
//! The next interval is rounded to a power of two, with some play so that it rests.
//! `left` is the unused part of what was allowed so far; negative if too much was used. It is
//! spent, or paid back, over as much time as the program has run. `unsampled` is the cost of
//! operations that are only counted: it is part of the recorder's time and does not depend on the
//! interval. Half of the share is for samples whatever else was spent: a profile without samples is
//! of no use to anybody. Since every sample carries its own weight, the interval may change at any
//! time without bias.
//!
//! Example: at 2 %, after 1 s of CPU time with 25 of 28 ms used: left are 3 ms, so 2.3 % may be
//! taken. Samples took 4.6 % since the last check at 64 KiB: the next interval is 128 KiB.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::ffi::os;
use crate::sampling::calibration::{clock_cost, filter_cost};
use crate::sampling::filter::Filter;
use crate::sampling::weights::{NARROWEST, WIDEST};

/// The budget is checked whenever samples have taken this much more time, in nanoseconds.
const CHECK_SAMPLES_NS: u64 = 500_000;
/// And whenever this much time has passed, nanoseconds: a program that allocates little after much
/// has few samples.
const CHECK_NS: u64 = 20_000_000;
/// Then it counts if the program has used this much CPU time since the last one that did,
/// nanoseconds. A server that mostly waits uses 1 ms in 20: what one sample took would be 2 % of
/// it, or, with one more, 4 %.
const CHECK_CPU_NS: u64 = 20_000_000;
/// Less than this used on samples since the last look, by some 16 that were timed, says too little
/// to widen the interval.
const LITTLE_NS: u64 = 30_000;
/// What is wanted must differ from what is by this factor before the interval changes. Above the
/// root of 2, so that what is rounded to a power of two is not rounded back.
const PLAY: f64 = 1.5;
/// One sample in this many is timed; its time stands for all of them. Reading the clock twice takes
/// 60 ns.
const TIMED: u64 = 8;
/// The same where nothing depends on it but the figure in the report.
const TIMED_FIXED: u64 = 32;
/// Of the operations that take the slow path without a sample, one in this many is timed.
const TIMED_UNSAMPLED: u64 = 64;
/// A timed sample that took longer than this, plus the second figure for every frame, was
/// interrupted: what exceeds it is not the recorder's time.
const LONGEST_NS: u64 = 20_000;
const LONGEST_FRAME_NS: u64 = 1_000;
/// The same of an operation without a sample, of which the longest adds a point to the timeline.
const LONGEST_UNSAMPLED_NS: u64 = 5_000;

pub struct OverheadBudget {
    /// Share of the CPU time, in millionths; `None` for a sampling that is not to change.
    share_ppm: Option<u64>,
    /// Time granted on top of the share.
    grant_ns: u64,
    /// One sample in this many is timed: a power of two.
    timed: u64,
    cpu_at_start: u64,
    /// Used on samples so far, nanoseconds.
    samples_ns: AtomicU64,
    next_check_samples_ns: AtomicU64,
    next_check_ns: AtomicU64,
    is_checking: AtomicBool,
    last_samples_ns: AtomicU64,
    last_own_ns: AtomicU64,
    last_cpu_ns: AtomicU64,
    last_asked: AtomicU64,
    /// What timing itself adds to a time, nanoseconds.
    clock_ns: u64,
    /// What it takes to find that a block was not sampled, picoseconds.
    filter_ps: u64,
}

/// The budget at one check. Times in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Snapshot {
    /// Used so far.
    own: u64,
    grant: u64,
    /// Share of CPU time that may be used on top.
    share: f64,
    cpu: u64,
    /// Since the last check: CPU time, time used on samples, and on what was not sampled.
    cpu_step: u64,
    samples_step: u64,
    unsampled_step: u64,
}

impl OverheadBudget {
    /// A budget that begins now: `share_ppm` of the CPU time, after `grant_ns` nanoseconds.
    pub fn new(share_ppm: Option<u64>, grant_ns: u64) -> OverheadBudget {
        OverheadBudget {
            share_ppm,
            grant_ns,
            timed: share_ppm.map_or(TIMED_FIXED, |_| TIMED),
            cpu_at_start: os::cpu_ns(),
            samples_ns: AtomicU64::new(0),
            next_check_samples_ns: AtomicU64::new(CHECK_SAMPLES_NS),
            next_check_ns: AtomicU64::new(CHECK_NS),
            is_checking: AtomicBool::new(false),
            last_samples_ns: AtomicU64::new(0),
            last_own_ns: AtomicU64::new(0),
            last_cpu_ns: AtomicU64::new(0),
            last_asked: AtomicU64::new(0),
            clock_ns: clock_cost(),
            filter_ps: 0,
        }
    }

    /// What operations that are not sampled cost is measured with `filter`, which is empty.
    pub fn asking(self, filter: Filter) -> OverheadBudget {
        OverheadBudget {
            filter_ps: filter_cost(filter),
            ..self
        }
    }

    /// True if the sample with this number is to be timed.
    #[inline]
    pub fn is_timed(&self, number: u64) -> bool {
        number & (self.timed - 1) == 0
    }

    /// True if the operation that drew this number is to be timed, which takes the slow path
    /// without a sample.
    #[inline]
    pub fn is_timed_unsampled(random: u64) -> bool {
        random & (TIMED_UNSAMPLED - 1) == 0
    }

    /// The time that one timed sample stands for, nanoseconds, having started at `start` and walked
    /// `frames`.
    pub fn time_since(&self, start: u64, frames: usize) -> u64 {
        self.taken(start, LONGEST_NS + LONGEST_FRAME_NS * frames as u64) * self.timed
    }

    /// The same for an operation without a sample.
    pub fn unsampled_since(&self, start: u64) -> u64 {
        self.taken(start, LONGEST_UNSAMPLED_NS) * TIMED_UNSAMPLED
    }

    fn taken(&self, start: u64, longest: u64) -> u64 {
        let taken = os::now_ns().saturating_sub(start).min(longest);
        taken.saturating_sub(self.clock_ns)
    }

    /// So much was used on samples, nanoseconds.
    pub fn used(&self, taken: u64) {
        self.samples_ns.fetch_add(taken, Ordering::Relaxed);
    }

    /// CPU time of the process since the recording started, nanoseconds.
    pub fn cpu_ns(&self) -> u64 {
        os::cpu_ns().saturating_sub(self.cpu_at_start)
    }

    /// True if a check is due, `now_ns` after the start.
    #[inline]
    pub fn is_due(&self, now_ns: u64) -> bool {
        now_ns >= self.next_check_ns.load(Ordering::Relaxed)
            || self.samples_ns.load(Ordering::Relaxed)
                >= self.next_check_samples_ns.load(Ordering::Relaxed)
    }

    /// `None` while another thread checks the budget.
    pub fn begin_check(&self) -> Option<Checking<'_>> {
        let is_another = self.is_checking.swap(true, Ordering::Acquire);
        (!is_another).then_some(self).map(Checking)
    }

    /// What the filter has cost since the last check, in nanoseconds; `asked` is how often it was
    /// asked in all.
    pub fn filter_ns(&self, asked: u64) -> u64 {
        step(&self.last_asked, asked).saturating_mul(self.filter_ps) / 1_000
    }

    /// Checks the budget `now_ns` after the start, when the recorder has used `own` nanoseconds in
    /// all; `mean` is the mean size of the program's allocations, in bytes. Returns the new
    /// interval, if it changes.
    pub fn check(&self, now_ns: u64, own: u64, interval: u64, mean: u64) -> Option<u64> {
        self.next_check_ns
            .store(now_ns.saturating_add(CHECK_NS), Ordering::Relaxed);
        let samples = self.samples_ns.load(Ordering::Relaxed);
        let cpu = self.cpu_ns();
        let since = |last: &AtomicU64, now: u64| now.saturating_sub(last.load(Ordering::Relaxed));
        let samples_step = since(&self.last_samples_ns, samples);
        let cpu_step = since(&self.last_cpu_ns, cpu);
        if samples_step < CHECK_SAMPLES_NS && cpu_step < CHECK_CPU_NS {
            return None;
        }
        let snapshot = Snapshot {
            own,
            grant: self.grant_ns,
            share: self.share_ppm.unwrap_or(0) as f64 / 1e6,
            cpu,
            cpu_step,
            samples_step,
            unsampled_step: since(&self.last_own_ns, own).saturating_sub(samples_step),
        };
        for (last, now) in [
            (&self.last_samples_ns, samples),
            (&self.last_cpu_ns, cpu),
            (&self.last_own_ns, own),
            (
                &self.next_check_samples_ns,
                samples.saturating_add(CHECK_SAMPLES_NS),
            ),
        ] {
            last.store(now, Ordering::Relaxed);
        }
        let next = self
            .share_ppm
            .map(|_| snapshot.next_interval(interval, mean))?;
        (next != interval).then_some(next)
    }

    /// The next wider interval, for when memory runs short; `None` if sampling is not to change.
    pub fn widen(&self, interval: u64, mean: u64) -> Option<u64> {
        self.share_ppm.map(|_| wider(interval, mean))
    }

    /// True if the interval may change.
    pub fn is_flexible(&self) -> bool {
        self.share_ppm.is_some()
    }
}

/// Ends a check when it is dropped.
pub struct Checking<'a>(&'a OverheadBudget);

impl Drop for Checking<'_> {
    fn drop(&mut self) {
        self.0.is_checking.store(false, Ordering::Release);
    }
}

/// By how much `now` is above what was stored last, where it is stored now.
fn step(last: &AtomicU64, now: u64) -> u64 {
    now.saturating_sub(last.swap(now, Ordering::Relaxed))
}

impl Snapshot {
    fn next_interval(&self, interval: u64, mean: u64) -> u64 {
        if interval == 0 && self.own < self.grant / 2 {
            return 0;
        }
        let cpu_step = self.cpu_step.max(1) as f64;
        let allowed = self.grant as f64 + self.share * self.cpu as f64;
        let left = (allowed - self.own as f64) / self.cpu.max(1) as f64;
        let unsampled = self.unsampled_step as f64 / cpu_step;
        let may_take = (self.share + left - unsampled).max(self.share / 2.0);
        let takes = self.samples_step as f64 / cpu_step;
        // At intervals narrower than the blocks, all are samples: there are no more to be had.
        let now = interval.max(mean).max(1) as f64;
        let wanted = now * takes / may_take;
        let is_narrow = interval <= NARROWEST.max(mean);
        if is_narrow && wanted <= mean as f64 {
            0
        } else if interval == 0 || (wanted > PLAY * now && self.samples_step > LITTLE_NS) {
            let widened = (wanted / PLAY) as u64;
            widened.clamp(NARROWEST, WIDEST).next_power_of_two()
        } else if wanted * PLAY < now {
            (interval / 2).max(NARROWEST)
        } else {
            interval
        }
    }
}

/// Twice as wide; from exact to where about half of the allocations are sampled.
fn wider(interval: u64, mean: u64) -> u64 {
    let next = if interval == 0 {
        mean.clamp(NARROWEST, WIDEST).next_power_of_two()
    } else {
        interval.saturating_mul(2)
    };
    next.min(WIDEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// After a second, 25 of 28 ms used. In the last 20 ms, samples took 0.46 ms: 2.3 %, which is
    /// what they may take.
    const LOOK: Snapshot = Snapshot {
        own: 25 * MS,
        grant: 8 * MS,
        share: 0.02,
        cpu: 1_000 * MS,
        cpu_step: 20 * MS,
        samples_step: 23 * MS / 50,
        unsampled_step: 0,
    };

    #[test]
    fn stays_exact_within_half_of_the_grant() {
        let busy = Snapshot {
            own: 39 * MS / 10,
            cpu: 10 * MS,
            samples_step: 19 * MS,
            ..LOOK
        };
        assert_eq!(busy.next_interval(0, 100), 0);
        assert_ne!(
            Snapshot {
                own: 8 * MS,
                ..busy
            }
            .next_interval(0, 100),
            0
        );
    }

    /// 90 % where 4 % may be taken: 22 times as wide as the mean block, less the play, is 1,466.
    #[test]
    fn leaves_the_exact_beginning_for_the_interval_that_the_budget_has_room_for() {
        let spent = Snapshot {
            own: 8 * MS,
            cpu: 9 * MS,
            cpu_step: 9 * MS,
            samples_step: 81 * MS / 10,
            ..LOOK
        };
        assert_eq!(spent.next_interval(0, 100), 2048);
        assert_eq!(spent.next_interval(0, 1), NARROWEST);
        assert_eq!(spent.next_interval(0, u64::MAX), WIDEST);
        // A program that allocates little stays exact.
        let calm = Snapshot {
            samples_step: MS / 10,
            ..spent
        };
        assert_eq!(calm.next_interval(0, 100), 0);
    }

    #[test]
    fn rests_while_samples_take_what_they_may() {
        let at = |samples_step| {
            Snapshot {
                samples_step,
                ..LOOK
            }
            .next_interval(4096, 100)
        };
        assert_eq!(at(LOOK.samples_step), 4096);
        assert_eq!(at(LOOK.samples_step * 14 / 10), 4096);
        assert_eq!(at(LOOK.samples_step * 16 / 10), 8192);
        assert_eq!(at(LOOK.samples_step * 10), 32_768);
        assert_eq!(at(LOOK.samples_step / 2), 2048);
        assert_eq!(at(LOOK.samples_step * 10 / 14), 4096);
        // A look at next to nothing says nothing.
        let start = Snapshot {
            cpu_step: MS / 10,
            samples_step: 20_000,
            ..LOOK
        };
        assert_eq!(start.next_interval(4096, 100), 4096);
    }

    /// Whatever was spent before, half of the share is for samples: at 1 % of 20 ms.
    #[test]
    fn old_debts_do_not_starve_the_samples() {
        let indebted = Snapshot {
            own: 500 * MS,
            samples_step: 20 * MS / 100,
            ..LOOK
        };
        assert_eq!(indebted.next_interval(4096, 100), 4096);
        let by_the_unsampled = Snapshot {
            unsampled_step: 10 * MS,
            samples_step: 20 * MS / 100,
            ..LOOK
        };
        assert_eq!(by_the_unsampled.next_interval(4096, 100), 4096);
    }

    #[test]
    fn becomes_exact_again_where_all_samples_are_few() {
        let idle = Snapshot {
            samples_step: 0,
            ..LOOK
        };
        assert_eq!(idle.next_interval(4096, 100), 2048);
        assert_eq!(idle.next_interval(64, 100), 0);
    }

    /// What is remembered of a block has room for no others.
    #[test]
    fn intervals_are_powers_of_two() {
        for mean in [0, 1, 100, 5_000, 1 << 40] {
            let mut interval = 0;
            for _ in 0..40 {
                interval = wider(interval, mean);
                assert!(interval.is_power_of_two(), "{interval}");
            }
        }
    }

    /// A program that mostly waits is looked at often, and judged by what adds up.
    #[test]
    fn a_look_at_little_counts_with_the_next() {
        let budget = OverheadBudget::new(Some(20_000), 0);
        budget.used(CHECK_SAMPLES_NS / 2);
        assert_eq!(
            budget.check(CHECK_NS, CHECK_SAMPLES_NS / 2, 4096, 100),
            None
        );
        assert!(!budget.is_due(CHECK_NS) && budget.is_due(2 * CHECK_NS));
        assert_eq!(budget.last_samples_ns.load(Ordering::Relaxed), 0);
        budget.used(CHECK_SAMPLES_NS / 2);
        assert!(budget.is_due(CHECK_NS));
        // Half a millisecond of samples in hardly more CPU time.
        let next = budget.check(2 * CHECK_NS, CHECK_SAMPLES_NS, 4096, 100);
        assert!(next.is_some_and(|next| next > 4096), "{next:?}");
        assert!(!budget.is_due(2 * CHECK_NS));
    }

    #[test]
    fn a_fixed_sampling_never_changes() {
        assert_eq!(
            OverheadBudget::new(None, 0).check(1 << 40, 1 << 40, 0, 100),
            None
        );
        assert_eq!(OverheadBudget::new(None, 0).widen(0, 100), None);
    }
}
