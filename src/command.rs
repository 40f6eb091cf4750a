//! The command line: which subcommand, with which options; the only place that prints errors and chooses exit codes.

mod diff;
mod flamegraph;
mod leaks;
mod live;
mod load;
mod output;
mod report;
mod revision;
mod run;
mod summary;
mod temporary;
mod timeline;
mod tree;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

/// A line-level memory profiler for Rust.
#[derive(Parser, Debug)]
#[command(name = "memprof", version, about)]
enum Memprof {
    Run(run::Args),
    Report(report::Args),
    Summary(summary::Args),
    Diff(diff::Args),
    Live(live::Args),
    Tree(tree::Args),
    Flamegraph(flamegraph::Args),
    Timeline(timeline::Args),
    Leaks(leaks::Args),
    Temporary(temporary::Args),
}

/// Runs the command and gives the process's exit code: 0, that of the program run, or 2 for an error of ours.
pub fn main() -> ExitCode {
    let result = match Memprof::parse() {
        Memprof::Run(args) => run::run(args),
        Memprof::Report(args) => report::run(args),
        Memprof::Summary(args) => summary::run(args),
        Memprof::Diff(args) => diff::run(args),
        Memprof::Live(args) => live::run(args),
        Memprof::Tree(args) => tree::run(args),
        Memprof::Flamegraph(args) => flamegraph::run(args),
        Memprof::Timeline(args) => timeline::run(args),
        Memprof::Leaks(args) => leaks::run(args),
        Memprof::Temporary(args) => temporary::run(args),
    };
    result.unwrap_or_else(|error| {
        // Nobody may be there to read it; the exit code says enough then.
        let _ = writeln!(io::stderr(), "memprof: {error:#}");
        ExitCode::from(2)
    })
}
