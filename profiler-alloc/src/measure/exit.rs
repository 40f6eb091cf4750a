//! What is said at the end of the program: at its normal end, at `exit`, and after a panic of the main thread.

use std::sync::{Mutex, PoisonError};

use core::sync::atomic::{AtomicBool, Ordering};

use crate::counters::thread_counts::{self, Excused};
use crate::ffi::callbacks;
use crate::ffi::os;

/// Something with a last word.
pub(super) trait Ending: Sync {
    /// Says it.
    fn at_end(&self);
}

struct Endings {
    list: Vec<&'static dyn Ending>,
    process: u32,
}

static ENDINGS: Mutex<Endings> = Mutex::new(Endings {
    list: Vec::new(),
    process: 0,
});

/// Has `ending` say its last word; `registered` is its own mark, so that it is heard once.
#[inline]
pub(super) fn register(ending: &'static dyn Ending, registered: &AtomicBool) {
    if !registered.load(Ordering::Relaxed) {
        register_slow(ending, registered);
    }
}

#[cold]
fn register_slow(ending: &'static dyn Ending, registered: &AtomicBool) {
    let _excused = Excused::begin();
    let mut endings = ENDINGS.lock().unwrap_or_else(PoisonError::into_inner);
    if registered.swap(true, Ordering::Relaxed) {
        return;
    }
    if endings.list.is_empty() {
        endings.process = os::process_id();
        callbacks::at_exit(at_exit);
    }
    endings.list.push(ending);
}

/// Everything registered so far, in the order of first calls.
pub(super) fn all() -> Vec<&'static dyn Ending> {
    let endings = ENDINGS.lock().unwrap_or_else(PoisonError::into_inner);
    endings.list.clone()
}

extern "C" fn at_exit() {
    // An output that calls exit holds its own lock.
    if thread_counts::is_excused() {
        return;
    }
    let _excused = Excused::begin();
    let list = {
        let endings = ENDINGS.lock().unwrap_or_else(PoisonError::into_inner);
        // A forked child inherits the handler; what was measured is its parent's.
        if endings.process != os::process_id() {
            return;
        }
        endings.list.clone()
    };
    list.iter().for_each(|ending| ending.at_end());
}
