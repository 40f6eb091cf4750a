//! `memprof export`: a profile in the form of another tool.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;

use super::load::{Input, Loaded, Output};
use super::moment::MomentArgs;
use crate::export::{Dhat, Firefox, Folded, Otlp, Pprof, Speedscope, StacksCsv, StacksJson};
use crate::report::{Granularity, Metric, Scope, Split, Timeline};

/// Write a profile in a form that another tool reads.
///
/// Every form holds the whole profile: its values add up to what was allocated, freed and kept in
/// all. docs/exports.md says how each is opened.
#[derive(clap::Args, Debug)]
pub struct ExportArgs {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    moment: MomentArgs,
    /// Write this form
    #[arg(long, value_enum, value_name = "FORM")]
    format: Form,
    /// Write this figure in `folded`; in `pprof`, show it first
    #[arg(long, value_enum, default_value_t)]
    of: Metric,
    /// Write lines too in `folded`, not only functions
    #[arg(long)]
    lines: bool,
    /// Put a frame for each context of this key outermost, such as route, in `folded`,
    /// `speedscope`, `firefox`, `dhat`, `json` and `csv`; `pprof` and `otlp` have labels
    #[arg(long, value_name = "KEY")]
    by: Option<String>,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Form {
    /// go tool pprof, Parca, Pyroscope: gzipped protobuf
    Pprof,
    /// valgrind's dh_view.html
    Dhat,
    /// flamegraph tools: one stack a line
    Folded,
    /// https://www.speedscope.app
    Speedscope,
    /// https://profiler.firefox.com
    Firefox,
    /// Programs; see docs/json.md
    Json,
    /// Spreadsheets and data frames
    Csv,
    /// OpenTelemetry: the profiles signal, as protobuf
    Otlp,
}

pub fn run(mut args: ExportArgs) -> anyhow::Result<ExitCode> {
    args.input = args.input.at(&args.moment);
    let binary = matches!(args.format, Form::Pprof | Form::Otlp);
    let output = Output::to(args.output.as_deref());
    if binary && output.is_stdout() && io::stdout().is_terminal() {
        bail!("this form is not text: name a file for it with -o, or pipe it");
    }
    if args.by.is_some() && binary {
        bail!("this form has all contexts as labels; `--by` is for the others");
    }
    args.of = args.input.metric(args.of)?;
    let loaded = args.input.load_apart(args.by.as_deref())?;
    let key = loaded.key(args.by.as_deref())?.map(str::to_owned);
    output.write_raw(|out| write(&args, key.as_deref(), loaded, out))
}

fn write(
    args: &ExportArgs,
    key: Option<&str>,
    loaded: Loaded,
    out: &mut dyn Write,
) -> io::Result<()> {
    let stacks = |loaded: Loaded| {
        let stacks = match key {
            Some(key) => loaded.split(Split {
                key: Some(key),
                scope: Scope::All,
                ..Split::default()
            }),
            None => loaded.stacks(Scope::All, Granularity::Line),
        };
        stacks.complete()
    };
    match args.format {
        Form::Pprof => Pprof { default: args.of }.export(&loaded.calls(), out),
        Form::Otlp => Otlp.export(&loaded.calls(), out),
        Form::Dhat => Dhat.export(&stacks(loaded), out),
        Form::Folded => Folded {
            metric: args.of,
            lines: args.lines,
        }
        .export(&stacks(loaded), out),
        Form::Speedscope => Speedscope.export(&stacks(loaded), out),
        Form::Firefox => {
            let timeline = Timeline::new(&loaded.profile, Vec::new());
            Firefox {
                timeline: &timeline,
            }
            .export(&stacks(loaded), out)
        }
        Form::Json => StacksJson.export(&stacks(loaded), out),
        Form::Csv => StacksCsv.export(&stacks(loaded), out),
    }
}
