//! The command line: which subcommand, with which options; the only place that prints errors and
//! chooses exit codes.

#[cfg(target_os = "linux")]
mod asked;
mod attach;
mod choices;
mod clean;
mod completions;
mod contexts;
mod diff;
mod export;
mod flamegraph;
mod history;
mod leaks;
mod live;
mod load;
mod many;
mod mark;
mod merge;
mod moment;
mod output;
mod processes;
mod ps;
mod push;
mod recording;
mod report;
mod revision;
mod rss;
mod run;
mod serve;
mod spelling;
mod summary;
mod temporary;
mod timeline;
mod tree;
mod types;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser};

/// A line-level memory profiler for Rust: how much memory every source line took and gave back.
///
/// Run a program under `memprof run`, and read its profile with the other commands. A profile is a
/// file that is current at every moment: it can be read while the program runs, and after a crash.
#[derive(Parser, Debug)]
#[command(name = "memprof", version, about, after_long_help = MANUAL)]
struct Memprof {
    /// Colour text: `auto` (on a terminal that wants it), `always` or `never`
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        hide_possible_values = true
    )]
    color: Color,
    #[command(subcommand)]
    task: Task,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(clap::Subcommand, Debug)]
enum Task {
    Run(run::RunArgs),
    Attach(attach::AttachArgs),
    Mark(mark::MarkArgs),
    Ps(ps::PsArgs),
    Report(report::ReportArgs),
    Summary(summary::SummaryArgs),
    Diff(diff::DiffArgs),
    Merge(merge::MergeArgs),
    #[command(visible_alias = "tests")]
    Processes(processes::ProcessesArgs),
    Live(live::LiveArgs),
    Tree(tree::TreeArgs),
    Flamegraph(flamegraph::FlamegraphArgs),
    Timeline(timeline::TimelineArgs),
    Rss(rss::RssArgs),
    Leaks(leaks::LeaksArgs),
    Temporary(temporary::TemporaryArgs),
    Contexts(contexts::ContextsArgs),
    Types(types::TypesArgs),
    Export(export::ExportArgs),
    History(history::HistoryArgs),
    Clean(clean::CleanArgs),
    Serve(serve::ServeArgs),
    Push(push::PushArgs),
    Completions(completions::Completions),
    Manpages(completions::Manpages),
}

/// What stands below the list of commands.
const MANUAL: &str = "\
First steps:
  memprof run -- cargo run --release    record a program, and every program it starts
  memprof report                        line tables of the newest profile in this folder
  memprof summary                       totals, peak, what is live, losses

A program that runs already, and has the crate:
  memprof ps                            which there are
  memprof attach 1234 --for 60s         record it for a minute
  memprof mark 1234 warm                then: memprof leaks --since warm

Many processes, as of a test suite, a server with workers, a pipeline:
  memprof run -- cargo nextest run      then: memprof tests --run 1, a line for each test
  memprof report --run 1                all profiles of the last run as one; or: report *.memprof
  memprof merge --run 1 -o all.memprof  keep them in one file

Compare and keep:
  memprof diff old.memprof new.memprof --fail-over 5%
  memprof diff app.memprof@warm app.memprof@end
  memprof history save --tag main       then: memprof history diff last~1, memprof history trend

Other tools:
  memprof export --format pprof -o heap.pb.gz && go tool pprof -top heap.pb.gz
  memprof serve app.1234.memprof        go tool pprof http://127.0.0.1:6060/debug/pprof/heap

Sizes:
  are written and read in binary units: 64KiB, 1.5MiB, 2GiB; K, KB and KiB all mean 1024 bytes.

Environment:
  NO_COLOR, CLICOLOR, CLICOLOR_FORCE    whether text is coloured, for `--color auto`
  MEMPROF_HISTORY                       file of `memprof history`

Exit codes:
  0 if all went well, 1 if `diff --fail-over` found growth, 2 for an error. `memprof run` exits
  with the code of its program, or with 128 plus the number of the signal that killed it; with 127
  if the program was not found, with 126 if it may not be run.

Every command has a page of its own: memprof help report";

/// Runs the command and gives the process's exit code: 0, that of the program run, or 2 for an
/// error of ours.
pub fn main() -> ExitCode {
    let (arguments, notes) = spelling::renewed(&definition(), std::env::args_os().collect());
    let matches = definition().get_matches_from(arguments);
    let memprof = match Memprof::from_arg_matches(&matches) {
        Ok(memprof) => memprof,
        Err(error) => error.exit(),
    };
    for note in notes {
        let _ = writeln!(io::stderr(), "memprof: {note}");
    }
    match memprof.color {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
    let result = match memprof.task {
        Task::Run(args) => run::run(args),
        Task::Attach(args) => attach::run(args),
        Task::Mark(args) => mark::run(args),
        Task::Ps(args) => ps::run(args),
        Task::Report(args) => report::run(args),
        Task::Summary(args) => summary::run(args),
        Task::Diff(args) => diff::run(args),
        Task::Merge(args) => merge::run(args),
        Task::Processes(args) => processes::run(args),
        Task::Live(args) => live::run(args),
        Task::Tree(args) => tree::run(args),
        Task::Flamegraph(args) => flamegraph::run(args),
        Task::Timeline(args) => timeline::run(args),
        Task::Rss(args) => rss::run(args),
        Task::Leaks(args) => leaks::run(args),
        Task::Temporary(args) => temporary::run(args),
        Task::Contexts(args) => contexts::run(args),
        Task::Types(args) => types::run(args),
        Task::Export(args) => export::run(args),
        Task::History(args) => history::act(args),
        Task::Clean(args) => clean::run(args),
        Task::Serve(args) => serve::run(args),
        Task::Push(args) => push::run(args),
        Task::Completions(args) => completions::completions(args, definition()),
        Task::Manpages(args) => completions::manpages(args, definition()),
    };
    result.unwrap_or_else(|error| {
        // Nobody may be there to read it; the exit code says enough then.
        let _ = writeln!(io::stderr(), "memprof: {error:#}");
        ExitCode::from(2)
    })
}

/// The definition of the command line, each command with what its exit codes mean.
fn definition() -> clap::Command {
    with_exit_codes(Memprof::command())
}

fn with_exit_codes(command: clap::Command) -> clap::Command {
    command.mut_subcommands(|command| {
        let codes = match command.get_name() {
            "run" => {
                "that of the program; 128 and the number of the signal that killed it; 127 if it was not found, 126 if it may \
                 not be run; 2 for an error of memprof's own"
            }
            "diff" => {
                "0 if all went well; 1 if something grew by more than --fail-over allows; 2 for an error"
            }
            _ => "0 if all went well; 2 for an error",
        };
        with_exit_codes(command.after_long_help(format!("Exit codes: {codes}.")))
    })
}
