//! The environment variables by which `memprof run` asks a program's recorder to record.
//!
//! All are read once, before the first allocation is recorded, and are inherited by child programs, so that every program
//! of a tree writes a profile of its own.

/// Path of the profile to write. `%e` stands for the program's file name, `%p` for its process number, `%%` for `%`.
///
/// If the file exists already, `.NAME.PID.memprof` is appended; an existing file is never overwritten. A recording
/// starts if and only if this is set and not empty.
pub const OUTPUT: &str = "MEMPROF_OUTPUT";
/// `auto`, `all`, or the sampling interval in bytes.
pub const SAMPLE: &str = "MEMPROF_SAMPLE";
/// The recorder's time budget in percent of the program's CPU time, for `auto`.
pub const OVERHEAD: &str = "MEMPROF_OVERHEAD";
/// Frames kept of one stack.
pub const STACK_DEPTH: &str = "MEMPROF_STACK_DEPTH";
/// First interval of the timeline in milliseconds; it doubles whenever the timeline is full.
pub const TIMELINE_MS: &str = "MEMPROF_TIMELINE_MS";
/// A decimal number that `memprof run` chose; the header repeats it, so that the run can find its profiles.
pub const RUN_ID: &str = "MEMPROF_RUN_ID";
/// Crates and paths that count as the user's own in every view of the profile, apart by commas.
pub const OWN: &str = "MEMPROF_OWN";
/// `1` turns off every wrapper (`#[profile]` and its kin); recordings are not affected.
pub const OFF: &str = "MEMPROF_OFF";
