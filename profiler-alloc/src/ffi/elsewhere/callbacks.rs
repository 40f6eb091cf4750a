//! What the system calls us for: the end of the program and, where there are threads, of a thread.

use core::ffi::c_void;
use core::sync::atomic::{AtomicU64, Ordering};

/// Has `handler` called when the program ends in order. False if the system refuses.
pub fn at_exit(handler: extern "C" fn()) -> bool {
    unsafe extern "C" {
        fn atexit(handler: extern "C" fn()) -> core::ffi::c_int;
    }
    // SAFETY: every C library has it, and the handler has the type that it asks for.
    unsafe { atexit(handler) == 0 }
}

/// A forked child counts on in a copy of its parent's memory: nothing is to be done.
pub fn at_fork(_: extern "C" fn(), _: extern "C" fn(), _: extern "C" fn()) {}

/// Tells when threads end.
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
            let Some(made) = keys::make(self.ended) else {
                return;
            };
            let made = made + 1;
            // The loser of a race leaves its key unused.
            let first = (self.key).compare_exchange(0, made, Ordering::AcqRel, Ordering::Acquire);
            key = first.map_or_else(|other| other, |_| made);
        }
        keys::set(key - 1, value);
    }
}

/// Values of a thread that the system hands to a function when the thread ends.
#[cfg(unix)]
mod keys {
    use core::ffi::c_void;

    #[allow(clippy::useless_conversion, reason = "32 bits on some systems")]
    pub fn make(ended: extern "C" fn(*mut c_void)) -> Option<u64> {
        let mut key = 0;
        // SAFETY: `key` is valid to write to, and the destructor has the type asked for.
        let failed = unsafe { libc::pthread_key_create(&mut key, Some(ended)) } != 0;
        (!failed).then_some(u64::from(key))
    }

    pub fn set(key: u64, value: *const c_void) {
        // SAFETY: the key was made; the value is only compared with null and handed back.
        unsafe { libc::pthread_setspecific(key as libc::pthread_key_t, value) };
    }
}

/// As above: fiber-local storage, which a thread that has no fibers has one of.
#[cfg(windows)]
mod keys {
    use core::ffi::c_void;

    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn FlsAlloc(ended: extern "system" fn(*mut c_void)) -> u32;
        fn FlsSetValue(index: u32, value: *mut c_void) -> i32;
    }

    const FULL: u32 = u32::MAX;

    #[cfg(not(target_arch = "x86"))]
    pub fn make(ended: extern "C" fn(*mut c_void)) -> Option<u64> {
        // SAFETY: on 64-bit Windows there is one calling convention, so "C" is "system".
        let key = unsafe {
            let ended = core::mem::transmute::<
                extern "C" fn(*mut c_void),
                extern "system" fn(*mut c_void),
            >(ended);
            FlsAlloc(ended)
        };
        (key != FULL).then_some(u64::from(key))
    }

    #[cfg(target_arch = "x86")]
    pub fn make(_: extern "C" fn(*mut c_void)) -> Option<u64> {
        None
    }

    pub fn set(key: u64, value: *const c_void) {
        // SAFETY: the index was given by `FlsAlloc`; the value is only handed back.
        unsafe { FlsSetValue(key as u32, value.cast_mut()) };
    }
}

/// As above, of a system whose programs have one thread.
#[cfg(not(any(unix, windows)))]
mod keys {
    use core::ffi::c_void;

    pub fn make(_: extern "C" fn(*mut c_void)) -> Option<u64> {
        None
    }

    pub fn set(_: u64, _: *const c_void) {}
}
