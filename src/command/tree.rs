//! `memprof tree`: stacks as a tree in text.

use std::path::PathBuf;
use std::process::ExitCode;

use super::load::{Input, Output, StackArgs, terminal_width};
use super::moment::MomentArgs;
use crate::render::TreeText;
use crate::report::Limits;

/// Print the stacks as a tree: callers and what they call, or with `--inverted` functions and who
/// calls them.
#[derive(clap::Args, Debug)]
pub struct TreeArgs {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    moment: MomentArgs,
    #[command(flatten)]
    stacks: StackArgs,
    /// Leave out what is below this share of the whole, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0, value_parser = percent)]
    min: f64,
    /// Show at most N frames below each other
    #[arg(long, value_name = "N", default_value_t = 100)]
    depth: usize,
    /// Show at most N lines, largest first
    #[arg(long, value_name = "N", default_value_t = 1000)]
    top: usize,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

fn percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').trim().parse() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err("write a number from 0 to 100, such as 1 or 0.1".to_owned()),
    }
}

pub fn run(args: TreeArgs) -> anyhow::Result<ExitCode> {
    let limits = Limits {
        min_share: args.min / 100.0,
        nodes: args.top.saturating_add(1),
        depth: args.depth,
    };
    let input = args.input.at(&args.moment);
    let (stacks, tree) = args.stacks.tree(&input, limits)?;
    let output = Output::to(args.output.as_deref());
    let width = output.is_stdout().then(terminal_width).flatten();
    output.write(|out| TreeText { width }.tree(&stacks, &tree, out))
}
