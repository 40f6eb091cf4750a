//! Disk space for the profile file, and the mapping of its chunks.

use core::ffi::CStr;

use super::os;
use super::own_calls;

/// What [`create`] says of a file that exists, and others of a descriptor that was closed and of
/// signals that come too fast.
pub const EXISTS: i32 = libc::EEXIST;
pub const CLOSED: i32 = libc::EBADF;
pub const INTERRUPTED: i32 = libc::EINTR;
/// The process has as many files open as it may.
pub const TOO_MANY_FILES: i32 = libc::EMFILE;

/// Creates a file that only its owner may read, where none was and no link stands. Gives its
/// descriptor, or `errno`.
pub fn create(path: &CStr) -> Result<i32, i32> {
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    // SAFETY: the path ends with a zero.
    let opened = uninterrupted(|| unsafe { libc::open(path.as_ptr(), flags, 0o600) as isize });
    opened.map(|fd| fd as i32)
}

/// Writes what is mapped there to disk, and waits for it.
pub fn sync(base: *mut u8, len: usize) -> Result<(), i32> {
    // SAFETY: msync changes no memory; of what is not mapped it gives an error.
    match unsafe { libc::msync(base.cast(), len, libc::MS_SYNC) } {
        0 => Ok(()),
        _ => Err(os::last_error()),
    }
}

/// Reserves disk space for `len` bytes at `at`. Looks at the limit on file size first: exceeding it
/// raises a signal.
pub fn reserve(fd: i32, at: usize, len: usize) -> Result<(), i32> {
    let end = (at + len) as u64;
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid rlimit to write to.
    if unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &mut limit) } != 0 {
        return Err(os::last_error());
    }
    if limit.rlim_cur != libc::RLIM_INFINITY && limit.rlim_cur < end {
        return Err(libc::EFBIG);
    }
    // SAFETY: has no preconditions on memory.
    let allocated =
        uninterrupted(|| unsafe { libc::fallocate(fd, 0, at as i64, len as i64) as isize });
    match allocated {
        Ok(_) => Ok(()),
        Err(libc::EOPNOTSUPP | libc::ENOSYS) => write_zeros(fd, at, len),
        Err(error) => Err(error),
    }
}

/// Reserves space on file systems and kernels without fallocate.
fn write_zeros(fd: i32, at: usize, len: usize) -> Result<(), i32> {
    static ZEROS: [u8; 4096] = [0; 4096];
    let (mut at, end) = (at, at + len);
    while at < end {
        let many = ZEROS.len().min(end - at);
        // SAFETY: the buffer is at least as long as stated.
        let written =
            uninterrupted(|| unsafe { libc::pwrite(fd, ZEROS.as_ptr().cast(), many, at as i64) })?;
        if written == 0 {
            return Err(libc::ENOSPC);
        }
        at += written as usize;
    }
    Ok(())
}

/// Repeats a call that a signal interrupts, but not for ever: a timer may be faster than the file
/// system.
fn uninterrupted(mut call: impl FnMut() -> isize) -> Result<isize, i32> {
    const MOST: usize = 1000;
    for _ in 0..MOST {
        let result = call();
        if result >= 0 {
            return Ok(result);
        }
        match os::last_error() {
            libc::EINTR => {}
            error => return Err(error),
        }
    }
    Err(libc::EINTR)
}

/// Maps `len` bytes of the file from `at` to `base`, which this store has reserved.
pub fn map_file(base: *mut u8, len: usize, fd: i32, at: usize) -> bool {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_FIXED;
    // SAFETY: replaces address space that this store has reserved and not used yet.
    unsafe {
        own_calls::mmap(base.cast(), len, protection, flags, fd, at as i64) != libc::MAP_FAILED
    }
}

/// Puts private memory, zero or a copy if `keep`, where the file was mapped.
pub fn privatize(base: *mut u8, len: usize, keep: bool) {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: the range is mapped and this is the only thread of a forked child, so nobody sees the
    // moment between copying out and copying back. A mapping that fails leaves the old one in
    // place.
    unsafe {
        let copy = own_calls::mmap(core::ptr::null_mut(), len, protection, flags, -1, 0);
        if copy == libc::MAP_FAILED {
            return;
        }
        if keep {
            core::ptr::copy_nonoverlapping(base, copy.cast(), len);
        }
        own_calls::mremap(
            copy,
            len,
            len,
            libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED,
            base,
        );
    }
}
