//! `memprof ps`: this user's programs that have the recorder.

#[cfg_attr(not(target_os = "linux"), path = "ps/refused.rs")]
mod list;

use std::path::PathBuf;

/// List the running programs that can be recorded, or are
///
/// Those of this user that have the crate or memprof's library: process number, heap in use, and
/// the profile where one is being written. `memprof attach PID` records one that only counts.
#[derive(clap::Args, Debug)]
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "read where the command can run")
)]
pub struct PsArgs {
    /// Write this form
    #[arg(long, value_enum, default_value_t)]
    format: PsFormat,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum PsFormat {
    /// For people
    #[default]
    Text,
    /// For programs; see docs/json.md
    Json,
}

pub use list::run;
