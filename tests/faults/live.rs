//! Reads of a profile while its program allocates: every one is valid, and totals never go back.

use std::process::Stdio;

use crate::Named;
use crate::child::{Place, times, wait_until};

pub const TESTS: &[Named] = &[("live::reads_during_allocation", reads_during_allocation)];

pub const ROLES: &[Named] = &[];

fn reads_during_allocation() {
    for sample in ["all", "4096"] {
        let place = Place::new();
        // Four threads that allocate until they are stopped.
        let mut command = place.command("churn_until_told", sample);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        wait_until(&mut child, || place.is_counting());
        let (mut reads, mut last) = (0, [0; 6]);
        let allocations = times(10_000_000, 0) as u64;
        while reads < times(1_000, 100) || last[0] < allocations {
            let profile = place.profile();
            let counters = profile.counters();
            let now = [
                counters.allocs,
                counters.frees,
                counters.reallocs,
                counters.alloc_bytes,
                profile.nodes.len() as u64,
                profile.stacks.len() as u64,
            ];
            let never_back = last.iter().zip(now).all(|(last, now)| *last <= now);
            assert!(never_back, "{last:?}, then {now:?}");
            last = now;
            reads += 1;
            assert_eq!(child.try_wait().unwrap(), None, "it still runs");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(last[0] > 1_000, "something happened meanwhile: {last:?}");
    }
}
