//! `memprof summary`: a profile at a glance.

use std::path::PathBuf;
use std::process::ExitCode;

use super::load::{Input, Listed, Output};
use super::moment::MomentArgs;
use crate::render::{Json, SummaryText};
use crate::report::Summary;

/// Print totals, peak, the lines that matter most, sizes, threads and losses.
#[derive(clap::Args, Debug)]
pub struct SummaryArgs {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    moment: MomentArgs,
    #[command(flatten)]
    listed: Listed,
    /// Show at most N lines in each list
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    /// Write this form
    #[arg(long, value_enum, default_value_t)]
    format: SummaryFormat,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum SummaryFormat {
    /// For people
    #[default]
    Text,
    /// For programs; see docs/json.md
    Json,
}

pub fn run(args: SummaryArgs) -> anyhow::Result<ExitCode> {
    let mut loaded = args.input.at(&args.moment).load()?;
    let mut summary = Summary::of_scope(
        &loaded.profile,
        &loaded.symbols,
        &mut loaded.sources,
        args.listed.scope(),
        loaded.defects,
    );
    summary.select(&args.listed.filter())?;
    Output::to(args.output.as_deref()).write(|out| match args.format {
        SummaryFormat::Text => SummaryText { top: args.top }.summary(&summary, out),
        SummaryFormat::Json => Json.summary(&summary, out),
    })
}
