//! `memprof leaks`: what looks like a leak.

use std::path::PathBuf;
use std::process::ExitCode;

use super::load::{Input, Listed, Output, terminal_width};
use super::moment::MomentArgs;
use crate::render::{LeaksCsv, LeaksJson, LeaksText};

/// List what is live at the end, by line and stack, what looks most like a leak first.
#[derive(clap::Args, Debug)]
pub struct LeaksArgs {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    moment: MomentArgs,
    #[command(flatten)]
    listed: Listed,
    /// Show at most N lines in each list
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
    /// Show at most N stacks of each line
    #[arg(long, value_name = "N", default_value_t = 3)]
    stacks: usize,
    /// Show the lines of each context of this key apart, such as route, what looks most like a leak
    /// first; at most N contexts as well
    #[arg(long, value_name = "KEY")]
    by: Option<String>,
    /// Write this form
    #[arg(long, value_enum, default_value_t)]
    format: LeaksFormat,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum LeaksFormat {
    /// For people
    #[default]
    Text,
    /// For programs; see docs/json.md
    Json,
    /// For spreadsheets: a row for each line
    Csv,
}

pub fn run(args: LeaksArgs) -> anyhow::Result<ExitCode> {
    let input = args.input.at(&args.moment);
    let (stacks, mut by) = args.listed.stacks(&input, args.by.as_deref())?;
    if let Some(by) = &mut by {
        by.sort_by_leak();
    }
    let text = LeaksText {
        top: args.top,
        stacks: args.stacks,
        width: args.output.is_none().then(terminal_width).flatten(),
    };
    Output::to(args.output.as_deref()).write(|out| match (args.format, &by) {
        (LeaksFormat::Text, None) => text.leaks(&stacks, out),
        (LeaksFormat::Text, Some(by)) => text.by_context(&stacks, by, out),
        (LeaksFormat::Json, by) => LeaksJson.leaks(&stacks, by.as_ref(), out),
        (LeaksFormat::Csv, by) => LeaksCsv.leaks(&stacks, by.as_ref(), out),
    })
}
