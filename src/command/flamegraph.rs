//! `memprof flamegraph`: stacks as a picture for the browser.

use std::path::PathBuf;
use std::process::ExitCode;

use super::load::{Input, Lookup, Output, StackArgs};
use super::moment::{self, MomentArgs};
use crate::profile::{self, View};
use crate::render::{Base, Flamegraph};
use crate::report::Limits;

/// Below this share of the whole, a frame is too narrow to see.
const MIN_SHARE: f64 = 0.0003;

/// Draw the stacks as a flamegraph (SVG), to be opened in a browser.
///
/// With --base, frames are as wide as in FILE, red where it has more than BASE and blue where it
/// has less; what only BASE has counts in the frame above it. Where lines moved in between,
/// `--by function` compares the functions as a whole.
#[derive(clap::Args, Debug)]
pub struct FlamegraphArgs {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    moment: MomentArgs,
    #[command(flatten)]
    stacks: StackArgs,
    /// Compare with the profile BASE, or a moment of it: app.memprof@warm
    #[arg(long, value_name = "BASE")]
    base: Option<PathBuf>,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn run(args: FlamegraphArgs) -> anyhow::Result<ExitCode> {
    let limits = Limits {
        min_share: MIN_SHARE,
        ..Limits::default()
    };
    let input = args.input.at(&args.moment);
    let (stacks, tree) = args.stacks.tree(&input, limits)?;
    let base = match &args.base {
        None => None,
        Some(base) => {
            let whole = Limits {
                min_share: 0.0,
                nodes: usize::MAX,
                depth: usize::MAX,
            };
            let lookup = Lookup {
                view: View::default(),
                ..input.lookup
            };
            let (path, view) = moment::split(base, &lookup.view)?;
            let read = (profile::read(&path)?, view);
            Some(args.stacks.tree_of(read, &lookup, whole)?)
        }
    };
    Output::to(args.output.as_deref()).write_raw(|out| match &base {
        None => Flamegraph.svg(&stacks, &tree, out),
        Some((base_stacks, base_tree)) => {
            let base = Base {
                stacks: base_stacks,
                tree: base_tree,
            };
            Flamegraph.svg_with_base((&stacks, &tree), base, out)
        }
    })
}
