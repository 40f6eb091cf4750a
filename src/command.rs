//! The command line: which subcommand, with which options; the only place that prints errors and chooses exit codes.

mod choices;
mod completions;
mod diff;
mod export;
mod flamegraph;
mod history;
mod leaks;
mod live;
mod load;
mod output;
mod push;
mod report;
mod revision;
mod run;
mod serve;
mod summary;
mod temporary;
mod timeline;
mod tree;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

/// A line-level memory profiler for Rust: how much memory every source line took and gave back.
///
/// Register the allocator of the crate profiler-alloc in a program, run it under `memprof run`, and read the profile with the
/// other commands. A profile is a file, current at every moment: it can be read while the program runs, and after a crash.
#[derive(Parser, Debug)]
#[command(name = "memprof", version, about, after_long_help = MANUAL)]
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
    Export(export::Args),
    History(history::Args),
    Serve(serve::Args),
    Push(push::Args),
    Completions(completions::Completions),
    Manpages(completions::Manpages),
}

/// What stands below the list of commands.
const MANUAL: &str = "\
First steps:
  memprof run -- cargo run --release    record a program, and every program it starts
  memprof report                        line tables of the newest profile in this folder
  memprof summary                       totals, peak, what is live, losses

Compare and keep:
  memprof diff old.memprof new.memprof --fail-over 5%
  memprof history save --tag main       then: memprof history diff last~1, memprof history trend

Other tools:
  memprof export --to pprof -o heap.pb.gz && go tool pprof -top heap.pb.gz
  memprof serve app.1234.memprof        go tool pprof http://127.0.0.1:6060/debug/pprof/heap

Sizes:
  are written and read in binary units: 64KiB, 1.5MiB, 2GiB; K, KB and KiB all mean 1024 bytes.

Environment:
  NO_COLOR, CLICOLOR, CLICOLOR_FORCE    whether text is coloured; on a terminal it is
  MEMPROF_HISTORY                       file of `memprof history`

Exit codes:
  0 if all went well, 1 if `diff --fail-over` found growth, 2 for an error; `memprof run` exits as its program did.

Every command has a page of its own: memprof help report";

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
        Memprof::Export(args) => export::run(args),
        Memprof::History(args) => history::run(args),
        Memprof::Serve(args) => serve::run(args),
        Memprof::Push(args) => push::run(args),
        Memprof::Completions(args) => completions::completions(args, Memprof::command()),
        Memprof::Manpages(args) => completions::manpages(args, Memprof::command()),
    };
    result.unwrap_or_else(|error| {
        // Nobody may be there to read it; the exit code says enough then.
        let _ = writeln!(io::stderr(), "memprof: {error:#}");
        ExitCode::from(2)
    })
}
