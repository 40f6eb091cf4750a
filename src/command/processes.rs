//! `memprof processes`, also called `tests`: what each test or process of a run took.

use std::path::PathBuf;
use std::process::ExitCode;

use super::diff;
use super::load::{Input, Output};
use super::many;
use crate::render::{ProcessesCsv, ProcessesJson, ProcessesMarkdown, ProcessesText};
use crate::report::{ProcessSort, Processes};

/// Rows of text.
const ROWS: usize = 30;

/// List what each test or process of a run took: peak, allocated, live at the end
///
/// Under nextest each test is a process of its own, and has a line: `memprof run -- cargo nextest
/// run`, then `memprof tests --run 1`. Processes that only list tests are left out; of tests that
/// were tried again, the last attempt counts. Without a test runner, each process has a line.
///
/// With --base, changes against an earlier run, and the lines that grew: `memprof merge -o
/// main.memprof --run 1` keeps a run for that. `--format markdown` is short enough for a comment on
/// a pull request.
#[derive(clap::Args, Debug)]
pub struct ProcessesArgs {
    #[command(flatten)]
    input: Input,
    /// Compare with this profile of an earlier run, merged from all of its own; may be given
    /// several times
    #[arg(long, value_name = "BASE")]
    base: Vec<PathBuf>,
    /// Show processes of no test too
    #[arg(long)]
    all: bool,
    /// Order by this, highest first; with --base by how much it grew
    #[arg(long, value_enum, default_value_t)]
    sort: ProcessSort,
    /// Show at most N rows [default: 30 in text, 25 in markdown, all in json and csv]
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Write this form
    #[arg(long, value_enum, default_value_t)]
    format: ProcessesFormat,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
enum ProcessesFormat {
    /// For people
    #[default]
    Text,
    /// For a comment on a pull request, below 60 lines
    Markdown,
    /// For programs; see docs/json.md
    Json,
    /// For spreadsheets: a row for each test
    Csv,
}

pub fn run(args: ProcessesArgs) -> anyhow::Result<ExitCode> {
    let read = many::merge(&args.input.paths()?)?.finish();
    let mut processes = Processes::new(&read.0, args.all, read.1.clone());
    if !args.base.is_empty() {
        let base = many::merge(&args.base)?.finish();
        let in_base = Processes::new(&base.0, args.all, Vec::new());
        let diff = diff::of_profiles(base, read, &args.input.lookup)?;
        processes.compare(&in_base, &diff);
    }
    processes.sort(args.sort);
    if matches!(args.format, ProcessesFormat::Json | ProcessesFormat::Csv) {
        processes.rows.truncate(args.top.unwrap_or(usize::MAX));
    }
    Output::to(args.output.as_deref()).write(|out| match args.format {
        ProcessesFormat::Text => {
            let top = args.top.unwrap_or(ROWS);
            ProcessesText { top }.processes(&processes, out)
        }
        ProcessesFormat::Markdown => {
            let top = args.top.unwrap_or(ProcessesMarkdown::ROWS);
            ProcessesMarkdown { top }.processes(&processes, out)
        }
        ProcessesFormat::Json => ProcessesJson.processes(&processes, out),
        ProcessesFormat::Csv => ProcessesCsv.processes(&processes, out),
    })
}
