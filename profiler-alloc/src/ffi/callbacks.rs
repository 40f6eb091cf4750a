//! The moments at which the system calls us: the end of the program, the end of a thread, a fork.

use core::ffi::c_void;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::ffi::thread_keys;

#[cfg_attr(can_record, path = "linux/fork.rs")]
#[cfg_attr(not(can_record), path = "elsewhere/fork.rs")]
mod fork;

pub use fork::at_fork;
#[cfg(all(test, can_record))]
pub use fork::holds_in_child;

/// Has `handler` called when the program ends in order. False if the system refuses.
pub fn at_exit(handler: extern "C" fn()) -> bool {
    unsafe extern "C" {
        fn atexit(handler: extern "C" fn()) -> core::ffi::c_int;
    }
    // SAFETY: every C library has it, and the handler has the type that it asks for.
    unsafe { atexit(handler) == 0 }
}

/// Tells when threads end, by a key of the C library rather than a Rust thread-local with a
/// destructor: those register themselves by allocating, and run earlier.
pub struct ThreadExit {
    /// The key plus one; 0 before it is made.
    key: AtomicU64,
    ended: extern "C" fn(*mut c_void),
}

impl ThreadExit {
    /// Calls `ended` when a thread ends that is watched.
    pub const fn new(ended: extern "C" fn(*mut c_void)) -> ThreadExit {
        ThreadExit {
            key: AtomicU64::new(0),
            ended,
        }
    }

    /// Watches the calling thread. `value`, which must not be null, is handed to the function.
    pub fn watch(&self, value: *const c_void) {
        let mut key = self.key.load(Ordering::Acquire);
        if key == 0 {
            let Some(made) = thread_keys::make(self.ended) else {
                return;
            };
            let made = made + 1;
            // The loser of a race leaves its key unused.
            let first = (self.key).compare_exchange(0, made, Ordering::AcqRel, Ordering::Acquire);
            key = first.map_or_else(|other| other, |_| made);
        }
        thread_keys::set(key - 1, value);
    }
}
