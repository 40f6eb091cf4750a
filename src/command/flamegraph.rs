//! `memprof flamegraph`: stacks as a picture for the browser.

use std::path::PathBuf;
use std::process::ExitCode;

use super::load::{Input, Output, StackArgs};
use crate::render::Flamegraph;
use crate::report::Limits;

/// Below this share of the whole, a frame is too narrow to see.
const LEAST_SHARE: f64 = 0.0003;

/// Draws the stacks as a flamegraph (SVG), to be opened in a browser.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    stacks: StackArgs,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let limits = Limits {
        least_share: LEAST_SHARE,
        ..Limits::default()
    };
    let (stacks, tree) = args.stacks.tree(&args.input, limits)?;
    Output::to(args.output.as_deref()).write_raw(|out| Flamegraph.svg(&stacks, &tree, out))
}
