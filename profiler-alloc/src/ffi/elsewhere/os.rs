//! What other systems answer: all that counting asks, nothing of what only a recording asks.

use core::cell::Cell;
use core::ffi::CStr;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering};
use std::ffi::OsStr;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Errors that the recorder gives itself.
pub const NAME_TOO_LONG: i32 = 0;
pub const EXISTS: i32 = 0;

/// Nothing that counting asks changes `errno` here.
pub struct Errno;

impl Errno {
    pub fn keep() -> Errno {
        Errno
    }
}

pub fn last_error() -> i32 {
    0
}

fn nanoseconds(time: core::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Monotonic clock, nanoseconds.
pub fn now_ns() -> u64 {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    nanoseconds(FIRST.get_or_init(Instant::now).elapsed())
}

/// As [`now_ns`].
pub fn coarse_ns() -> u64 {
    now_ns()
}

/// Nanoseconds since 1970, UTC.
pub fn unix_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, nanoseconds)
}

/// CPU time of the whole process, nanoseconds; 0 where the system does not tell.
pub fn cpu_ns() -> u64 {
    calls::cpu_ns()
}

/// CPU time of the calling thread, nanoseconds; 0 where the system does not tell.
pub fn thread_cpu_ns() -> u64 {
    calls::thread_cpu_ns()
}

pub fn started_ns() -> Option<u64> {
    None
}

pub fn process_id() -> u32 {
    calls::process_id()
}

/// A number of the calling thread's own, from 1.
pub fn thread_id() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    thread_local! {
        static ID: Cell<u32> = const { Cell::new(0) };
    }
    let id = ID.try_with(|id| {
        if id.get() == 0 {
            id.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        id.get()
    });
    id.unwrap_or(0)
}

pub fn thread_name() -> [u8; 16] {
    [0; 16]
}

pub fn is_privileged() -> bool {
    false
}

/// The path of a recording, of which there is none.
pub fn os_str(_: &[u8]) -> &OsStr {
    OsStr::new("")
}

pub fn read_link<'a>(_: &CStr, _: &'a mut [u8]) -> Option<&'a [u8]> {
    None
}

pub fn inode(_: i32) -> Option<u64> {
    None
}

pub fn whole_path<'a>(_: &CStr, _: &'a mut [u8]) -> Option<&'a [u8]> {
    None
}

pub fn mapped_file(_: usize, _: &mut [u8; 512]) -> Option<&CStr> {
    None
}

pub fn is_program(_: usize, _: usize) -> bool {
    true
}

pub fn remove_file(_: &CStr) {}

pub fn file_stamp(_: &CStr) -> Option<(u64, u64)> {
    None
}

pub fn note_stderr() {}

/// Nothing is begun from outside here.
pub fn keep_off_stderr() {}

pub fn has_stderr() -> bool {
    true
}

pub fn error_text(_: i32, _: &mut [u8; 96]) -> &[u8] {
    b""
}

/// The memory of the process.
pub struct Statm;

impl Statm {
    pub fn open() -> Statm {
        Statm
    }

    /// Resident set size in bytes; 0 where the system does not tell.
    pub fn rss(&self) -> u64 {
        calls::rss()
    }

    pub fn close(&self) {}
}

pub fn is_readable(_: Range<usize>) -> bool {
    false
}

#[cfg(not(portable_unwinder))]
pub fn copy_memory(_: usize, _: &mut [u8]) -> Option<usize> {
    None
}

#[cfg(windows)]
mod calls {
    use core::ffi::c_void;

    /// `FILETIME`: 100 ns each.
    #[repr(C)]
    #[derive(Clone, Copy, Default)]
    struct FileTime {
        low: u32,
        high: u32,
    }

    impl FileTime {
        fn ns(self) -> u64 {
            (u64::from(self.high) << 32 | u64::from(self.low)).wrapping_mul(100)
        }
    }

    /// `PROCESS_MEMORY_COUNTERS`.
    #[repr(C)]
    #[derive(Default)]
    struct MemoryCounters {
        len: u32,
        page_faults: u32,
        peak_working_set: usize,
        working_set: usize,
        others: [usize; 6],
    }

