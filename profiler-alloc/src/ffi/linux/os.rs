//! What Linux answers: all of it. Nothing here allocates. Everything but [`Errno`] may change
//! `errno`.

mod clock;
mod files;
mod readable;

use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, Ordering};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::ffi::descriptor::Descriptor;
use crate::ffi::residence::READING_REFUSED;

pub use clock::{coarse_ns, cpu_ns, now_ns, started_ns, thread_cpu_ns, unix_ns};
pub use files::{file_stamp, inode, mapped_file, read_link, remove_file, whole_path};
#[cfg(not(portable_unwinder))]
pub use readable::copy_memory;
pub use readable::is_readable;

/// Errors that the recorder gives itself.
pub const NAME_TOO_LONG: i32 = libc::ENAMETOOLONG;
pub const EXISTS: i32 = libc::EEXIST;

/// Puts `errno` back to what it was, when dropped: the program must not notice the hook.
pub struct Errno {
    location: *mut i32,
    value: i32,
}

impl Errno {
    pub fn keep() -> Errno {
        // SAFETY: the location of this thread's errno is always valid.
        unsafe {
            let location = libc::__errno_location();
            let value = *location;
            Errno { location, value }
        }
    }
}

impl Drop for Errno {
    fn drop(&mut self) {
        // SAFETY: as in `keep`; a pointer keeps this value on the thread that made it.
        unsafe { *self.location = self.value };
    }
}

/// The value of `errno` now.
pub fn last_error() -> i32 {
    Errno::keep().value
}

pub fn process_id() -> u32 {
    // SAFETY: has no preconditions.
    unsafe { libc::getpid() as u32 }
}

pub fn thread_id() -> u32 {
    // SAFETY: has no preconditions.
    unsafe { libc::syscall(libc::SYS_gettid) as u32 }
}

/// Name of the calling thread, zero-padded; zeros where the system does not tell.
///
/// It is not asked again where it once refused: a program that shuts itself in may say something
/// about every call that it has forbidden.
pub fn thread_name() -> [u8; 16] {
    static IS_REFUSED: AtomicBool = AtomicBool::new(false);
    let mut name = [0u8; 16];
    if !IS_REFUSED.load(Ordering::Relaxed) {
        // SAFETY: PR_GET_NAME writes at most 16 bytes.
        let result = unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
        IS_REFUSED.store(result != 0, Ordering::Relaxed);
    }
    name
}

/// True for a program that runs with more rights than its caller (setuid and the like).
pub fn is_privileged() -> bool {
    // SAFETY: has no preconditions.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// The system's text, from the bytes that it is.
pub fn os_str(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}

/// Whether what is loaded from `start` to `end` is the program itself: there lie the program
/// headers that the kernel named.
pub fn is_program(start: usize, end: usize) -> bool {
    // SAFETY: has no preconditions.
    let headers = unsafe { libc::getauxval(libc::AT_PHDR) as usize };
    (start..end).contains(&headers)
}

/// True once descriptor 2 was seen to be closed: whatever is there later is a file of the
/// program's, not its stderr. Or the program's stderr is to be left alone.
static STDERR_CLOSED: AtomicBool = AtomicBool::new(false);

/// Looks whether there is a stderr to warn on.
pub fn note_stderr() {
    // SAFETY: asks for a flag, changes nothing.
    let is_open = unsafe { libc::fcntl(2, libc::F_GETFD) } >= 0;
    STDERR_CLOSED.store(!is_open, Ordering::Relaxed);
}

/// From now on nothing is written to stderr.
pub fn keep_off_stderr() {
    STDERR_CLOSED.store(true, Ordering::Relaxed);
}

/// Whether descriptor 2 is the program's stderr.
pub fn has_stderr() -> bool {
    !STDERR_CLOSED.load(Ordering::Relaxed)
}

/// What an `errno` means, in words.
pub fn error_text(error: i32, buffer: &mut [u8; 96]) -> &[u8] {
    // SAFETY: the buffer is as long as stated, and the text ends with a zero if the call succeeds.
    let failed = unsafe { libc::strerror_r(error, buffer.as_mut_ptr().cast(), buffer.len()) } != 0;
    if failed {
        return b"unknown error";
    }
    CStr::from_bytes_until_nul(buffer).map_or(b"", CStr::to_bytes)
}

/// `/proc/self/statm`, kept open: resident set size in bytes for one `pread`.
pub struct Statm {
    file: Descriptor,
    page: u64,
}

impl Statm {
    pub fn open() -> Statm {
        // SAFETY: the path ends with a zero; sysconf has no preconditions.
        unsafe {
            let fd = libc::open(
                c"/proc/self/statm".as_ptr(),
                libc::O_RDONLY | libc::O_CLOEXEC,
            );
            Statm {
                file: Descriptor::new(fd),
                page: libc::sysconf(libc::_SC_PAGESIZE).max(1) as u64,
            }
        }
    }

    /// Resident set size in bytes; 0 where the system does not tell.
    pub fn rss(&self) -> u64 {
        let mut text = [0u8; 64];
        let fd = self.file.unchecked();
        if fd < 0 || READING_REFUSED.load(Ordering::Relaxed) {
            return 0;
        }
        // SAFETY: the buffer is as long as stated. Should the program have closed or reused the
        // descriptor, the text does not parse or is a wrong number on the timeline; nothing is
        // written anywhere.
        let len = unsafe { libc::pread(fd, text.as_mut_ptr().cast(), text.len(), 0) };
        if len < 0 {
            READING_REFUSED.store(true, Ordering::Relaxed);
        }
        let text = &text[..len.max(0) as usize];
        let mut fields = text.split(|&byte| byte == b' ').skip(1);
        let digits = fields.next().unwrap_or_default();
        let pages = digits
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .fold(0u64, |sum, byte| {
                sum.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'))
            });
        pages.wrapping_mul(self.page)
    }

    /// Closes the file; 0 from now on.
    pub fn close(&self) {
        self.file.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statm_gives_a_plausible_rss() {
        let rss = Statm::open().rss();
        assert!(rss > 100_000 && rss < 1 << 40, "{rss}");
    }

    #[test]
    fn errno_is_put_back() {
        // SAFETY: sets this thread's errno.
        unsafe { *libc::__errno_location() = 77 };
        {
            let _errno = Errno::keep();
            assert!(!is_readable(8..16));
        }
        assert_eq!(last_error(), 77);
    }
}
