//! Options that say what is recorded and where to, of the commands that begin a recording.

#[cfg(target_os = "linux")]
use std::ffi::OsString;
use std::path::PathBuf;

use profiler_alloc_format::env::{
    AccountInterval, Grant, Overhead, Sample, StackDepth, TimelineInterval,
};

#[cfg(target_os = "linux")]
use crate::run::{Request, RunId};
use crate::units::parse_duration;
#[cfg(target_os = "linux")]
use profiler_alloc_format::env::{Forks, Only};

/// What to record, and where to.
#[derive(clap::Args, Debug)]
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "read where the command can run")
)]
pub struct RecordingArgs {
    /// Write the profile to FILE [default: PROGRAM.PID.memprof in the current folder]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Replace FILE if it exists
    #[arg(long, requires = "output")]
    pub overwrite: bool,

    /// Take the stack of these allocations: `auto` (as many as the overhead allows), `all`, or
    /// one in SIZE bytes
    #[arg(long, value_name = "auto|all|SIZE")]
    pub sample: Option<Sample>,

    /// Let `auto` take up to PERCENT of the program's CPU time
    #[arg(long, value_name = "PERCENT")]
    pub overhead: Option<Overhead>,

    /// Let `auto` take this much on top of that; half of it is for recording every allocation at
    /// first [default: 6ms]
    #[arg(long, value_name = "DURATION", value_parser = grant)]
    pub grant: Option<Grant>,

    /// Keep up to N frames of one stack, 16 to 8192
    #[arg(long, value_name = "N")]
    pub stack_depth: Option<StackDepth>,

    /// Wait DURATION between two points of the timeline, such as 10ms
    #[arg(long, value_name = "DURATION", value_parser = timeline_interval)]
    pub timeline_interval: Option<TimelineInterval>,

    /// Wait DURATION between two accounts of the resident memory, for `memprof rss`, such as 5s; or
    /// take none [default: 1s]
    #[arg(long, value_name = "DURATION|off", value_parser = account_interval)]
    pub account_interval: Option<AccountInterval>,

    /// Have every view count crates and paths as your own source too, such as jaq-*; may be given
    /// several times
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    pub own: Vec<String>,
}

#[cfg(target_os = "linux")]
impl RecordingArgs {
    /// What is asked of the recorder, which is to write to the files that `output` stands for.
    pub fn request(self, output: OsString, run_id: RunId) -> Request {
        Request {
            output,
            run_id,
            sample: self.sample,
            overhead: self.overhead,
            grant: self.grant,
            stack_depth: self.stack_depth,
            timeline_interval: self.timeline_interval,
            account_interval: self.account_interval,
            forks: Forks::default(),
            only: Only::default(),
            own: self.own,
            preload: None,
        }
    }
}

fn grant(text: &str) -> Result<Grant, String> {
    let time = parse_duration(text).map_err(|error| error.to_string())?;
    Grant::new(time).map_err(|refused| refused.to_string())
}

fn account_interval(text: &str) -> Result<AccountInterval, String> {
    if text == "off" {
        return Ok(AccountInterval::OFF);
    }
    let interval = parse_duration(text).map_err(|error| error.to_string())?;
    AccountInterval::new(interval).map_err(|refused| refused.to_string())
}

fn timeline_interval(text: &str) -> Result<TimelineInterval, String> {
    let interval = parse_duration(text).map_err(|error| error.to_string())?;
    TimelineInterval::new(interval).map_err(|refused| refused.to_string())
}
