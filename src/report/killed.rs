//! The last moments of a program that was killed, or crashed.

use crate::profile::{Death, Profile};

/// The growth of the heap is that of so much time, nanoseconds.
const LAST_NS: u64 = 1_000_000_000;

/// Another heap is worth a word if it holds this part of the main one.
const WORTH: i64 = 100;

/// How a program ended that did not end in order, and what it held then.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Killed {
    /// How it ended.
    pub death: Death,
    /// From the last thing recorded to the end, nanoseconds.
    pub unseen_ns: u64,
    /// Resident set size at the last point of the timeline, in bytes. `None` if unknown.
    pub rss: Option<u64>,
    /// By how much the heap grew in the last second, in bytes by second. `None` of a run that was
    /// shorter.
    pub growth: Option<i64>,
    /// What heaps beside the main one held: names and bytes, those of some size.
    pub other_heaps: Vec<(String, i64)>,
}

impl Killed {
    pub(super) fn of(profile: &Profile) -> Option<Killed> {
        let death = profile.death()?;
        let end_ns = profile.duration_ns();
        let rss = profile.timeline.last().map(|point| point.resident());
        let before = (profile.timeline.iter().rev())
            .find(|point| point.time_ns.saturating_add(LAST_NS) <= end_ns);
        let growth = before.map(|before| {
            let grown = profile.heap().saturating_sub(before.heap as i64);
            let seconds = (end_ns - before.time_ns) as f64 / 1e9;
            (grown as f64 / seconds) as i64
        });
        let other_heaps = (profile.heaps.iter())
            .map(|heap| (heap.name.clone(), heap.in_use()))
            .filter(|(_, in_use)| in_use.saturating_mul(WORTH) >= profile.heap().max(1))
            .collect();
        Some(Killed {
            other_heaps,
            death,
            unseen_ns: death.at_ns.saturating_sub(end_ns),
            rss: rss.filter(|&rss| rss != 0),
            growth,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::builder::Builder;
    use crate::profile::{DeathBy, parse};
    use profiler_alloc_format::{OOM_KILLED, Point, STATE_RECORDING};

    #[test]
    fn the_last_second_is_what_counts() {
        let second = 1_000_000_000;
        let mut builder = Builder::new();
        let stack = builder.stack(&[]);
        builder.allocated(stack, 500 << 20, 1);
        builder.header.state = STATE_RECORDING;
        builder.header.updated_ns = 10 * second;
        builder.header.gone_ns = 10 * second + 4_000_000;
        builder.header.gone_by = OOM_KILLED;
        builder.header.memory_limit = 1 << 30;
        for (tenths, heap) in [(5, 1), (85, 100), (99, 490)] {
            builder.timeline.push(Point {
                time_ns: tenths * second / 10 + 1,
                heap: heap << 20,
                rss: Point::rss_of((heap + 20) << 20, 0),
                alloc_bytes: 0,
            });
        }
        let (profile, _) = parse("app".as_ref(), builder.to_input()).unwrap();
        let killed = Killed::of(&profile).expect("it was killed");
        assert_eq!(killed.death.by, DeathBy::OomKiller);
        assert_eq!(killed.unseen_ns, 4_000_000);
        assert_eq!(killed.rss, Some(510 << 20));
        // From 8.5 s to 10 s, from 100 to 500 MiB.
        let mib = killed
            .growth
            .map(|growth| growth as f64 / f64::from(1 << 20));
        assert_eq!(mib.map(f64::round), Some(267.0));
    }
}
