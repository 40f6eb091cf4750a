//! Where stacks begin.

use super::os;

/// An address above all frames of the calling thread's stack and on that stack; 0 if there is none
/// to be had.
///
/// The main thread's stack begins at an address that the dynamic linker keeps. The stacks of other
/// threads have the thread's control block at their upper end, and its address is the thread's
/// handle.
#[cfg(all(target_env = "gnu", not(feature = "preload")))]
pub fn top() -> usize {
    unsafe extern "C" {
        static __libc_stack_end: *const u8;
    }
    // SAFETY: the linker sets it before any code of the program runs; `pthread_self` has no
    // preconditions.
    unsafe {
        match is_main_thread() {
            Some(true) => __libc_stack_end as usize,
            Some(false) => libc::pthread_self() as usize,
            None => 0,
        }
    }
}

/// As above, in the preload library, which programs of musl load too, so that it can name no symbol
/// of glibc's linker. musl's threads have their control block above their stack, too.
#[cfg(feature = "preload")]
pub fn top() -> usize {
    match is_main_thread() {
        Some(true) => main_top().unwrap_or(0),
        // SAFETY: has no preconditions.
        Some(false) => unsafe { libc::pthread_self() as usize },
        None => 0,
    }
}

/// As above. musl keeps no such address of the main thread, but the kernel's own record of the
/// start stands right there; of other threads it tells the very place where the first frame was
/// put.
#[cfg(not(any(target_env = "gnu", feature = "preload")))]
pub fn top() -> usize {
    match is_main_thread() {
        Some(true) => return main_top().unwrap_or(0),
        Some(false) => {}
        None => return 0,
    }
    let mut attributes = core::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    let (mut low, mut len) = (core::ptr::null_mut(), 0);
    // SAFETY: the attributes are read only once the first call has filled them in. musl neither
    // allocates nor waits here.
    unsafe {
        if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0
            || libc::pthread_attr_getstack(attributes.as_ptr(), &mut low, &mut len) != 0
        {
            return 0;
        }
    }
    low.addr() + len
}

/// `None` if the system does not tell.
fn is_main_thread() -> Option<bool> {
    match os::thread_id() {
        u32::MAX => None,
        thread => Some(thread == os::process_id()),
    }
}

/// Where the kernel put the number of arguments: the first frame of the program lies right below.
///
/// ```text
/// 7ffe'1000   2                  <- this address
/// 7ffe'1008   7ffe'2a10 "app"
/// 7ffe'1010   7ffe'2a14 "-v"
/// 7ffe'1018   0
/// 7ffe'1020   7ffe'2a17 "HOME=…" <- environ, until the program changes its environment
/// ```
#[cfg(any(not(target_env = "gnu"), feature = "preload"))]
fn main_top() -> Option<usize> {
    unsafe extern "C" {
        static environ: *const *const libc::c_char;
    }
    const WORD: usize = size_of::<usize>();
    let local = 0u8;
    let here = (&raw const local).addr();
    // SAFETY: a plain read; the name of the program is above all that the kernel put on the stack,
    // or 0.
    let (variables, name) = unsafe { (environ.addr(), libc::getauxval(libc::AT_EXECFN) as usize) };
    if !(here..name).contains(&variables) || !variables.is_multiple_of(WORD) {
        return None;
    }
    let mut count = variables.checked_sub(2 * WORD)?;
    for arguments in 0.. {
        // SAFETY: between this frame and the environment all is the main thread's stack, aligned as
        // `environ` is.
        let word = unsafe { core::ptr::with_exposed_provenance::<usize>(count).read_volatile() };
        if word == arguments {
            return Some(count);
        }
        count = count.checked_sub(WORD).filter(|&at| at > here)?;
    }
    None
}
