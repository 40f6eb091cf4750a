//! Gives out the numbers of a table's records, which grows on the way.

use crate::lockfree::atomic::{AtomicU64, Ordering};

/// Takes `many` numbers in a row from `count`, and gives the first. `capacity` says how many
/// records there is room for, `grow` makes room, whoever else is about to, and says whether it
/// could. `None` if it could not.
pub fn take(
    count: &AtomicU64,
    many: usize,
    capacity: impl Fn() -> usize,
    grow: impl Fn() -> bool,
) -> Option<usize> {
    loop {
        let at = count.load(Ordering::Relaxed);
        let end = at as usize + many;
        if end > capacity() {
            if !grow() && end > capacity() {
                return None;
            }
        } else if count
            .compare_exchange(at, end as u64, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
        {
            return Some(at as usize);
        }
    }
}
