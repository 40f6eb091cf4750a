//! The few questions the recorder asks the system: clocks, numbers, names, one line on stderr.
//!
//! Nothing here allocates. Everything but [`Errno`] may change `errno`.

use core::ffi::CStr;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::descriptor::Descriptor;
use crate::ffi::decimal::Decimal;

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

fn clock(id: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid timespec to write to.
    unsafe { libc::clock_gettime(id, &mut time) };
    // A time before its clock began is none: as a large number it would stand in the profile for
    // ever.
    u64::try_from(time.tv_sec)
        .unwrap_or(0)
        .wrapping_mul(1_000_000_000)
        .wrapping_add(time.tv_nsec as u64)
}

/// Monotonic clock, nanoseconds; about 20 ns a call.
pub fn now_ns() -> u64 {
    clock(libc::CLOCK_MONOTONIC)
}

/// Monotonic clock at the resolution of the system's tick (1-4 ms), nanoseconds; about 5 ns a call.
pub fn coarse_ns() -> u64 {
    clock(libc::CLOCK_MONOTONIC_COARSE)
}

/// Nanoseconds since 1970, UTC.
pub fn unix_ns() -> u64 {
    clock(libc::CLOCK_REALTIME)
}

/// CPU time of the whole process, nanoseconds; a system call.
pub fn cpu_ns() -> u64 {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// CPU time of the calling thread, nanoseconds; a system call.
pub fn thread_cpu_ns() -> u64 {
    clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// When the process started, on the clock of [`now_ns`], to the system's tick (10 ms). `None`
/// without /proc.
pub fn started_ns() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name, in parentheses, may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: u64 = fields.split_ascii_whitespace().nth(19)?.parse().ok()?;
    // SAFETY: has no preconditions.
    let hertz = unsafe { libc::sysconf(libc::_SC_CLK_TCK) }.max(1) as u64;
    let started = ticks.saturating_mul(1_000_000_000 / hertz);
    let age = clock(libc::CLOCK_BOOTTIME).saturating_sub(started);
    Some(now_ns().saturating_sub(age))
}

pub fn process_id() -> u32 {
    // SAFETY: has no preconditions.
    unsafe { libc::getpid() as u32 }
}

pub fn thread_id() -> u32 {
    // SAFETY: has no preconditions.
    unsafe { libc::syscall(libc::SYS_gettid) as u32 }
}

/// `None` if the system does not tell.
pub fn is_main_thread() -> Option<bool> {
    match thread_id() {
        u32::MAX => None,
        thread => Some(thread == process_id()),
    }
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

/// The value of an environment variable, valid until the program changes its environment: copy it
/// at once.
pub fn env(name: &str) -> Option<&'static [u8]> {
    let mut c_name = [0u8; 64];
    c_name[..name.len()].copy_from_slice(name.as_bytes());
    // SAFETY: the name ends with a zero, being shorter than its buffer; called before main or by
    // the thread that starts a recording, and callers copy the bytes before they do anything else.
    unsafe {
        let value = libc::getenv(c_name.as_ptr().cast());
        (!value.is_null()).then(|| CStr::from_ptr(value).to_bytes())
    }
}

/// The system's text, from the bytes that it is.
pub fn os_str(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}

/// Target of a symbolic link, cut off at the buffer's length.
pub fn read_link<'a>(path: &CStr, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    // SAFETY: `path` ends with a zero and the buffer is as long as stated.
    let len = unsafe { libc::readlink(path.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) };
    (len >= 0).then(|| &buffer[..len as usize])
}

/// Number of an open file's inode.
pub fn inode(fd: i32) -> Option<u64> {
    let mut status = core::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the pointer is to a buffer of the right size, which is read only if the call has
    // filled it.
    unsafe { (libc::fstat(fd, status.as_mut_ptr()) == 0).then(|| status.assume_init().st_ino) }
}

/// The whole path of the file that `path` leads to from the current folder, cut off at the buffer's
/// length.
pub fn whole_path<'a>(path: &CStr, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    // SAFETY: the path ends with a zero. A descriptor of this kind reads and writes nothing.
    let fd = unsafe { libc::open(path.as_ptr(), libc::O_PATH | libc::O_CLOEXEC) };
    if fd < 0 {
        return None;
    }
    let mut link = *b"/proc/self/fd/0000000000\0";
    let number = Decimal::new(fd as u64);
    let (start, digits) = (b"/proc/self/fd/".len(), number.bytes());
    link[start..start + digits.len()].copy_from_slice(digits);
    link[start + digits.len()] = 0;
    let link = CStr::from_bytes_until_nul(&link).unwrap_or(c"");
    let whole = read_link(link, buffer);
    // SAFETY: opened above, and known to nobody else.
    unsafe { libc::close(fd) };
    whole
}

