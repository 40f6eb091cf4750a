//! `memprof mark`: keeps the heap of a program as it is now, under a name.

#[cfg_attr(not(target_os = "linux"), path = "mark/refused.rs")]
mod put;

/// Keep the heap of a running program as it is now, under a name
///
/// The program has to be recorded, in whatever way that began. `memprof report --at NAME` shows
/// what was live then, `memprof leaks --since NAME` what was allocated afterwards and is still
/// there. The mark is taken when the program next allocates or frees something. A recording keeps
/// 64 marks; the program sets its own with `profiler_alloc::mark(NAME)`.
#[derive(clap::Args, Debug)]
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "read where the command can run")
)]
pub struct MarkArgs {
    /// The program's process number
    #[arg(value_name = "PID")]
    pid: u32,
    /// What views call the moment
    #[arg(value_name = "NAME")]
    name: String,
}

pub use put::run;
