//! What a stack had live at the waypoints of the run, kept without going through all stacks at each
//! waypoint.
//!
//! Waypoints follow from the ticks that have passed; each stack looks at these when it is about to
//! change, and first notes what it has live at every waypoint since it last did. Of two threads
//! that find a stack behind at once, one notes.
//!
//! ```text
//! ticks passed    live    noted when it changes
//!  1              10 KiB  0 at waypoint 1
//!  5              14 KiB  10 KiB at waypoints 2, 3, 4 and 5
//! ```

use profiler_alloc_format::{
    FurtherCells, StackCells,
    waypoints::{self, Source},
};

use crate::lockfree::atomic::{AtomicU64, Ordering};

/// Brings what is known of `stack` up to `ticks`, after which it is about to change.
#[inline]
pub fn pass(further: &FurtherCells, stack: &StackCells, ticks: u64) {
    let changed = further.changed.load(Ordering::Acquire);
    // A thread may come late, with fewer ticks: the stack has been brought beyond these.
    if changed < ticks
        && further
            .changed
            .compare_exchange(changed, ticks, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    {
        note(further, stack, changed, ticks);
    }
}

#[cold]
fn note(further: &FurtherCells, stack: &StackCells, from: u64, to: u64) {
    let live = stack.live_bytes.load(Ordering::Relaxed);
    let variance = f64::from_bits(stack.live_variance.load(Ordering::Relaxed)) as f32;
    let (bytes, variances) = (&further.live_bytes, &further.live_variance);
    for (slot, source) in waypoints::advance(from, to) {
        let (live, variance) = match source {
            Source::Now => (live, variance.to_bits()),
            Source::Slot(from) => (bytes[from].load(Ordering::Relaxed), half(variances, from)),
        };
        bytes[slot].store(live, Ordering::Relaxed);
        set_half(variances, slot, variance);
    }
}

fn half(words: &[AtomicU64], at: usize) -> u32 {
    (words[at / 2].load(Ordering::Relaxed) >> (32 * (at % 2))) as u32
}

fn set_half(words: &[AtomicU64], at: usize, value: u32) {
    let shift = 32 * (at % 2);
    let other = words[at / 2].load(Ordering::Relaxed) & !(u64::from(u32::MAX) << shift);
    words[at / 2].store(other | u64::from(value) << shift, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_live_at_a_waypoint_is_noted_when_the_stack_next_changes() {
        let (further, stack) = (FurtherCells::empty(), StackCells::empty());
        let change = |ticks, live: u64| {
            pass(&further, &stack, ticks);
            stack.live_bytes.store(live, Ordering::Relaxed);
            stack
                .live_variance
                .store((live as f64 / 2.0).to_bits(), Ordering::Relaxed);
        };
        let noted = || -> Vec<(u64, f32)> {
            let slots = 0..waypoints::count(further.changed.load(Ordering::Relaxed));
            slots
                .map(|slot| {
                    let bytes = further.live_bytes[slot].load(Ordering::Relaxed);
                    let variance = f32::from_bits(half(&further.live_variance, slot));
                    (bytes, variance)
                })
                .collect()
        };
        change(0, 8);
        assert_eq!(noted(), []);
        change(1, 10);
        change(1, 12);
        assert_eq!(noted(), [(8, 4.0)]);
        change(5, 20);
        assert_eq!(noted()[1..], [(12, 6.0); 4]);
        // A late thread takes nothing back.
        change(4, 22);
        assert_eq!(noted()[1..], [(12, 6.0); 4]);
        // Every other waypoint is forgotten: 2, 4, 6 and 8 are left.
        change(9, 30);
        let expected = [(12, 6.0), (12, 6.0), (22, 11.0), (22, 11.0)];
        assert_eq!(noted(), expected);
    }
}
