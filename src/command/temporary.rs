//! `memprof temporary`: what could be allocated less often.

use std::path::PathBuf;
use std::process::ExitCode;

use super::load::{Input, Listed, Output, terminal_width};
use crate::render::TemporaryText;
use crate::report::Metric;

/// List allocations that lived for a moment, and blocks that grew step by step, by line.
#[derive(clap::Args, Debug)]
pub struct TemporaryArgs {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    listed: Listed,
    /// Show at most N lines in each list
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
    /// Show at most N stacks of each line
    #[arg(long, value_name = "N", default_value_t = 3)]
    stacks: usize,
    /// Show the lines of each context of this key apart, such as route, most bytes first; at most N
    /// contexts as well
    #[arg(long, value_name = "KEY")]
    by: Option<String>,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn run(args: TemporaryArgs) -> anyhow::Result<ExitCode> {
    let (stacks, mut by) = args.listed.stacks(&args.input, args.by.as_deref())?;
    if let Some(by) = &mut by {
        by.sort_by(&[Metric::Temporary, Metric::Reallocated]);
    }
    let view = TemporaryText {
        top: args.top,
        stacks: args.stacks,
        width: args.output.is_none().then(terminal_width).flatten(),
    };
    Output::to(args.output.as_deref()).write(|out| match &by {
        None => view.temporary(&stacks, out),
        Some(by) => view.by_context(&stacks, by, out),
    })
}
