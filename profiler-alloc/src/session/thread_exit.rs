//! Tells when a thread ends, so that its record can serve another.
//!
//! By a key of the C library rather than a Rust thread-local with a destructor: those register themselves by allocating,
//! and run earlier. A thread that allocates after its record was given back takes one again, and is told again.

use core::ffi::c_void;
use core::sync::atomic::{AtomicU64, Ordering};

use profiler_alloc_format::ThreadCells;

use crate::counters::reentrancy::Inside;
use crate::session::threads;

/// The key plus one; 0 before it is made.
static KEY: AtomicU64 = AtomicU64::new(0);

/// Asks to be told when the calling thread ends.
pub fn watch(cells: &'static ThreadCells) {
    if let Some(key) = key() {
        // SAFETY: the key exists; the value is only compared with null by the C library and handed back.
        unsafe { libc::pthread_setspecific(key, core::ptr::from_ref(cells).cast()) };
    }
}

fn key() -> Option<libc::pthread_key_t> {
    let known = KEY.load(Ordering::Acquire);
    if known != 0 {
        return Some((known - 1) as libc::pthread_key_t);
    }
    let mut key = 0;
    // SAFETY: `key` is valid to write to, and the destructor has the type asked for.
    if unsafe { libc::pthread_key_create(&mut key, Some(ended)) } != 0 {
        return None;
    }
    // The loser of a race leaves its key unused.
    match KEY.compare_exchange(0, u64::from(key) + 1, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Some(key),
        Err(other) => Some((other - 1) as libc::pthread_key_t),
    }
}

extern "C" fn ended(_: *mut c_void) {
    let _inside = Inside::enter();
    threads::leave();
}
