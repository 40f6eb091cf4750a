//! `memprof clean`: removes the profiles of a folder.

#[cfg_attr(not(target_os = "linux"), path = "clean/refused.rs")]
mod remove;

use std::path::PathBuf;

/// Remove the profiles of a folder whose processes have ended
///
/// Removed are files called *.memprof that a recorder wrote there, told by what stands in them.
/// Profiles of processes that run stay, and so do copies and merged profiles, which somebody made
/// on purpose, and the last runs, if --keep-runs says so. Nothing below the folder is looked at.
#[derive(clap::Args, Debug)]
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "read where the command can run")
)]
pub struct CleanArgs {
    /// Look in this folder [default: the current one]
    folder: Option<PathBuf>,
    /// Keep the profiles of the last N runs
    #[arg(long, value_name = "N", default_value_t = 0)]
    keep_runs: usize,
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
}

pub use remove::run;
