//! The clocks of Linux.

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
