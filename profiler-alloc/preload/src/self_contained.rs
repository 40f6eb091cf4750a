//! What std would have from other libraries than libc, which a preloaded library must not bring
//! into a program: they change what its own `dlopen` loads, and musl's loader ends a program that
//! it cannot find `libgcc_s.so.1` or `ld-linux-x86-64.so.2` for.
//!
//! All of these are hidden: no other library is to find them.
//!
//! - `_Unwind_*` and `__tls_get_addr` are called by a panic alone, which has a bug for its reason
//!   and ends the process; here it does so at once.
//! - `pthread_atfork` is in the part of glibc that is linked into each library, and leads to a name
//!   that musl does not have: whichever of the two there is, is called.
//! - `log` and `expm1`, for the gaps between samples, come from the `libm` crate.

use core::arch::global_asm;
use core::ffi::{c_int, c_void};
use core::mem::transmute;
use core::ptr;

#[cfg(target_arch = "x86_64")]
macro_rules! trap {
    () => {
        "ud2"
    };
}
#[cfg(target_arch = "aarch64")]
macro_rules! trap {
    () => {
        "brk #1"
    };
}
#[cfg(target_arch = "x86_64")]
macro_rules! jump {
    () => {
        "jmp {to}"
    };
}
#[cfg(target_arch = "aarch64")]
macro_rules! jump {
    () => {
        "b {to}"
    };
}

macro_rules! hidden {
    ($name:literal, $code:expr $(, $to:path)?) => {
        global_asm!(
            concat!(".pushsection .text.memprof_", $name, ",\"ax\",@progbits"),
            concat!(".globl ", $name),
            concat!(".hidden ", $name),
            concat!(".type ", $name, ", @function"),
            concat!($name, ":"),
            $code,
            concat!(".size ", $name, ", . - ", $name),
            ".popsection",
            $(to = sym $to,)?
        );
    };
}

hidden!("_Unwind_Backtrace", trap!());
hidden!("_Unwind_DeleteException", trap!());
hidden!("_Unwind_GetCFA", trap!());
hidden!("_Unwind_GetDataRelBase", trap!());
hidden!("_Unwind_GetIP", trap!());
hidden!("_Unwind_GetIPInfo", trap!());
hidden!("_Unwind_GetLanguageSpecificData", trap!());
hidden!("_Unwind_GetRegionStart", trap!());
hidden!("_Unwind_GetTextRelBase", trap!());
hidden!("_Unwind_RaiseException", trap!());
hidden!("_Unwind_Resume", trap!());
hidden!("_Unwind_SetGR", trap!());
hidden!("_Unwind_SetIP", trap!());
#[cfg(target_arch = "x86_64")]
hidden!("__tls_get_addr", trap!());
hidden!("pthread_atfork", jump!(), at_fork);
hidden!("log", jump!(), log);
hidden!("expm1", jump!(), expm1);

type Handler = Option<unsafe extern "C" fn()>;
type Register = unsafe extern "C" fn(Handler, Handler, Handler, *mut c_void) -> c_int;

/// Registers handlers for as long as the process runs: this library is never unloaded.
extern "C" fn at_fork(before: Handler, in_parent: Handler, in_child: Handler) -> c_int {
    for name in [c"__register_atfork", c"pthread_atfork"] {
        // SAFETY: the name ends with a zero. What is found takes the handlers, and glibc's also a
        // library, which musl's does not look at; null means that none is unloaded.
        unsafe {
            let found = libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr());
            if !found.is_null() {
                let register = transmute::<*mut c_void, Register>(found);
                return register(before, in_parent, in_child, ptr::null_mut());
            }
        }
    }
    libc::ENOSYS
}

extern "C" fn log(x: f64) -> f64 {
    libm::log(x)
}

extern "C" fn expm1(x: f64) -> f64 {
    libm::expm1(x)
}
