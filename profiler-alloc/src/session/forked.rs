//! A forked child that runs on has a recording of its own, into a file of its own.
//!
//! ```text
//! fork ──▶ counts in private memory ──64 KiB──▶ records itself; heap so far: "before the fork"
//!               └──executes a program, or ends: no file
//! ```
//! Most children execute another program at once: a shell's do so some hundred times a second. A
//! file for each would be a megabyte that says nothing.

use core::sync::atomic::Ordering;

use profiler_alloc_format::ThreadCells;

use super::fork;
use super::settings::Settings;
use super::start;
use crate::counters::slot::STEP;
use crate::session;

/// Begins the child's recording if the calling thread, which counts in `cells`, has done enough
/// since the fork. To be called while nothing is recorded.
#[inline]
pub fn record_if_due(cells: &ThreadCells) {
    if fork::is_awaited() && done(cells) >= STEP {
        record();
    }
}

/// Bytes that the thread has allocated and freed since it counts in this slot, which it took after
/// the fork.
fn done(cells: &ThreadCells) -> u64 {
    let since = |now: u64, start: u64| now.wrapping_sub(start);
    let load = |cell: &core::sync::atomic::AtomicU64| cell.load(Ordering::Relaxed);
    since(load(&cells.alloc_bytes), load(&cells.start_alloc_bytes)).saturating_add(since(
        load(&cells.freed_bytes),
        load(&cells.start_freed_bytes),
    ))
}

#[cold]
#[inline(never)]
fn record() {
    if !fork::take_awaited() {
        return;
    }
    let Some(parent) = session::latest() else {
        return;
    };
    let Some(plan) = &parent.for_children else {
        return;
    };
    let settings = Settings {
        forked_from: parent.store.header().pid.load(Ordering::Relaxed),
        ..plan.settings
    };
    start::start_or_warn(plan.pattern, &settings);
}
