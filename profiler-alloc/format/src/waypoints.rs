//! At which times of a run of unknown length the file remembers what each stack had live: at 4 to 7
//! waypoints, evenly spaced. When an eighth would come, every other one is forgotten, and the
//! distance doubles.
//!
//! ```text
//! ticks passed   waypoints, in ticks         slot of each
//!      3         1  2  3                     0 1 2
//!      7         1  2  3  4  5  6  7         0 1 2 3 4 5 6
//!      8            2     4     6     8      0 1 2 3
//!     13            2     4     6     8  10  12            0 1 2 3 4 5
//! ```
//!
//! So the waypoints of a number of ticks follow from the number alone, and a stack that did not
//! change for a while is brought up to date when it next does: [`advance`].

/// A tick is so many binary places of a nanosecond: 134 ms.
pub const TICK_BITS: u32 = 27;
/// Most waypoints at a time.
pub const WAYPOINTS: usize = 7;

/// Binary places of the distance between waypoints, in ticks, once `ticks` have passed.
const fn distance_bits(ticks: u64) -> u32 {
    let bits = (ticks | 4).ilog2() - 2;
    if bits < LARGEST { bits } else { LARGEST }
}

/// No run is longer than 64 bits of nanoseconds.
const LARGEST: u32 = 61 - TICK_BITS;

/// How many waypoints there are once `ticks` have passed.
pub const fn count(ticks: u64) -> usize {
    let count = ticks >> distance_bits(ticks);
    if count < WAYPOINTS as u64 {
        count as usize
    } else {
        WAYPOINTS
    }
}

/// Time of the waypoint in `slot` once `ticks` have passed, in nanoseconds since the start.
pub const fn time_ns(ticks: u64, slot: usize) -> u64 {
    (slot as u64 + 1).saturating_mul(1 << (distance_bits(ticks) + TICK_BITS))
}

/// Where a slot's value comes from when more ticks have passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// From the slot with this number, not below its own.
    Slot(usize),
    /// It is the value that held from the last change until now.
    Now,
}

/// What becomes of the slots between a change after `from` ticks and one after `to`, not before:
/// each slot in turn, and where its value comes from. Slots that keep their value are left out.
pub fn advance(from: u64, to: u64) -> impl Iterator<Item = (usize, Source)> {
    let steps = distance_bits(to).saturating_sub(distance_bits(from));
    let known = count(from) >> steps;
    (0..count(to)).filter_map(move |slot| match slot {
        slot if slot >= known => Some((slot, Source::Now)),
        _ if steps == 0 => None,
        slot => Some((slot, Source::Slot(((slot + 1) << steps) - 1))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_four_to_seven_waypoints_of_a_run_of_any_length() {
        let times = |ticks| -> Vec<u64> {
            (0..count(ticks))
                .map(|slot| time_ns(ticks, slot) >> TICK_BITS)
                .collect()
        };
        assert_eq!(times(0), []);
        assert_eq!(times(3), [1, 2, 3]);
        assert_eq!(times(7), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(times(8), [2, 4, 6, 8]);
        assert_eq!(times(13), [2, 4, 6, 8, 10, 12]);
        for ticks in (4..10_000).chain([1 << 36]) {
            assert!((4..=WAYPOINTS).contains(&count(ticks)), "{ticks}");
        }
        let longest = u64::MAX >> TICK_BITS;
        assert_eq!(count(longest), WAYPOINTS);
        assert_eq!(time_ns(longest, 6), 7 << 61);
    }

    /// Brought up to date after any stretch, the slots say what was live at their times.
    #[test]
    fn a_slot_holds_what_was_live_at_its_time() {
        for stride in [1, 2, 3, 5, 7, 16, 100, 1000] {
            let (mut slots, mut changed, mut live) = ([0; WAYPOINTS], 0, 0);
            // Live is the tick of the last change: at a waypoint, that of the last change before
            // it.
            for ticks in (0..5000).step_by(stride) {
                for (slot, source) in advance(changed, ticks) {
                    slots[slot] = match source {
                        Source::Slot(from) => slots[from],
                        Source::Now => live,
                    };
                }
                (changed, live) = (ticks, ticks);
                for (slot, &held) in slots.iter().enumerate().take(count(ticks)) {
                    let time = time_ns(ticks, slot) >> TICK_BITS;
                    let before = (time - 1) / stride as u64 * stride as u64;
                    assert_eq!(held, before, "{time} of {ticks}, every {stride}");
                }
            }
        }
    }

    #[test]
    fn numbers_that_lie_do_no_harm() {
        assert!(advance(u64::MAX, 0).all(|(slot, _)| slot < WAYPOINTS));
        assert_eq!(advance(u64::MAX, u64::MAX).count(), 0);
        assert_eq!(advance(0, u64::MAX).count(), WAYPOINTS);
        let inside = |source| matches!(source, Source::Now | Source::Slot(0..WAYPOINTS));
        assert!(advance(7, u64::MAX).all(|(_, source)| inside(source)));
    }
}
