//! The time budget: widens the sampling interval when the recorder takes more of the program's time than it may, and
//! narrows it again when there is room.
//!
//! Allowed is `grant + share * cpu time`. Sampling starts exact (interval 0); programs that allocate little never leave
//! that. Since every sample carries its own weight, the interval may change at any time without bias.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::sampling::{NARROWEST, WIDEST};
use crate::sys;

/// Time granted on top of the share, nanoseconds: enough for some 50,000 samples.
pub const GRANT_NS: u64 = 20_000_000;
/// The budget is looked at whenever the recorder has used this much more, nanoseconds.
const CHECK_NS: u64 = 500_000;
/// One sample in so many is timed; its time stands for all of them.
pub const TIMED: u64 = 8;
/// A timed sample that took longer than this, and so much for every frame walked, was interrupted: what exceeds it is
/// not the recorder's time.
pub const LONGEST_NS: u64 = 50_000;
pub const LONGEST_FRAME_NS: u64 = 1_000;

pub struct Budget {
    /// Share of the CPU time, in millionths; `None` for a sampling that is not to change.
    share_ppm: Option<u64>,
    cpu_at_start: u64,
    next_check: AtomicU64,
    last_own: AtomicU64,
    last_cpu: AtomicU64,
    checking: AtomicBool,
}

impl Budget {
    pub fn new(share_ppm: Option<u64>) -> Budget {
        Budget {
            share_ppm,
            cpu_at_start: sys::cpu_ns(),
            next_check: AtomicU64::new(CHECK_NS),
            last_own: AtomicU64::new(0),
            last_cpu: AtomicU64::new(0),
            checking: AtomicBool::new(false),
        }
    }

    /// CPU time of the process since the recording started, nanoseconds.
    pub fn cpu_ns(&self) -> u64 {
        sys::cpu_ns().saturating_sub(self.cpu_at_start)
    }

    /// The interval to go on with, if it is to change, after the recorder has used `own` nanoseconds in all.
    pub fn check(&self, own: u64, interval: u64) -> Option<u64> {
        let share = self.share_ppm?;
        if own < self.next_check.load(Ordering::Relaxed)
            || self.checking.swap(true, Ordering::Acquire)
        {
            return None;
        }
        let cpu = self.cpu_ns();
        let own_step = own.saturating_sub(self.last_own.swap(own, Ordering::Relaxed));
        let cpu_step = cpu.saturating_sub(self.last_cpu.swap(cpu, Ordering::Relaxed));
        self.next_check.store(own + CHECK_NS, Ordering::Relaxed);
        self.checking.store(false, Ordering::Release);
        let next = next_interval(share, own, cpu, own_step, cpu_step, interval);
        (next != interval).then_some(next)
    }

    /// The next wider interval, for when memory runs short; `None` if sampling is not to change.
    pub fn widen(&self, interval: u64) -> Option<u64> {
        self.share_ppm.map(|_| wider(interval, 2))
    }
}

/// Pure: `own` and `cpu` are nanoseconds since the start, the steps since the last look.
fn next_interval(
    share_ppm: u64,
    own: u64,
    cpu: u64,
    own_step: u64,
    cpu_step: u64,
    interval: u64,
) -> u64 {
    let part = |cpu: u64| (u128::from(cpu) * u128::from(share_ppm) / 1_000_000) as u64;
    let allowed = GRANT_NS + part(cpu);
    if own > allowed {
        // How many times too fast it went lately tells how far to widen; doubling would take too long from exact.
        let excess = own_step / part(cpu_step).max(1);
        wider(interval, excess.clamp(2, 16))
    } else if interval > 0 && own < allowed - allowed / 4 && own_step < part(cpu_step) {
        if interval <= NARROWEST {
            0
        } else {
            interval / 2
        }
    } else {
        interval
    }
}

fn wider(interval: u64, times: u64) -> u64 {
    if interval == 0 {
        NARROWEST
    } else {
        (interval * times.next_power_of_two()).min(WIDEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn stays_exact_within_the_grant() {
        assert_eq!(next_interval(20_000, 19 * MS, 10 * MS, MS, MS, 0), 0);
    }

    #[test]
    fn widens_with_the_excess() {
        assert_eq!(
            next_interval(20_000, 30 * MS, 60 * MS, MS, 2 * MS, 0),
            NARROWEST
        );
        assert_eq!(
            next_interval(20_000, 30 * MS, 60 * MS, MS, 2 * MS, 64),
            64 * 16
        );
        assert_eq!(
            next_interval(20_000, 30 * MS, 60 * MS, MS, 40 * MS, 1024),
            2048
        );
        assert_eq!(
            next_interval(20_000, 30 * MS, 60 * MS, MS, MS, WIDEST),
            WIDEST
        );
    }

    #[test]
    fn narrows_when_there_is_room_and_the_pace_allows() {
        assert_eq!(
            next_interval(20_000, 20 * MS, 10_000 * MS, MS, 100 * MS, 4096),
            2048
        );
        assert_eq!(
            next_interval(20_000, 20 * MS, 10_000 * MS, MS, 10 * MS, 4096),
            4096
        );
        assert_eq!(
            next_interval(20_000, 20 * MS, 10_000 * MS, MS, 100 * MS, 64),
            0
        );
    }

    #[test]
    fn a_fixed_sampling_never_changes() {
        assert_eq!(Budget::new(None).check(1 << 40, 0), None);
        assert_eq!(Budget::new(None).widen(0), None);
    }
}
