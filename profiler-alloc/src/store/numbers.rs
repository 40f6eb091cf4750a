//! Gives out the numbers of a table's records, which grows on the way.

use crate::sync::{AtomicU64, Ordering};

/// Records that there is room for when the next are made: as many as other threads may well take while one is making more,
/// perhaps interrupted. Many threads may start at once, and each of them takes one.
const AHEAD: usize = 256;

/// Takes `many` numbers in a row from `count`, and gives the first. `capacity` says how many records there is room for,
/// `grow` makes more and says whether it did. Never waits: if the table is full and cannot be grown at this moment, there
/// is none.
pub fn take(
    count: &AtomicU64,
    many: usize,
    capacity: impl Fn() -> usize,
    grow: impl Fn() -> bool,
) -> Option<usize> {
    loop {
        let at = count.load(Ordering::Relaxed);
        let end = at as usize + many;
        let room = capacity();
        if end + room.min(AHEAD) > room && !grow() && end > capacity() {
            return None;
        }
        if end <= capacity()
            && count
                .compare_exchange(at, end as u64, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        {
            return Some(at as usize);
        }
    }
}