    type Times = unsafe extern "system" fn(
        *mut c_void,
        *mut FileTime,
        *mut FileTime,
        *mut FileTime,
        *mut FileTime,
    ) -> i32;

    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn GetCurrentProcess() -> *mut c_void;
        fn GetCurrentThread() -> *mut c_void;
        fn GetProcessTimes(
            process: *mut c_void,
            created: *mut FileTime,
            ended: *mut FileTime,
            kernel: *mut FileTime,
            user: *mut FileTime,
        ) -> i32;
        fn GetThreadTimes(
            thread: *mut c_void,
            created: *mut FileTime,
            ended: *mut FileTime,
            kernel: *mut FileTime,
            user: *mut FileTime,
        ) -> i32;
        fn K32GetProcessMemoryInfo(
            process: *mut c_void,
            counters: *mut MemoryCounters,
            len: u32,
        ) -> i32;
    }

    pub fn process_id() -> u32 {
        std::process::id()
    }

    fn cpu(ask: Times, whose: *mut c_void) -> u64 {
        let [mut created, mut ended, mut kernel, mut user] = [FileTime::default(); 4];
        // SAFETY: the handle is one that needs no closing, and the times are valid to write to.
        let told = unsafe { ask(whose, &mut created, &mut ended, &mut kernel, &mut user) } != 0;
        if told {
            kernel.ns().wrapping_add(user.ns())
        } else {
            0
        }
    }

    pub fn cpu_ns() -> u64 {
        // SAFETY: has no preconditions.
        cpu(GetProcessTimes, unsafe { GetCurrentProcess() })
    }

    pub fn thread_cpu_ns() -> u64 {
        // SAFETY: has no preconditions.
        cpu(GetThreadTimes, unsafe { GetCurrentThread() })
    }

    pub fn rss() -> u64 {
        let mut counters = MemoryCounters {
            len: size_of::<MemoryCounters>() as u32,
            ..MemoryCounters::default()
        };
        // SAFETY: the counters are valid to write to, and as long as stated.
        let told = unsafe {
            K32GetProcessMemoryInfo(GetCurrentProcess(), &mut counters, counters.len) != 0
        };
        if told { counters.working_set as u64 } else { 0 }
    }
}

#[cfg(unix)]
mod calls {
    pub fn process_id() -> u32 {
        std::process::id()
    }

    fn clock(id: libc::clockid_t) -> u64 {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: `time` is a valid timespec to write to.
        unsafe { libc::clock_gettime(id, &mut time) };
        u64::try_from(time.tv_sec)
            .unwrap_or(0)
            .wrapping_mul(1_000_000_000)
            .wrapping_add(time.tv_nsec as u64)
    }

    pub fn cpu_ns() -> u64 {
        clock(libc::CLOCK_PROCESS_CPUTIME_ID)
    }

    pub fn thread_cpu_ns() -> u64 {
        clock(libc::CLOCK_THREAD_CPUTIME_ID)
    }

    #[cfg(target_vendor = "apple")]
    pub fn rss() -> u64 {
        let mut info = core::mem::MaybeUninit::<libc::proc_taskinfo>::zeroed();
        let len = size_of::<libc::proc_taskinfo>() as i32;
        // SAFETY: the buffer is as long as stated, and zeros are a value of the plain integers in
        // it.
        unsafe {
            let buffer = info.as_mut_ptr().cast();
            libc::proc_pidinfo(libc::getpid(), libc::PROC_PIDTASKINFO, 0, buffer, len);
            info.assume_init().pti_resident_size
        }
    }

    #[cfg(not(target_vendor = "apple"))]
    pub fn rss() -> u64 {
        0
    }
}

#[cfg(not(any(unix, windows)))]
mod calls {
    pub fn process_id() -> u32 {
        1
    }

    pub fn cpu_ns() -> u64 {
        0
    }

    pub fn thread_cpu_ns() -> u64 {
        0
    }

    pub fn rss() -> u64 {
        0
    }
}
