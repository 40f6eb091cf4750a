//! `memprof temporary`: what could be allocated less often.

use std::path::PathBuf;
use std::process::ExitCode;

use super::load::{Input, Output};
use crate::render::TemporaryText;
use crate::report::{Grain, Scope};

/// Lists allocations that lived for a moment, and blocks that grew step by step, by line.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    input: Input,
    /// Lines in a list
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
    /// Stacks shown for each line
    #[arg(long, value_name = "N", default_value_t = 3)]
    stacks: usize,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let stacks = args.input.load()?.stacks(Scope::User, Grain::Line);
    let view = TemporaryText {
        top: args.top,
        stacks: args.stacks,
    };
    Output::to(args.output.as_deref()).write(|out| view.temporary(&stacks, out))
}
