//! Values of a thread that the system hands to a function when the thread ends.

pub use system::{make, set};

#[cfg(unix)]
mod system {
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

/// Fiber-local storage, which a thread that has no fibers has one of.
#[cfg(windows)]
mod system {
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

/// Of a system whose programs have one thread.
#[cfg(not(any(unix, windows)))]
mod system {
    use core::ffi::c_void;

    pub fn make(_: extern "C" fn(*mut c_void)) -> Option<u64> {
        None
    }

    pub fn set(_: u64, _: *const c_void) {}
}
