//! `memprof live`: a page over the profile of a running program.

#[cfg_attr(target_family = "wasm", path = "live/refused.rs")]
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use super::load::Lookup;
use crate::report::LiveSort;
use crate::units::parse_duration;

/// Watch the memory of a running program
///
/// A page over its profile, read again every second: heap, rates, the lines that hold and allocate
/// most, and their source. The program is left alone: only its profile is read. Keys: l, r, a, p
/// sort by live, rate, allocated, at peak; arrows choose a line, Enter shows its source; / filters;
/// space pauses; d shows losses and notes; q quits.
#[derive(clap::Args, Debug)]
#[cfg_attr(
    target_family = "wasm",
    allow(dead_code, reason = "read where the command can run")
)]
pub struct LiveArgs {
    /// Watch this profile, or the process of this number [default: the newest *.memprof in this
    /// folder]
    #[arg(value_name = "FILE|PID")]
    what: Option<PathBuf>,
    #[command(flatten)]
    lookup: Lookup,
    /// Wait DURATION between two readings
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_duration)]
    interval: Duration,
    /// Order the lines by this at first
    #[arg(long, value_enum, default_value_t)]
    sort: LiveSort,
    /// Print one reading, with rates over one interval, and end
    #[arg(long)]
    once: bool,
    /// Show at most N lines with --once
    #[arg(long, value_name = "N", default_value_t = 20, requires = "once")]
    top: usize,
}

pub use watch::run;
