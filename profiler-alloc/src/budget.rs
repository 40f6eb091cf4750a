//! The time budget: how wide the sampling interval must be for the recorder to take no more of the program's time than it
//! may.
//!
//! Allowed is `grant + share * cpu time`. Sampling starts exact (interval 0); programs that allocate little never leave
//! that. Nobody knows how long a program will run, so the budget is spent in levels: each may use up an eighth of what is
//! left, then the interval doubles. So every doubling of the run gets about as many samples as the one before, and the
//! figures of the whole run are as good as if its length had been known. Since every sample carries its own weight, the
//! interval may change at any time without bias.
//!
//! ```text
//! interval   exact      64 KiB                       a level ends when it has spent its part,
//!            ├────────┤├─────────┤├──────────┤…      or when the budget is overdrawn and the pace too high
//! ```

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::sampling::{NARROWEST, WIDEST};
use crate::sys;

/// Time granted on top of the share, nanoseconds: some 300,000 samples.
pub const GRANT_NS: u64 = 100_000_000;
/// The budget is looked at whenever the recorder has used this much more, nanoseconds.
const CHECK_NS: u64 = 500_000;
/// A level may use this part of what is left.
const LEVEL_PART: u64 = 8;
/// One sample in so many is timed; its time stands for all of them. Two looks at the clock take 60 ns.
const TIMED: u64 = 8;
/// The same where nothing depends on it but the figure in the report.
const TIMED_FIXED: u64 = 32;
/// A timed sample that took longer than this, and so much for every frame walked, was interrupted: what exceeds it is
/// not the recorder's time.
const LONGEST_NS: u64 = 50_000;
const LONGEST_FRAME_NS: u64 = 1_000;

pub struct Budget {
    /// Share of the CPU time, in millionths; `None` for a sampling that is not to change.
    share_ppm: Option<u64>,
    /// One sample in so many is timed: a power of two.
    timed: u64,
    cpu_at_start: u64,
    next_check: AtomicU64,
    last_own: AtomicU64,
    last_cpu: AtomicU64,
    level_end: AtomicU64,
    checking: AtomicBool,
    /// What timing itself adds to a time, nanoseconds.
    clock_ns: u64,
}

/// Where the budget stands at one look at it. Times in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// Used so far.
    own: u64,
    /// May be used so far.
    allowed: u64,
    /// Used since the last look.
    own_step: u64,
    /// The share of the time since the last look.
    pace: u64,
    /// The present level ends when so much is used.
    level_end: u64,
}

impl Budget {
    pub fn new(share_ppm: Option<u64>) -> Budget {
        Budget {
            share_ppm,
            timed: share_ppm.map_or(TIMED_FIXED, |_| TIMED),
            cpu_at_start: sys::cpu_ns(),
            next_check: AtomicU64::new(CHECK_NS),
            last_own: AtomicU64::new(0),
            last_cpu: AtomicU64::new(0),
            level_end: AtomicU64::new(GRANT_NS / LEVEL_PART),
            checking: AtomicBool::new(false),
            clock_ns: clock_cost(),
        }
    }

    /// True if the sample with this number is to be timed.
    #[inline]
    pub fn is_timed(&self, number: u64) -> bool {
        number & (self.timed - 1) == 0
    }

    /// The time that one timed sample stands for, nanoseconds, having started at `start` and walked `frames`.
    pub fn time_since(&self, start: u64, frames: usize) -> u64 {
        let longest = LONGEST_NS + LONGEST_FRAME_NS * frames as u64;
        let taken = sys::now_ns().saturating_sub(start).min(longest);
        taken.saturating_sub(self.clock_ns) * self.timed
    }

    /// CPU time of the process since the recording started, nanoseconds.
    pub fn cpu_ns(&self) -> u64 {
        sys::cpu_ns().saturating_sub(self.cpu_at_start)
    }

