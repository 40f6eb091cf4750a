//! `memprof attach`: has a program that runs already record itself.

#[cfg_attr(not(target_os = "linux"), path = "attach/refused.rs")]
mod ask;

use std::time::Duration;

use super::recording::RecordingArgs;
use crate::units::parse_duration;

/// Record a program that runs already
///
/// It has to have the crate, or the library to preload from its start, and may have been started in
/// any way; `memprof ps` lists which can be recorded. The recording begins when the program next
/// allocates or frees something, and ends with the program, with --for, or with --detach. The
/// program gets no signal, thread or socket: the request is written into its memory, which the
/// system lets the same user do, or root (see docs/any_program.md).
#[derive(clap::Args, Debug)]
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "read where the command can run")
)]
pub struct AttachArgs {
    /// The program's process number
    #[arg(value_name = "PID")]
    pid: u32,

    /// End the recording after DURATION, such as 60s
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    time: Option<Duration>,

    /// End the recording that an earlier `memprof attach` began
    #[arg(long, conflicts_with_all = ["time", "RecordingArgs"])]
    detach: bool,

    #[command(flatten)]
    recording: RecordingArgs,
}

pub use ask::run;
