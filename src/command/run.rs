//! `memprof run`: runs a program with its recorder on, and says what was recorded.

#[cfg_attr(not(target_os = "linux"), path = "run/refused.rs")]
mod record;

use std::ffi::OsString;
use std::path::PathBuf;

use profiler_alloc_format::env::{Grant, Overhead, Sample, StackDepth, TimelineInterval};

use crate::units::parse_duration;

/// Run a program and record its memory
///
/// Any program: one that has the crate records itself, into others memprof's library is loaded in
/// place of malloc (see docs/any_program.md). Its input, output, signals and exit code pass
/// through; programs it starts are recorded too, each to a profile of its own.
#[derive(clap::Args, Debug)]
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "read where the command can run")
)]
pub struct RunArgs {
    /// Write the profile to FILE [default: PROGRAM.PID.memprof in the current folder]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Replace FILE if it exists
    #[arg(long, requires = "output")]
    overwrite: bool,

    /// Take the stack of these allocations: `auto` (as many as the overhead allows), `all`, or
    /// one in SIZE bytes
    #[arg(long, value_name = "auto|all|SIZE")]
    sample: Option<Sample>,

    /// Let `auto` take up to PERCENT of the program's CPU time
    #[arg(long, value_name = "PERCENT")]
    overhead: Option<Overhead>,

    /// Let `auto` take this much on top of that; half of it is for recording every allocation at
    /// first [default: 6ms]
    #[arg(long, value_name = "DURATION", value_parser = grant)]
    grant: Option<Grant>,

    /// Keep up to N frames of one stack, 16 to 8192
    #[arg(long, value_name = "N")]
    stack_depth: Option<StackDepth>,

    /// Wait DURATION between two points of the timeline, such as 10ms
    #[arg(long, value_name = "DURATION", value_parser = timeline_interval)]
    timeline_interval: Option<TimelineInterval>,

    /// Have every view count crates and paths as your own source too, such as jaq-*; may be given
    /// several times
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    own: Vec<String>,

    /// Record only programs that have the crate. So it is for `cargo`, unless --preload is given
    #[arg(long, conflicts_with = "preload")]
    no_preload: bool,

    /// Load memprof's library into `cargo` too, and into all that it starts
    #[arg(long)]
    preload: bool,

    /// Print the report as soon as the program has ended
    #[arg(long)]
    report: bool,

    /// Run this program with these arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "PROGRAM")]
    command: Vec<OsString>,
}

fn grant(text: &str) -> Result<Grant, String> {
    let time = parse_duration(text).map_err(|error| error.to_string())?;
    Grant::new(time).map_err(|refused| refused.to_string())
}

fn timeline_interval(text: &str) -> Result<TimelineInterval, String> {
    let interval = parse_duration(text).map_err(|error| error.to_string())?;
    TimelineInterval::new(interval).map_err(|refused| refused.to_string())
}

pub use record::run;
