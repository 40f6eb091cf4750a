//! A forked child leaves its parent's profile alone.
//!
//! `fork` runs a handler in the child, which puts private memory where the file was mapped, so that
//! counting goes on and no byte reaches the parent's file. A child made behind the C library's back
//! is found out by a page that the kernel empties in it, at its first operation on the slow path.
//! Either way its recording is over. A recording of its own may follow: see
//! [`forked`](super::forked). Programs it executes are recorded as any others.

use core::sync::atomic::{AtomicBool, Ordering};

use crate::counters::slot;
use crate::ffi::callbacks;
use crate::lockfree::active::force_slow_path;
use crate::session;
#[cfg(feature = "preload")]
use crate::session::mapped;
use crate::session::threads;

static WATCHING: AtomicBool = AtomicBool::new(false);
/// In a forked child: it is to begin a recording of its own, and has not yet.
static AWAITED: AtomicBool = AtomicBool::new(false);

/// Installs the handlers, once.
pub fn watch() {
    if !WATCHING.swap(true, Ordering::AcqRel) {
        callbacks::at_fork(before, in_parent, in_child);
    }
}

/// Forces the forking thread onto the slow path now: another library's child handler may allocate
/// before ours runs.
extern "C" fn before() {
    let cells = slot::current();
    if !slot::is_no_slot(cells) {
        force_slow_path(cells);
    }
}

extern "C" fn in_parent() {
    if let Some(recorder) = session::current()
        && recorder.for_children.is_none()
    {
        let forks = &recorder.store.header().forks;
        forks.fetch_add(1, Ordering::Relaxed);
    }
}

extern "C" fn in_child() {
    become_child();
}

/// In the child: makes every profile's memory private and stops recording. Runs in the child's only
/// thread.
pub fn become_child() {
    session::deactivate();
    let mut each = session::latest();
    while let Some(recorder) = each {
        recorder.store.make_private();
        each = recorder.previous;
    }
    threads::forget();
    #[cfg(feature = "preload")]
    mapped::be_child();
    let is_awaited = session::latest().is_some_and(|recorder| recorder.for_children.is_some());
    AWAITED.store(is_awaited, Ordering::Relaxed);
}

/// True in a forked child that is to begin a recording of its own.
#[inline]
pub fn is_awaited() -> bool {
    AWAITED.load(Ordering::Relaxed)
}

/// As [`is_awaited`], for one thread alone.
pub fn take_awaited() -> bool {
    AWAITED.swap(false, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use crate::ffi::callbacks::holds_in_child;
    use crate::sampling::filter::Filter;

    #[test]
    fn a_forked_child_has_no_answers() {
        let filter = <Filter>::new().unwrap();
        filter.add(64);
        let is_empty = || !filter.is_open() && !filter.lacks(64) && !filter.lacks(128);
        assert!(holds_in_child(is_empty));
        assert!(filter.is_open() && !filter.lacks(64) && filter.lacks(128));
    }
}
