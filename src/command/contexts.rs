//! `memprof contexts`: for whom the memory is.

use std::path::PathBuf;
use std::process::ExitCode;

use super::load::{Input, Output};
use super::moment::MomentArgs;
use crate::render::{ContextsCsv, ContextsText, Json};
use crate::report::{Asked, ContextsReport, Metric, Scope};

/// List for whom memory was allocated and kept: routes, tenants, tasks, as the program names them.
#[derive(clap::Args, Debug)]
pub struct ContextsArgs {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    moment: MomentArgs,
    /// Show only this key, such as route
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Order by this figure
    #[arg(long, value_enum, default_value_t, value_name = "FIGURE")]
    of: Metric,
    /// Show so many contexts of each key
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
    /// Show so many lines of each context
    #[arg(long, value_name = "N", default_value_t = 2)]
    lines: usize,
    /// Show lines of dependencies and of std too
    #[arg(long)]
    all: bool,
    /// Write this form
    #[arg(long, value_enum, default_value_t)]
    format: ContextsFormat,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum ContextsFormat {
    /// For people
    #[default]
    Text,
    /// For programs; see docs/json.md
    Json,
    /// For spreadsheets: a row for each context
    Csv,
}

pub fn run(args: ContextsArgs) -> anyhow::Result<ExitCode> {
    let input = args.input.at(&args.moment);
    let metric = input.metric(args.of)?;
    let mut loaded = input.load()?;
    if let Some(key) = &args.key {
        loaded.profile.check_key(key)?;
    }
    let ask = Asked {
        key: args.key.as_deref(),
        metric,
        looked_into: args.top,
        lines: args.lines,
        scope: if args.all { Scope::All } else { Scope::User },
    };
    let report = ContextsReport::new(
        &loaded.profile,
        &loaded.symbols,
        &mut loaded.sources,
        &ask,
        loaded.defects,
    );
    let text = ContextsText {
        top: args.top,
        metric,
    };
    Output::to(args.output.as_deref()).write(|out| match args.format {
        ContextsFormat::Text => text.contexts(&report, out),
        ContextsFormat::Json => Json.contexts(&report, out),
        ContextsFormat::Csv => ContextsCsv.contexts(&report, out),
    })
}
