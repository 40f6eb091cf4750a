//! The moments at which the C library calls us: the end of the program, the end of a thread, a
//! fork.

use core::ffi::c_void;
use core::sync::atomic::{AtomicU64, Ordering};

/// Has `handler` called when the program ends in order. False if the system refuses.
pub fn at_exit(handler: extern "C" fn()) -> bool {
    // SAFETY: the handler has the type asked for; it must not unwind, which an `extern "C" fn` of
    // Rust never does.
    unsafe { libc::atexit(handler) == 0 }
}

/// Has `before` and `in_parent` called around a fork in the parent, and `in_child` in the child.
/// All of them must call only what is safe after a fork.
pub fn at_fork(before: extern "C" fn(), in_parent: extern "C" fn(), in_child: extern "C" fn()) {
    // SAFETY: all handlers have the type asked for, and do not unwind.
    unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
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
        if let Some(key) = self.key() {
            // SAFETY: the key exists; the value is only compared with null by the C library and
            // handed back.
            unsafe { libc::pthread_setspecific(key, value) };
        }
    }

    fn key(&self) -> Option<libc::pthread_key_t> {
        let known = self.key.load(Ordering::Acquire);
        if known != 0 {
            return Some((known - 1) as libc::pthread_key_t);
        }
        let mut key = 0;
        // SAFETY: `key` is valid to write to, and the destructor has the type asked for.
        if unsafe { libc::pthread_key_create(&mut key, Some(self.ended)) } != 0 {
            return None;
        }
        // The loser of a race leaves its key unused.
        match (self.key).compare_exchange(
            0,
            u64::from(key) + 1,
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            Ok(_) => Some(key),
            Err(other) => Some((other - 1) as libc::pthread_key_t),
        }
    }
}

/// Whether `holds` is true in a forked child.
#[cfg(test)]
pub fn holds_in_child(holds: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child runs `holds`, which is to read memory alone, and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: ends the child without running anything else.
        unsafe { libc::_exit(if holds() { 0 } else { 1 }) };
    }
    let mut status = -1;
    // SAFETY: `status` is valid to write to.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    status == 0
}
