//! When stacks took blocks, and what they had live over the course of the run.

use profiler_alloc_format::waypoints::{self, Source};
use profiler_alloc_format::{Further, Header, Stack, TICK_BITS, WAYPOINTS};

/// When one stack, or any set of stacks, took blocks, and what it had live at the
/// [waypoints](super::Profile::waypoints).
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Course {
    /// When it took blocks. `None` if it took none, or the recorder did not say.
    pub taken: Option<Taken>,
    /// Bytes live at each waypoint; of no meaning beyond the last.
    pub live: [i64; WAYPOINTS],
    /// The variance of each.
    pub variance: [f64; WAYPOINTS],
}

/// From when to when blocks were taken, in nanoseconds since the start, to the system's tick of
/// some milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// None of them was taken before.
    pub first_ns: u64,
    /// The last one was.
    pub last_ns: u64,
}

/// Ticks that had passed when `header` was read.
pub(super) fn ticks(header: &Header) -> u64 {
    header.updated_ns.max(header.final_ns) >> TICK_BITS
}

/// Times of the waypoints after so many ticks, in nanoseconds since the start.
pub(super) fn times(ticks: u64) -> Vec<u64> {
    let slots = 0..waypoints::count(ticks);
    slots.map(|slot| waypoints::time_ns(ticks, slot)).collect()
}

impl Course {
    /// Decodes the records of a stack after `ticks`. The second value counts figures that cannot
    /// be: then nothing is said of the past but what is live now.
    pub(super) fn of(stack: &Stack, further: Option<&Further>, ticks: u64) -> (Course, u64) {
        let variance = |value: f64| (value.is_finite() && value >= 0.0).then_some(value);
        let now = variance(f64::from_bits(stack.live_variance)).unwrap_or(0.0);
        let mut course = Course {
            taken: Taken::of(stack),
            live: [stack.live_bytes as i64; WAYPOINTS],
            variance: [now; WAYPOINTS],
        };
        let Some(further) = further else {
            return (course, 0);
        };
        if further.changed > ticks {
            return (course, 1);
        }
        let mut damaged = 0;
        let (mut live, mut variances) = (
            further.live_bytes.map(|bytes| bytes as i64),
            [0.0; WAYPOINTS],
        );
        for (slot, value) in variances.iter_mut().enumerate() {
            let bits = (further.live_variance[slot / 2] >> (32 * (slot % 2))) as u32;
            let known = variance(f64::from(f32::from_bits(bits)));
            damaged += u64::from(known.is_none());
            *value = known.unwrap_or(0.0);
        }
        for (slot, source) in waypoints::advance(further.changed, ticks) {
            (live[slot], variances[slot]) = match source {
                Source::Slot(from) => (live[from], variances[from]),
                Source::Now => (course.live[slot], now),
            };
        }
        (course.live, course.variance) = (live, variances);
        (course, damaged)
    }

    /// The same on the clock, of a recording that began at `started_ns` since 1970. Waypoints of
    /// several recordings are not at the same times, so they are left out.
    pub(super) fn without_waypoints(&self, started_ns: u64) -> Course {
        let later = |ns: u64| ns.saturating_add(started_ns);
        Course {
            taken: self.taken.map(|taken| Taken {
                first_ns: later(taken.first_ns),
                last_ns: later(taken.last_ns),
            }),
            ..Course::default()
        }
    }

    /// The same in time since `started_ns` of the clock.
    pub(super) fn since(&self, started_ns: u64) -> Course {
        Course {
            taken: self.taken.map(|taken| Taken {
                first_ns: taken.first_ns.saturating_sub(started_ns),
                last_ns: taken.last_ns.saturating_sub(started_ns),
            }),
            ..*self
        }
    }

    /// Adds another stack's.
    pub fn add(&mut self, other: &Course) {
        self.taken = Taken::both(self.taken, other.taken);
        for slot in 0..WAYPOINTS {
            self.live[slot] = self.live[slot].saturating_add(other.live[slot]);
            self.variance[slot] += other.variance[slot];
        }
    }
}

impl Taken {
    fn of(record: &Stack) -> Option<Taken> {
        const MS: u64 = 1_000_000;
        let last_ns = record.last_ns.checked_sub(1)?;
        // Rounded down, but not beyond the last.
        let first_ms = u64::from(record.first_ms.checked_sub(1)?);
        Some(Taken {
            first_ns: (first_ms * MS).min(last_ns),
            last_ns,
        })
    }

    /// From the first of both to the last of both.
    pub fn both(one: Option<Taken>, other: Option<Taken>) -> Option<Taken> {
        let Some((one, other)) = one.zip(other) else {
            return one.or(other);
        };
        Some(Taken {
            first_ns: one.first_ns.min(other.first_ns),
            last_ns: one.last_ns.max(other.last_ns),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_that_has_not_changed_had_live_what_it_has() {
        let stack = Stack {
            live_bytes: 50,
            ..Stack::empty()
        };
        let mut further = Further {
            changed: 3,
            ..Further::empty()
        };
        further.live_bytes[..3].copy_from_slice(&[10, 20, 30]);
        let live = |further, ticks| Course::of(&stack, further, ticks).0.live;
        assert_eq!(live(Some(&further), 6)[..6], [10, 20, 30, 50, 50, 50]);
        assert_eq!(live(Some(&further), 9)[..4], [20, 50, 50, 50]);
        assert_eq!(live(None, 9), [50; WAYPOINTS]);
    }

    #[test]
    fn what_cannot_be_is_counted_and_harmless() {
        let stack = Stack {
            live_bytes: 50,
            ..Stack::empty()
        };
        let late = Further {
            changed: u64::MAX,
            ..Further::empty()
        };
        let (course, damaged) = Course::of(&stack, Some(&late), 9);
        assert_eq!((course.live, damaged), ([50; WAYPOINTS], 1));
        let odd = Further {
            changed: 9,
            live_variance: [u64::MAX; 4],
            ..Further::empty()
        };
        let (course, damaged) = Course::of(&stack, Some(&odd), 9);
        assert_eq!((course.variance, damaged), ([0.0; WAYPOINTS], 7));
    }
}
