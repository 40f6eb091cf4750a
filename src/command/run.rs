//! `memprof run`: runs a program with its recorder on, and says what was recorded.

#[cfg_attr(not(target_os = "linux"), path = "run/refused.rs")]
mod record;

use std::ffi::OsString;
use std::num::NonZeroUsize;

use profiler_alloc_format::env::Only;

use super::recording::RecordingArgs;
use crate::units::parse_size;

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
    #[command(flatten)]
    recording: RecordingArgs,

    /// Record only programs that have the crate. So it is for `cargo`, unless --preload is given
    #[arg(long, conflicts_with = "preload")]
    no_preload: bool,

    /// Load memprof's library into a program that has the crate too, for what its C libraries
    /// allocate, and into `cargo` and all that it starts
    #[arg(long)]
    preload: bool,

    /// Record no child that is forked and goes on without executing a program
    #[arg(long)]
    no_fork: bool,

    /// Record `all` programs, or only the `tests` that nextest runs, as is done of `cargo nextest`
    /// unless this is given
    #[arg(long, value_name = "all|tests")]
    only: Option<Only>,

    /// Keep only the N profiles with most memory, of many that the run leaves
    #[arg(long, value_name = "N")]
    keep: Option<NonZeroUsize>,

    /// Keep only profiles with a peak of SIZE at least, not those of a shell or of `env`
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    min_peak: Option<u64>,

    /// Merge the profiles of the run into one, and keep that alone
    #[arg(long)]
    merge: bool,

    /// Print the report as soon as the program has ended
    #[arg(long)]
    report: bool,

    /// Run this program with these arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "PROGRAM")]
    command: Vec<OsString>,
}

pub use record::run;