/// The path of the file that is mapped at `start`, if the buffer has room for its line of
/// `/proc/self/maps`: `7f21a000-7f21b000 r--p 00000000 08:01 1311 /usr/bin/app`.
pub fn mapped_file(start: usize, buffer: &mut [u8; 512]) -> Option<&CStr> {
    // SAFETY: the path ends with a zero.
    let fd = unsafe {
        libc::open(
            c"/proc/self/maps".as_ptr(),
            libc::O_RDONLY | libc::O_CLOEXEC,
        )
    };
    let mut part = [0u8; 512];
    let mut len = 0;
    let is_wanted = |line: &[u8]| {
        let digits = line.split(|&byte| byte == b'-').next().unwrap_or_default();
        let text = core::str::from_utf8(digits).unwrap_or_default();
        usize::from_str_radix(text, 16) == Ok(start)
    };
    let found = 'lines: loop {
        // SAFETY: the buffer is as long as stated; a descriptor below 0 makes the call fail.
        let read = unsafe { libc::read(fd, part.as_mut_ptr().cast(), part.len()) };
        if read <= 0 {
            break false;
        }
        for &byte in &part[..read as usize] {
            if byte != b'\n' {
                // Of a line that is too long no end is found below.
                if let Some(place) = buffer.get_mut(len) {
                    *place = byte;
                    len += 1;
                }
            } else if is_wanted(&buffer[..len]) {
                break 'lines true;
            } else {
                len = 0;
            }
        }
    };
    // SAFETY: opened above, and known to nobody else; closing nothing fails.
    unsafe { libc::close(fd) };
    let path_at = buffer[..len].iter().position(|&byte| byte == b'/')?;
    buffer[len..].fill(0);
    let path = CStr::from_bytes_until_nul(&buffer[path_at..]).ok()?;
    found.then_some(path)
}

/// Whether what is loaded from `start` to `end` is the program itself: there lie the program
/// headers that the kernel named.
pub fn is_program(start: usize, end: usize) -> bool {
    // SAFETY: has no preconditions.
    let headers = unsafe { libc::getauxval(libc::AT_PHDR) as usize };
    (start..end).contains(&headers)
}

/// Removes a file that this crate has just created, and that has become useless.
pub fn remove_file(path: &CStr) {
    // SAFETY: the path ends with a zero.
    unsafe { libc::unlink(path.as_ptr()) };
}

/// Length and time of the last change (nanoseconds since 1970) of a file.
pub fn file_stamp(path: &CStr) -> Option<(u64, u64)> {
    let mut stat = core::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `path` ends with a zero; `stat` is written whole if the call succeeds.
    let stat = unsafe {
        if libc::stat(path.as_ptr(), stat.as_mut_ptr()) != 0 {
            return None;
        }
        stat.assume_init()
    };
    let modified = (stat.st_mtime as u64)
        .wrapping_mul(1_000_000_000)
        .wrapping_add(stat.st_mtime_nsec as u64);
    Some((stat.st_size as u64, modified))
}

/// True once descriptor 2 was seen to be closed: whatever is there later is a file of the
/// program's, not its stderr.
static STDERR_CLOSED: AtomicBool = AtomicBool::new(false);

/// Looks whether there is a stderr to warn on.
pub fn note_stderr() {
    // SAFETY: asks for a flag, changes nothing.
    let is_open = unsafe { libc::fcntl(2, libc::F_GETFD) } >= 0;
    STDERR_CLOSED.store(!is_open, Ordering::Relaxed);
}

