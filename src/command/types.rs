//! `memprof types`: memory by what it is.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use super::load::{Input, Output, terminal_width};
use super::moment::MomentArgs;
use crate::render::{TypesCsv, TypesJson, TypesText};
use crate::report::{Metric, Types};

/// List what blocks are: `Vec<Order>`, `String`, `HashMap<String, Order>`, and which lines made
/// them.
///
/// The type is read off the debug information of the functions that asked for the memory, after
/// the run and at no cost in it. A `~` before a type: only a function that the compiler may have
/// merged with others of the same code names it, so it may be another type with elements of that
/// size.
#[derive(clap::Args, Debug)]
pub struct TypesArgs {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    moment: MomentArgs,
    /// Order the types by this
    #[arg(long, value_enum, default_value_t, value_name = "FIGURE")]
    of: Of,
    /// Show so many types
    #[arg(long, value_name = "N", default_value_t = NonZeroUsize::new(30).expect("not 0"))]
    top: NonZeroUsize,
    /// Show so many lines of each type
    #[arg(long, value_name = "N", default_value_t = 3)]
    lines: usize,
    /// Write this form
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What types are ordered by.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Of {
    /// Bytes in use when the whole heap was highest
    #[default]
    Peak,
    /// Bytes in use at the end
    Live,
    /// Bytes allocated
    Allocated,
    /// Blocks allocated
    Count,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Format {
    /// A table for people
    #[default]
    Text,
    /// For programs; see docs/json.md
    Json,
    /// For spreadsheets, one row for each line of each type
    Csv,
}

impl From<Of> for Metric {
    fn from(of: Of) -> Metric {
        match of {
            Of::Peak => Metric::Peak,
            Of::Live => Metric::Live,
            Of::Allocated => Metric::Allocated,
            Of::Count => Metric::Count,
        }
    }
}

pub fn run(args: TypesArgs) -> anyhow::Result<ExitCode> {
    let input = args.input.at(&args.moment);
    let metric = input.metric(args.of.into())?;
    let mut types = input.load()?.types();
    types.sort(metric);
    let output = Output::to(args.output.as_deref());
    let text = TypesText {
        metric,
        top: args.top.get(),
        lines: args.lines,
        width: output.is_stdout().then(terminal_width).flatten(),
    };
    output.write(|out| match args.format {
        Format::Text => text.types(&types, out),
        Format::Json => TypesJson.types(&types, out),
        Format::Csv => TypesCsv.types(&types, out),
    })
}

impl super::load::Loaded {
    /// Its memory by type. Takes what was found wrong so far.
    pub fn types(&mut self) -> Types {
        self.symbols.add_instances(&self.profile);
        let defects = std::mem::take(&mut self.defects);
        Types::new(&self.profile, &self.symbols, &mut self.sources, defects)
    }
}
