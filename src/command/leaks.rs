//! `memprof leaks`: what looks like a leak.

use std::path::PathBuf;
use std::process::ExitCode;

use super::load::{Input, Listed, Output, terminal_width};
use crate::render::LeaksText;

/// List what is live at the end, by line and stack, what looks most like a leak first.
#[derive(clap::Args, Debug)]
pub struct LeaksArgs {
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
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn run(args: LeaksArgs) -> anyhow::Result<ExitCode> {
    let stacks = args.listed.stacks(&args.input)?;
    let view = LeaksText {
        top: args.top,
        stacks: args.stacks,
        width: args.output.is_none().then(terminal_width).flatten(),
    };
    Output::to(args.output.as_deref()).write(|out| view.leaks(&stacks, out))
}
