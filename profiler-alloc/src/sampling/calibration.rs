//! What the recorder's own instruments cost on this machine, measured when a recording starts.

use core::hint::black_box;

use crate::ffi::os;
use crate::sampling::filter::Filter;

/// Nanoseconds between two looks at the clock with nothing in between.
pub fn clock_cost() -> u64 {
    let between = |_| {
        let start = os::now_ns();
        os::now_ns().saturating_sub(start)
    };
    (0..16).map(between).min().unwrap_or(0)
}

/// Picoseconds that an empty filter takes to answer for one block, when it is in the caches.
pub fn filter_cost(filter: Filter) -> u64 {
    const TIMES: usize = 1_024;
    let asking = best_of_four(|| {
        for number in 0..TIMES {
            black_box(filter.lacks(black_box(number * 64)));
        }
    });
    let counting = best_of_four(|| {
        for number in 0..TIMES {
            black_box(black_box(number * 64) == 1);
        }
    });
    asking.saturating_sub(counting) * 1_000 / TIMES as u64
}

/// Nanoseconds that `work` takes when nothing gets in its way.
fn best_of_four(work: impl Fn()) -> u64 {
    let time = |_| {
        let start = os::now_ns();
        work();
        os::now_ns().saturating_sub(start)
    };
    (0..4).map(time).min().unwrap_or(0)
}
