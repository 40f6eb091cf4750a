//! What is only to be counted, also while a recording is under way: operations on blocks that were
//! certainly not sampled.
//!
//! A thread that counts in a recording's file has that recording's filter at hand. The filter has
//! no answers any more when the recording ends, before another may begin, and none in a forked
//! child. So one byte of it says three things: the recording is active, this is its process, and
//! the block was not sampled.

use core::cell::Cell;
use core::sync::atomic::Ordering;

use crate::counters::slot::{self, Operation};
use crate::sampling::filter::Filter;

thread_local! {
    /// Of the recording that the thread counts in.
    static FILTER: Cell<Filter> = const { Cell::new(Filter::NONE) };
}

/// The calling thread counts in the recording with this filter from now on; in none if there is
/// none.
pub fn ask(filter: Option<Filter>) {
    let _ = FILTER.try_with(|current| current.set(filter.unwrap_or(Filter::NONE)));
}

#[inline(always)]
fn filter() -> Filter {
    FILTER.try_with(Cell::get).unwrap_or(Filter::NONE)
}

/// True if the block at `address` was certainly not sampled by the active recording.
#[inline(always)]
pub fn is_unsampled(address: usize) -> bool {
    filter().lacks(address)
}

/// Counts a free if that is all there is to do: nothing is recorded, or the block was certainly not
/// sampled. False: nothing is counted, take the slow path.
#[inline(always)]
pub fn count_free(address: usize, size: usize) -> bool {
    let cells = slot::current();
    let freed = (cells.freed_bytes.load(Ordering::Relaxed)).wrapping_add(size as u64);
    let is_settled = freed < cells.free_next.load(Ordering::Relaxed)
        || (freed < cells.publish_frees_at.load(Ordering::Relaxed) && is_unsampled(address));
    if is_settled {
        cells.freed_bytes.store(freed, Ordering::Relaxed);
        slot::bump(&cells.frees, 1);
    }
    is_settled
}

/// Counts the reallocation of a block that was not sampled, if that is all there is to do: nothing
/// is recorded, or the new block is not to be sampled either. False: nothing is counted, take the
/// slow path.
#[inline(always)]
pub fn count_realloc(old: usize, new: usize) -> bool {
    let cells = slot::current();
    let (old, new) = (old as u64, new as u64);
    let allocated = (cells.alloc_bytes.load(Ordering::Relaxed)).wrapping_add(new);
    let freed = (cells.freed_bytes.load(Ordering::Relaxed)).wrapping_add(old);
    let is_settled = allocated < cells.alloc_next.load(Ordering::Relaxed)
        && (freed < cells.free_next.load(Ordering::Relaxed)
            || (freed < cells.publish_frees_at.load(Ordering::Relaxed) && filter().is_open()));
    if is_settled {
        Operation::Realloc { old, new }.count(cells);
    }
    is_settled
}
