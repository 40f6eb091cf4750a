//! What a stack has live, and what it had live at the peak: kept without going through all stacks
//! at each new peak.
//!
//! A peak only gets a new number; each stack looks at it when it is about to change, and copies its
//! live values if they are still those of that peak. Of two threads that find a stack stale at
//! once, one copies.

use profiler_alloc_format::StackCells;

use crate::lockfree::atomic::{AtomicU64, Ordering};
use crate::sampling::weights::Weight;

/// Adds `weight` to what a stack has live, or takes it away if `sign` is -1. `epoch` is the number
/// of the last peak. True if this is the stack's first change since then.
pub fn change_live(stack: &StackCells, epoch: u64, weight: Weight, sign: i64) -> bool {
    let seen = stack.peak_epoch.load(Ordering::Acquire);
    // A thread may come late with the number of an older peak: the stack has been through that one.
    let is_first = seen < epoch
        && stack
            .peak_epoch
            .compare_exchange(seen, epoch, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok();
    if is_first {
        copy(&stack.live_bytes, &stack.peak_bytes);
        copy(&stack.live_count, &stack.peak_count);
        copy(&stack.live_variance, &stack.peak_variance);
    }
    let signed = |value: u64| (value as i64).wrapping_mul(sign) as u64;
    stack
        .live_bytes
        .fetch_add(signed(weight.bytes), Ordering::Relaxed);
    stack
        .live_count
        .fetch_add(signed(weight.count), Ordering::Relaxed);
    add_variance(&stack.live_variance, weight.variance * sign as f64);
    is_first
}

/// Adds to a sum of variances, which never falls below 0.
pub fn add_variance(cell: &AtomicU64, variance: f64) {
    if variance != 0.0 {
        let _ = cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bits| {
            Some((f64::from_bits(bits) + variance).max(0.0).to_bits())
        });
    }
}

/// Copies a value that no other thread copies now.
pub fn copy(from: &AtomicU64, to: &AtomicU64) {
    to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
}
