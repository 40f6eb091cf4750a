//! `memprof report`: the line tables of a profile.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;

use super::load::{Input, Output, terminal_width};
use super::moment::MomentArgs;
use crate::render::{Column, Csv, Html, Json, Renderer, Text};
use crate::report::{
    ContextTables, ContextViews, Extent, Granularity, Lines, Metric, MomentStacks, Report, Scope,
    Selection, Sort, Stacks, Timeline,
};
use crate::source::Sources;

/// Contexts that can be chosen on a page at most.
const CONTEXTS_OF_PAGE: usize = 60;

/// Print how much memory every source line took and gave back.
#[derive(clap::Args, Debug)]
pub struct ReportArgs {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    moment: MomentArgs,
    /// Show only functions whose name contains NAME
    #[arg(long, value_name = "NAME")]
    function: Option<String>,
    /// Show only functions of source files whose path contains PATH
    #[arg(long, value_name = "PATH")]
    source_file: Option<String>,
    /// Show only the first N functions
    #[arg(long, value_name = "N")]
    top: Option<NonZeroUsize>,
    /// Show functions of dependencies and of std too
    #[arg(long)]
    all: bool,
    /// Show the tables of functions with #[profile], which are exact and need no debug info
    #[arg(long, conflicts_with_all = ["all", "heap", "at", "since"])]
    exact: bool,
    /// Show a group of tables for each context of this key, such as route, most memory first
    #[arg(long, value_name = "KEY", conflicts_with = "exact")]
    by: Option<String>,
    /// Show all functions, and with --by all contexts, not only those that hold 99 % of the peak
    /// and of the bytes allocated
    #[arg(long)]
    all_functions: bool,
    /// Show these lines of a function [default: context in text, all elsewhere and with --exact]
    #[arg(long, value_enum)]
    lines: Option<Lines>,
    /// Show more columns: allocated, freed, live, peak, count, temporary, reallocated, occurrences
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    columns: Vec<Column>,
    /// Order the functions by this
    #[arg(long, value_enum, default_value_t)]
    sort: Sort,
    /// Show N decimal places of MiB
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=9))]
    precision: u8,
    /// Write this form
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl From<PathBuf> for ReportArgs {
    /// The report of one profile, everything else as by default.
    fn from(file: PathBuf) -> ReportArgs {
        ReportArgs {
            input: Input::of(file),
            moment: MomentArgs::default(),
            function: None,
            source_file: None,
            top: None,
            all: false,
            exact: false,
            by: None,
            all_functions: false,
            lines: None,
            columns: Vec::new(),
            sort: Sort::default(),
            precision: 1,
            format: ReportFormat::default(),
            output: None,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum ReportFormat {
    /// Tables for people
    #[default]
    Text,
    /// For programs; see docs/json.md
    Json,
    /// For spreadsheets
    Csv,
    /// A page for the browser: source, functions, stacks, timeline
    Html,
}

pub fn run(mut args: ReportArgs) -> anyhow::Result<ExitCode> {
    args.input = args.input.at(&args.moment);
    let output = Output::to(args.output.as_deref());
    // Exact tables need no debug info, so none is looked up for them.
    let mut loaded = match args.exact {
        true => None,
        false => Some(args.input.load_apart(args.by.as_deref())?),
    };
    let key = match &loaded {
        Some(loaded) => loaded.key(args.by.as_deref())?.map(str::to_owned),
        None => None,
    };
    if let Some((key, loaded)) = key.as_ref().zip(loaded.as_mut()) {
        let Some(renderer) = args.renderer(&output) else {
            bail!(
                "on the page, contexts are chosen, and one heap is shown; leave `--by` and `--heap all` out, or choose \
                 `--format text`, json or csv"
            );
        };
        let mut tables = ContextTables::new(
            &loaded.profile,
            &loaded.symbols,
            &mut loaded.sources,
            (args.scope(), key),
            std::mem::take(&mut loaded.defects),
        );
        tables.select(&args.selection())?;
        return output.write(|out| renderer.by_context(&tables, out));
    }
    let mut report = match &mut loaded {
        None => {
            let (profile, defects) = args.input.read()?;
            let program = profile.modules.first().map(|module| module.path.clone());
            let places = args.input.lookup.places()?;
            let mut sources = Sources::new(places.of_program(&program.unwrap_or_default()));
            Report::exact(&profile, &mut sources, defects)
        }
        Some(loaded) => Report::new(
            &loaded.profile,
            &loaded.symbols,
            &mut loaded.sources,
            args.scope(),
            std::mem::take(&mut loaded.defects),
        ),
    };
    report.select(&args.selection())?;
    let Some(renderer) = args.renderer(&output) else {
        let Some(mut loaded) = loaded else {
            bail!(
                "the page is made of stacks, which exact tables have none of; choose `--format text`, json or csv"
            );
        };
        let defects = report.defects.clone();
        let timeline = Timeline::new(&loaded.profile, Vec::new());
        let stacks = Stacks::new(
            &loaded.profile,
            &loaded.symbols,
            &mut loaded.sources,
            defects,
        );
        let stacks = stacks.restricted(Scope::User, Granularity::Line);
        // Of a page of one moment, others cannot be chosen.
        let moments = match loaded.profile.shown {
            Some(_) => None,
            None => Some(MomentStacks::new(&loaded.profile, &stacks)),
        };
        let mut types = loaded.types();
        types.sort(Metric::Peak);
        let contexts = ContextViews::new(
            &loaded.profile,
            &loaded.symbols,
            &mut loaded.sources,
            CONTEXTS_OF_PAGE,
        );
        let page = Html {
            types: types.has_names.then_some(&types),
            contexts: Some(&contexts),
            moments: moments.as_ref(),
            ..Html::default()
        };
        return output.write_raw(|out| page.page(&report, &stacks, &timeline, out));
    };
    output.write(|out| renderer.report(&report, out))
}

impl ReportArgs {
    /// Whose functions.
    fn scope(&self) -> Scope {
        if self.all { Scope::All } else { Scope::User }
    }

    /// Which of them, and in which order.
    fn selection(&self) -> Selection {
        Selection {
            function: self.function.clone(),
            file: self.source_file.clone(),
            top: self.top.map(NonZeroUsize::get),
            sort: self.sort,
            // Programs get everything, and choose for themselves.
            extent: match self.format {
                ReportFormat::Text if !self.exact && !self.all_functions => Extent::WhatMatters,
                _ => Extent::All,
            },
            lines: self.lines.unwrap_or(match self.format {
                ReportFormat::Text if !self.exact => Lines::Context,
                _ => Lines::All,
            }),
        }
    }

    /// What writes the form that is asked for; `None` for the page.
    fn renderer(&self, output: &Output) -> Option<Box<dyn Renderer>> {
        Some(match self.format {
            ReportFormat::Text => Box::new(Text {
                columns: self.columns.clone(),
                precision: usize::from(self.precision),
                width: output.is_stdout().then(terminal_width).flatten(),
            }),
            ReportFormat::Json => Box::new(Json),
            ReportFormat::Csv => Box::new(Csv),
            ReportFormat::Html => return None,
        })
    }
}
