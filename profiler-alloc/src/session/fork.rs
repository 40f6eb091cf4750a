//! A forked child leaves its parent's profile alone.
//!
//! `fork` runs a handler in the child, which puts private memory where the file was mapped, so that counting goes on and no
//! byte reaches the parent's file. A child made behind the C library's back is found out by a page that the kernel empties
//! in it, at its first operation on the slow path. Either way the child is not recorded; programs it executes are.

use core::sync::atomic::{AtomicBool, Ordering};

use crate::counters::slot;
use crate::ffi::callbacks;
use crate::lockfree::active::force_slow_path;
use crate::session;
use crate::session::threads;

static WATCHING: AtomicBool = AtomicBool::new(false);

/// Installs the handlers, once.
pub fn watch() {
    if !WATCHING.swap(true, Ordering::AcqRel) {
        callbacks::at_fork(before, in_parent, in_child);
    }
}

/// Other libraries' handlers may allocate in the child before ours runs there: the thread is to look up at once.
extern "C" fn before() {
    let cells = slot::current();
    if !slot::is_no_slot(cells) {
        force_slow_path(cells);
    }
}

extern "C" fn in_parent() {
    if let Some(recorder) = session::current() {
        recorder
            .store
            .header()
            .forks
            .fetch_add(1, Ordering::Relaxed);
    }
}

extern "C" fn in_child() {
    become_child();
}

/// In the child: makes every profile's memory private and stops recording. Runs in the child's only thread.
pub fn become_child() {
    session::deactivate();
    let mut each = session::latest();
    while let Some(recorder) = each {
        recorder.store.make_private();
        each = recorder.previous;
    }
    threads::forget();
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