    /// The interval to go on with, if it is to change, after the recorder has used `own` nanoseconds in all. `mean` is the
    /// mean size of the program's allocations, in bytes.
    pub fn check(&self, own: u64, interval: u64, mean: u64) -> Option<u64> {
        let share = self.share_ppm?;
        if own < self.next_check.load(Ordering::Relaxed)
            || self.checking.swap(true, Ordering::Acquire)
        {
            return None;
        }
        let cpu = self.cpu_ns();
        let part = |time: u64| (u128::from(time) * u128::from(share) / 1_000_000) as u64;
        let look = Look {
            own,
            allowed: GRANT_NS.saturating_add(part(cpu)),
            own_step: own.saturating_sub(self.last_own.swap(own, Ordering::Relaxed)),
            pace: part(cpu.saturating_sub(self.last_cpu.swap(cpu, Ordering::Relaxed))),
            level_end: self.level_end.load(Ordering::Relaxed),
        };
        let next = look.next_interval(interval, mean);
        if next != interval {
            let left = look.allowed.saturating_sub(own);
            self.level_end
                .store(own.saturating_add(left / LEVEL_PART), Ordering::Relaxed);
        }
        self.next_check
            .store(own.saturating_add(CHECK_NS), Ordering::Relaxed);
        self.checking.store(false, Ordering::Release);
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

impl Look {
    fn next_interval(&self, interval: u64, mean: u64) -> u64 {
        let is_overdrawn = self.own > self.allowed && self.own_step > self.pace;
        let left = self.allowed.saturating_sub(self.own);
        if is_overdrawn || (self.own > self.level_end && self.own_step > self.pace) {
            wider(interval, mean)
        } else if interval > 0 && left > self.allowed / 4 && self.own_step < self.pace / 2 {
            if interval <= NARROWEST.max(mean) {
                0
            } else {
                interval / 2
            }
        } else {
            interval
        }
    }
}

/// Nanoseconds between two looks at the clock with nothing in between.
fn clock_cost() -> u64 {
    let between = |_| {
        let start = sys::now_ns();
        sys::now_ns().saturating_sub(start)
    };
    (0..16).map(between).min().unwrap_or(0)
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

    /// In the middle of a level, within the budget, at a high pace.
    const LOOK: Look = Look {
        own: 10 * MS,
        allowed: 100 * MS,
        own_step: MS,
        pace: MS / 10,
        level_end: 12 * MS,
    };

    #[test]
    fn stays_exact_within_the_first_level() {
        assert_eq!(LOOK.next_interval(0, 100), 0);
    }

    #[test]
    fn a_level_that_has_spent_its_part_is_followed_by_one_twice_as_wide() {
        let spent = Look {
            own: 13 * MS,
            ..LOOK
        };
        assert_eq!(spent.next_interval(0, 100), 128);
        assert_eq!(spent.next_interval(0, 1), NARROWEST);
        assert_eq!(spent.next_interval(128, 100), 256);
        assert_eq!(spent.next_interval(WIDEST, 100), WIDEST);
    }

    #[test]
    fn holds_when_the_pace_is_right_whatever_was_spent_before() {
        let slow = Look {
            own: 110 * MS,
            pace: 2 * MS,
            ..LOOK
        };
        assert_eq!(slow.next_interval(4096, 100), 4096);
        assert_eq!(
            Look {
                pace: MS / 2,
                ..slow
            }
            .next_interval(4096, 100),
            8192
        );
    }

    #[test]
    fn narrows_when_there_is_room_and_the_pace_allows() {
        let idle = Look {
            own: 50 * MS,
            pace: 4 * MS,
            ..LOOK
        };
        assert_eq!(idle.next_interval(4096, 100), 2048);
        assert_eq!(idle.next_interval(64, 100), 0);
        assert_eq!(
            Look {
                own: 80 * MS,
                ..idle
            }
            .next_interval(4096, 100),
            4096
        );
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

    #[test]
    fn a_fixed_sampling_never_changes() {
        assert_eq!(Budget::new(None).check(1 << 40, 0, 100), None);
        assert_eq!(Budget::new(None).widen(0, 100), None);
    }
}