/// Writes one line to stderr: `profiler-alloc: ` and the parts.
#[cold]
#[inline(never)]
pub fn warn(parts: &[&[u8]]) {
    if STDERR_CLOSED.load(Ordering::Relaxed) {
        return;
    }
    let mut line = [0u8; 512];
    let mut len = 0;
    let texts = [b"profiler-alloc: ".as_slice()]
        .into_iter()
        .chain(parts.iter().copied());
    for text in texts {
        let take = text.len().min(line.len() - 1 - len);
        line[len..len + take].copy_from_slice(&text[..take]);
        len += take;
    }
    line[len] = b'\n';
    // SAFETY: the buffer holds len + 1 bytes. A failed or short write loses a warning, nothing
    // else.
    unsafe { libc::write(2, line.as_ptr().cast(), len + 1) };
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
    /// The system once did not let it be read: it is not asked again.
    is_refused: AtomicBool,
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
                is_refused: AtomicBool::new(false),
            }
        }
    }

    /// Resident set size in bytes; 0 where the system does not tell.
    pub fn rss(&self) -> u64 {
        let mut text = [0u8; 64];
        let fd = self.file.unchecked();
        if fd < 0 || self.is_refused.load(Ordering::Relaxed) {
            return 0;
        }
        // SAFETY: the buffer is as long as stated. Should the program have closed or reused the
        // descriptor, the text does not parse or is a wrong number on the timeline; nothing is
        // written anywhere.
        let len = unsafe { libc::pread(fd, text.as_mut_ptr().cast(), text.len(), 0) };
        if len < 0 {
            self.is_refused.store(true, Ordering::Relaxed);
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

/// Linux 5.14; not known to every edition of the C library's headers.
const MADV_POPULATE_READ: i32 = 22;
const PAGE: usize = 4096;

/// How to ask whether memory can be read.
static ASKING: AtomicU8 = AtomicU8::new(UNKNOWN);
const UNKNOWN: u8 = 0;
const BY_POPULATING: u8 = 1;
const BY_COPYING: u8 = 2;

/// True if all pages that `range` touches can be read. Where the kernel may not be asked, the answer is no.
///
/// The kernel is asked to make the pages ready for reading. Older ones do not know how, and emulators may take it for
/// advice that means nothing: there it has to copy a word of each page for a call that is invalid otherwise, which debugging
/// tools remark upon.
pub fn is_readable(range: Range<usize>) -> bool {
    if range.is_empty() {
        return false;
    }
    let how = match ASKING.load(Ordering::Relaxed) {
        UNKNOWN => choose_asking(),
        how => how,
    };
    let mut pages = (range.start & !(PAGE - 1)..range.end).step_by(PAGE);
    match how {
        BY_POPULATING => populate(range),
        _ => pages.all(copy),
    }
}

#[cold]
fn choose_asking() -> u8 {
    let local = 0u64;
    let here = (&raw const local).addr();
    let how = match populate(here..here + 1) && !populate(0..1) {
        true => BY_POPULATING,
        false => BY_COPYING,
    };
    ASKING.store(how, Ordering::Relaxed);
    how
}

/// Fails with an error instead of a fault.
fn populate(range: Range<usize>) -> bool {
    let start = range.start & !(PAGE - 1);
    let base = core::ptr::without_provenance_mut(start);
    let len = range.end.saturating_sub(start);
    // SAFETY: reads pages in, at most; changes nothing that a program could notice.
    unsafe { libc::madvise(base, len, MADV_POPULATE_READ) == 0 }
}

/// Copies the 8 bytes at `address`, which fails with EFAULT instead of a fault.
fn copy(address: usize) -> bool {
    // SAFETY: an invalid `how` makes the call fail with EINVAL after the copy; no signal mask is
    // changed.
    let result = unsafe { libc::syscall(libc::SYS_rt_sigprocmask, -1, address, 0usize, 8usize) };
    result != 0 && last_error() == libc::EINVAL
}

/// Copies memory of the process that another thread may unmap at any moment: as much as there is,
/// up to the buffer's length. `None` where the kernel may not be asked.
pub fn copy_memory(address: usize, buffer: &mut [u8]) -> Option<usize> {
    let local = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    let remote = libc::iovec {
        iov_base: core::ptr::without_provenance_mut(address),
        iov_len: buffer.len(),
    };
    // SAFETY: writes to the buffer alone, of which `local` tells the length; what cannot be read is
    // an error.
    let copied = unsafe { libc::process_vm_readv(libc::getpid(), &local, 1, &remote, 1, 0) };
    match usize::try_from(copied) {
        Ok(copied) => Some(copied),
        Err(_) => (last_error() == libc::EFAULT).then_some(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readable_tells_mapped_from_unmapped() {
        let value = 0u64;
        let here = &raw const value as usize;
        let pages = crate::ffi::memory::reserve(3 * PAGE).unwrap();
        // SAFETY: the middle of what was just mapped for nobody else.
        let made = unsafe { libc::mprotect(pages.add(PAGE).cast(), PAGE, libc::PROT_READ) };
        assert_eq!(made, 0);
        let middle = pages.addr() + PAGE;
        let copy_first = |range: Range<usize>| copy(range.start);
        // An emulator may take the advice for one that means nothing.
        let best = match choose_asking() {
            BY_POPULATING => populate,
            _ => copy_first,
        };
        for each in [is_readable, best, copy_first] {
            assert!(each(here..here + 1));
            assert!(each(middle..middle + PAGE));
            for not in [8, middle - PAGE, middle + PAGE, usize::MAX & !(PAGE - 1)] {
                assert!(!each(not..not.saturating_add(8)), "{not:#x}");
            }
        }
        assert!(!is_readable(here..here));
        assert!(!is_readable(middle - 1..middle + 1));
        assert!(!is_readable(middle..middle + PAGE + 1));
    }

    #[test]
    fn memory_is_copied_as_far_as_it_goes() {
        let pages = crate::ffi::memory::reserve(2 * PAGE).unwrap();
        // SAFETY: the first half of what was just mapped for nobody else.
        let made = unsafe { libc::mprotect(pages.cast(), PAGE, libc::PROT_READ) };
        assert_eq!(made, 0);
        let mut buffer = [7; 16];
        let Some(copied) = copy_memory(pages.addr(), &mut buffer) else {
            // An emulator may not know how.
            return;
        };
        assert_eq!((copied, buffer), (16, [0; 16]));
        assert_eq!(copy_memory(pages.addr() + PAGE - 8, &mut buffer), Some(8));
        for not in [8, pages.addr() + PAGE] {
            assert_eq!(copy_memory(not, &mut buffer), Some(0), "{not:#x}");
        }
    }

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
