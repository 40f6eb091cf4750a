//! `memprof history`: runs kept in an SQLite file, listed, compared and followed.

#[cfg_attr(not(feature = "history"), path = "history/refused.rs")]
mod kept;

use std::path::PathBuf;

use super::diff::Show;
use super::load::Input;
use crate::profile::ContextPattern;
use crate::report::Metric;

/// Keep runs in an SQLite file, to compare them and to see how a figure develops.
///
/// What is kept is the report with the text of its lines, so profile, program and source may change
/// afterwards. A run is named by its number, a tag, the beginning of its commit, `last`, or
/// `last~1` for the one before.
#[derive(clap::Args, Debug)]
#[cfg_attr(
    not(feature = "history"),
    allow(dead_code, reason = "read where the command can run")
)]
pub struct HistoryArgs {
    /// Keep them in FILE
    #[arg(
        long,
        value_name = "FILE",
        global = true,
        env = "MEMPROF_HISTORY",
        default_value = "memprof-history.sqlite"
    )]
    db: PathBuf,
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
#[cfg_attr(
    not(feature = "history"),
    allow(dead_code, reason = "read where the command can run")
)]
enum Action {
    /// Keep a profile's report
    Save(Save),
    /// List the runs
    List,
    /// Print the line tables of a run
    Show {
        /// Show this run
        run: String,
        /// Show only functions whose name contains NAME
        #[arg(long, value_name = "NAME", conflicts_with = "by")]
        function: Option<String>,
        /// Show what was done in each context of this key instead, such as route
        #[arg(long, value_name = "KEY")]
        by: Option<String>,
    },
    /// Show what changed from one run to another
    Diff {
        /// Compare with this run
        base: String,
        /// Compare this run
        #[arg(default_value = "last")]
        new: String,
        #[command(flatten)]
        show: Show,
    },
    /// Remove runs
    Rm {
        /// Remove these runs
        #[arg(required = true)]
        runs: Vec<String>,
    },
    /// Plot a figure over the runs
    Trend(TrendArgs),
}

#[derive(clap::Args, Debug)]
#[cfg_attr(
    not(feature = "history"),
    allow(dead_code, reason = "read where the command can run")
)]
struct Save {
    #[command(flatten)]
    input: Input,
    /// Find the run by this word later; may be given several times
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Name the commit of the source [default: what git says of this folder]
    #[arg(long)]
    commit: Option<String>,
    /// Keep functions of dependencies and of std too
    #[arg(long)]
    all: bool,
}

#[derive(clap::Args, Debug)]
#[cfg_attr(
    not(feature = "history"),
    allow(dead_code, reason = "read where the command can run")
)]
struct TrendArgs {
    /// Plot this figure
    #[arg(long, value_enum, default_value_t)]
    of: Metric,
    /// Plot it of this context, such as route=/orders, or of none of its key, route=(none)
    #[arg(long, value_name = "KEY=VALUE", conflicts_with_all = ["function", "line"])]
    context: Option<ContextPattern>,
    /// Plot it of this function, instead of the whole program
    #[arg(long, value_name = "NAME", conflicts_with = "line")]
    function: Option<String>,
    /// Plot it of this line; in other runs it is found by its function and its text
    #[arg(long, value_name = "FILE:LINE")]
    line: Option<String>,
    /// Write a picture (SVG) to FILE
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub use kept::act;
