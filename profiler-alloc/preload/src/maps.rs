//! The functions by which programs map memory themselves. Each does what the C library's does, and
//! is told to the recorder: anonymous memory that can be read or written is the heap *mapped*.
//!
//! The C library maps its own memory, stacks of threads among it, by calls of its own, which do not
//! come here. Nor do system calls that a program makes itself. Files are not told: their pages are
//! the system's to drop.

use core::ffi::{c_int, c_void};
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use libc::{MAP_ANONYMOUS, MAP_FAILED, MAP_FIXED, MREMAP_DONTUNMAP, PROT_NONE, off_t};
use profiler_alloc::preload;

use crate::below;

/// What is mapped before it is known whether the program is recorded, is told too.
static ARE_TOLD: AtomicBool = AtomicBool::new(true);

/// From now on mappings are told to the recorder, or not.
pub fn are_told(are_told: bool) {
    ARE_TOLD.store(are_told, Ordering::Relaxed);
    if !are_told {
        preload::forget();
    }
}

#[inline]
fn is_on() -> bool {
    ARE_TOLD.load(Ordering::Relaxed)
}

/// The bytes of the pages that `len` bytes are on.
fn pages(len: usize) -> usize {
    // SAFETY: asks for a number.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let page = usize::try_from(page).unwrap_or(4096).max(1);
    len.checked_next_multiple_of(page).unwrap_or(len)
}

/// Whether a call can be of whole pages: all others are refused, and change nothing.
fn is_at_page(start: *mut c_void) -> bool {
    pages(start.addr()) == start.addr()
}

/// The system call's answer, as the C library gives it.
fn pointer(answer: libc::c_long) -> *mut c_void {
    ptr::with_exposed_provenance_mut(answer as usize)
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmap(
    start: *mut c_void,
    len: usize,
    protection: c_int,
    flags: c_int,
    fd: c_int,
    at: off_t,
) -> *mut c_void {
    let is_told = is_on();
    // What is replaced is taken out of the table first.
    let replaced = (is_told && flags & MAP_FIXED != 0 && is_at_page(start))
        .then(|| preload::unmapping(start.addr(), pages(len)));
    // SAFETY: the function below has this type, and the caller's promises are passed on; where it
    // is not known yet, the system is asked.
    let mapped = unsafe {
        match below::MMAP.get::<below::Mmap>() {
            Some(mmap) => mmap(start, len, protection, flags, fd, at),
            None => pointer(libc::syscall(
                libc::SYS_mmap,
                start,
                len,
                protection,
                flags,
                fd,
                at,
            )),
        }
    };
    if let Some(replaced) = replaced {
        replaced.done(mapped != MAP_FAILED);
    }
    if is_told && mapped != MAP_FAILED && flags & MAP_ANONYMOUS != 0 {
        match protection {
            PROT_NONE => preload::reserved(mapped.addr(), pages(len)),
            _ => preload::mapped(mapped.addr(), pages(len)),
        }
    }
    mapped
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmap64(
    start: *mut c_void,
    len: usize,
    protection: c_int,
    flags: c_int,
    fd: c_int,
    at: off_t,
) -> *mut c_void {
    // SAFETY: on 64-bit systems the two are the same.
    unsafe { mmap(start, len, protection, flags, fd, at) }
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn munmap(start: *mut c_void, len: usize) -> c_int {
    let unmapping =
        (is_on() && is_at_page(start)).then(|| preload::unmapping(start.addr(), pages(len)));
    // SAFETY: as for mmap.
    let answer = unsafe {
        match below::MUNMAP.get::<below::Munmap>() {
            Some(munmap) => munmap(start, len),
            None => libc::syscall(libc::SYS_munmap, start, len) as c_int,
        }
    };
    if let Some(unmapping) = unmapping {
        unmapping.done(answer == 0);
    }
    answer
}

/// # Safety
/// As C's; the last argument is one that the caller may have left out.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mremap(
    old: *mut c_void,
    old_len: usize,
    len: usize,
    flags: c_int,
    new: *mut c_void,
) -> *mut c_void {
    // What stays where it is, or is mapped twice, is not moved.
    let is_moved = flags & MREMAP_DONTUNMAP == 0 && old_len != 0;
    let remapping = (is_on() && is_at_page(old) && is_moved)
        .then(|| preload::remapping(old.addr(), pages(old_len)));
    // SAFETY: as for mmap.
    let mapped = unsafe {
        match below::MREMAP.get::<below::Mremap>() {
            Some(mremap) => mremap(old, old_len, len, flags, new),
            None => pointer(libc::syscall(
                libc::SYS_mremap,
                old,
                old_len,
                len,
                flags,
                new,
            )),
        }
    };
    if let Some(remapping) = remapping {
        let new = (mapped != MAP_FAILED).then(|| (mapped.addr(), pages(len)));
        remapping.done(new);
    }
    mapped
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mprotect(start: *mut c_void, len: usize, protection: c_int) -> c_int {
    // SAFETY: as for mmap.
    let answer = unsafe {
        match below::MPROTECT.get::<below::Mprotect>() {
            Some(mprotect) => mprotect(start, len, protection),
            None => libc::syscall(libc::SYS_mprotect, start, len, protection) as c_int,
        }
    };
    if answer == 0 && is_on() {
        preload::protected(start.addr(), pages(len), protection != PROT_NONE);
    }
    answer
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sbrk(by: isize) -> *mut c_void {
    // SAFETY: as for mmap. There is no system call that does the same.
    let before = unsafe {
        match below::SBRK.get::<below::Sbrk>() {
            Some(sbrk) => sbrk(by),
            None => refused(),
        }
    };
    if is_on() && before != MAP_FAILED {
        moved(before.addr(), before.addr().wrapping_add_signed(by));
    }
    before
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn brk(end: *mut c_void) -> c_int {
    // SAFETY: asks where the end is.
    let before = unsafe { below::SBRK.get::<below::Sbrk>().map(|sbrk| sbrk(0)) };
    // SAFETY: as for mmap.
    let answer = unsafe {
        match below::BRK.get::<below::Brk>() {
            Some(brk) => brk(end),
            None => {
                refused();
                -1
            }
        }
    };
    if let Some(before) = before.filter(|_| is_on() && answer == 0) {
        moved(before.addr(), end.addr());
    }
    answer
}

/// The end of the program's data has moved.
fn moved(before: usize, end: usize) {
    if end > before {
        preload::mapped(before, end - before);
    } else if end < before {
        preload::unmapping(end, before - end).done(true);
    }
}

/// The C library has no such function, or it is being searched for.
#[cold]
fn refused() -> *mut c_void {
    // SAFETY: the address of the thread's own errno.
    unsafe { *libc::__errno_location() = libc::ENOMEM };
    MAP_FAILED
}
