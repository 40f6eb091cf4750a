//! Memory straight from the system: private mappings.

use super::own_calls;

/// `len` bytes, zero, aligned to `align`, which take memory only once they are touched, and stay.
pub fn zeroed(len: usize, align: usize) -> Option<*mut u8> {
    // A mapping begins with a page.
    debug_assert!(align <= 4096);
    map(len, libc::PROT_READ | libc::PROT_WRITE)
}

/// Gives back all that [`zeroed`] gave.
///
/// # Safety
/// The three are those of one call, and nobody looks at the memory any more.
pub unsafe fn free(base: *mut u8, len: usize, _: usize) {
    // SAFETY: as the caller promises, nobody can be looking at it.
    unsafe { own_calls::munmap(base.cast(), len) };
}

/// Address space without memory behind it, to be filled in by the file's chunks.
pub fn reserve(len: usize) -> Option<*mut u8> {
    map(len, libc::PROT_NONE)
}

/// Gives back the end of what [`reserve`] gave.
///
/// # Safety
/// Nothing was ever filled in there, and nothing will be.
pub unsafe fn give_back(base: *mut u8, len: usize) {
    if len > 0 {
        // SAFETY: as the caller promises, nobody can be looking at it.
        unsafe { own_calls::munmap(base.cast(), len) };
    }
}

/// Has the kernel empty the pages in a forked child. False if it refuses.
///
/// # Safety
/// They were given by [`zeroed`], and are the caller's alone.
pub unsafe fn wipe_on_fork(base: *mut u8, len: usize) -> bool {
    // SAFETY: they are mapped private and anonymous, as MADV_WIPEONFORK asks.
    unsafe { libc::madvise(base.cast(), len, libc::MADV_WIPEONFORK) == 0 }
}

fn map(len: usize, protection: i32) -> Option<*mut u8> {
    // Miri, which runs the unit tests too, knows nothing of reservations.
    let unreserved = if cfg!(miri) { 0 } else { libc::MAP_NORESERVE };
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | unreserved;
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches nothing that
    // exists.
    let base = unsafe { own_calls::mmap(core::ptr::null_mut(), len, protection, flags, -1, 0) };
    (base != libc::MAP_FAILED).then_some(base.cast())
}
