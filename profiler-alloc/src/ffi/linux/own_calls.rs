//! The calls by which the recorder maps its own memory. In the preload library, `mmap` and its like
//! are the functions that count what the program maps; so the recorder asks the system itself.

#[cfg(not(feature = "preload"))]
pub use libc::{mmap, mremap, munmap};
#[cfg(feature = "preload")]
pub use preload::{mmap, mremap, munmap};

#[cfg(feature = "preload")]
mod preload {
    use core::ffi::{c_int, c_long, c_void};

    /// # Safety
    /// As the C library's.
    pub unsafe fn mmap(
        base: *mut c_void,
        len: usize,
        protection: c_int,
        flags: c_int,
        fd: c_int,
        at: i64,
    ) -> *mut c_void {
        // SAFETY: the arguments of the system call are those of the function; the caller's promise
        // is passed on.
        pointer(unsafe { libc::syscall(libc::SYS_mmap, base, len, protection, flags, fd, at) })
    }

    /// # Safety
    /// As the C library's.
    pub unsafe fn munmap(base: *mut c_void, len: usize) -> c_int {
        // SAFETY: as above.
        unsafe { libc::syscall(libc::SYS_munmap, base, len) as c_int }
    }

    /// # Safety
    /// As the C library's.
    pub unsafe fn mremap(
        old: *mut c_void,
        old_len: usize,
        len: usize,
        flags: c_int,
        new: *mut u8,
    ) -> *mut c_void {
        // SAFETY: as above.
        pointer(unsafe { libc::syscall(libc::SYS_mremap, old, old_len, len, flags, new) })
    }

    /// -1 is what the C library's give for a failure, too.
    fn pointer(answer: c_long) -> *mut c_void {
        core::ptr::with_exposed_provenance_mut(answer as usize)
    }
}
