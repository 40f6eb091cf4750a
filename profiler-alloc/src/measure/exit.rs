//! What is said at the end of the program: at its normal end, at `exit`, and after a panic of the main thread.

use std::sync::{Mutex, PoisonError};

use core::sync::atomic::{AtomicBool, Ordering};

use crate::counters::thread_counts::{self, Untracked};
use crate::ffi::callbacks;
use crate::ffi::os;

/// Something with a last word.
pub(super) trait ExitHook: Sync {
    /// Says it.
    fn on_exit(&self);
}

struct ExitHooks {
    list: Vec<&'static dyn ExitHook>,
    process: u32,
}

static EXIT_HOOKS: Mutex<ExitHooks> = Mutex::new(ExitHooks {
    list: Vec::new(),
    process: 0,
});

/// Has `ending` say its last word; `registered` is its own mark, so that it is heard once.
#[inline]
pub(super) fn register(ending: &'static dyn ExitHook, registered: &AtomicBool) {
    if !registered.load(Ordering::Relaxed) {
        register_slow(ending, registered);
    }
}

#[cold]
fn register_slow(ending: &'static dyn ExitHook, registered: &AtomicBool) {
    let _untracked = Untracked::begin();
    let mut hooks = EXIT_HOOKS.lock().unwrap_or_else(PoisonError::into_inner);
    if registered.swap(true, Ordering::Relaxed) {
        return;
    }
    if hooks.list.is_empty() {
        hooks.process = os::process_id();
        callbacks::at_exit(at_exit);
    }
    hooks.list.push(ending);
}

/// Everything registered so far, in the order of first calls.
pub(super) fn all() -> Vec<&'static dyn ExitHook> {
    let hooks = EXIT_HOOKS.lock().unwrap_or_else(PoisonError::into_inner);
    hooks.list.clone()
}

extern "C" fn at_exit() {
    // An output that calls exit holds its own lock.
    if thread_counts::is_untracked() {
        return;
    }
    let _untracked = Untracked::begin();
    let list = {
        let hooks = EXIT_HOOKS.lock().unwrap_or_else(PoisonError::into_inner);
        // A forked child inherits the handler; what was measured is its parent's.
        if hooks.process != os::process_id() {
            return;
        }
        hooks.list.clone()
    };
    list.iter().for_each(|ending| ending.on_exit());
}
