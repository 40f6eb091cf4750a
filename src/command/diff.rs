//! `memprof diff`: what changed from one profile to another.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;

use super::load::{self, Loaded, Lookup, Output, Own};
use super::moment;
use super::revision::Revision;
use crate::defect::Defect;
use crate::profile::{ContextPattern, HeapChoice, Profile, View};
use crate::render::{DiffHtml, DiffJson, DiffText};
use crate::report::diff::{Diff, Grown, Limit, PartChanges, context_figures, type_figures};
use crate::report::{Metric, Report, Scope, Selection, edited_files};
use crate::source::{PathMap, Places};

/// Something grew by more than was allowed.
const GROWN: u8 = 1;

/// Show what changed from one profile to another, function by function and line by line.
///
/// A function is the same if its name with its arguments is, and its path below the folder of the
/// package; of several with one name, those with the same text or in the same order. Lines that
/// moved in the source are matched by their text, functions that were renamed by theirs. The source
/// of BASE is looked for where it is now. Functions of files that were edited since are told by the
/// debug information, and their lines by how far they moved; for their text, name the revision that
/// BASE was built from: --base-rev main.
///
/// A page with both versions of every line: `--format html -o FILE`. A flamegraph of what grew:
/// `memprof flamegraph --base`.
///
/// A change that the error of sampling alone may have made is marked `~`. Record both with
/// `--sample all` to have none.
#[derive(clap::Args, Debug)]
pub struct DiffArgs {
    /// Compare with this profile, or a moment of it: app.memprof@warm, @1.5s, @peak, @end
    base: PathBuf,
    /// Compare this profile, or a moment of it
    new: PathBuf,
    #[command(flatten)]
    show: Show,
    /// Show functions of dependencies and of std too
    #[arg(long)]
    all: bool,
    /// Show which types changed: what the blocks are
    #[arg(long)]
    types: bool,
    /// Compare only what was done while this context was in force, such as route=/orders, or none
    /// of its key, route=(none); may be given several times
    #[arg(long = "context", value_name = "KEY=VALUE")]
    contexts: Vec<ContextPattern>,
    /// Compare this heap, such as mapped [default: malloc]
    #[arg(long, value_name = "HEAP")]
    heap: Option<HeapChoice>,
    /// Read the source of BASE from revision REV of git
    #[arg(long, value_name = "REV", conflicts_with = "base_path_map")]
    base_rev: Option<String>,
    /// Read source files of BASE below FROM from below TO; may be given several times
    #[arg(long, value_name = "FROM=TO")]
    base_path_map: Vec<PathMap>,
    /// Read source files below FROM from below TO; may be given several times
    #[arg(long, value_name = "FROM=TO")]
    path_map: Vec<PathMap>,
    /// Look for source files in this folder
    #[arg(long, value_name = "DIR")]
    source_root: Option<PathBuf>,
    /// Use the programs' files although they changed since the recording
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    own: Own,
}

/// Options that say what of the differences is shown, and how.
#[derive(clap::Args, Debug)]
pub struct Show {
    /// Compare this figure
    #[arg(long, value_enum, default_value_t)]
    of: Metric,
    /// Show which contexts of this key changed, such as route
    #[arg(long, value_name = "KEY")]
    pub by: Option<String>,
    /// Exit with 1 if the whole program, a function, or a context of --by grew by more than this:
    /// 5% (of the whole), 10MiB
    #[arg(long, value_name = "LIMIT")]
    fail_over: Option<String>,
    /// Count the growth of nothing smaller than this
    #[arg(
        long,
        value_enum,
        value_name = "WHAT",
        default_value_t,
        requires = "fail_over"
    )]
    fail_on: Grown,
    /// Show only functions whose name contains NAME
    #[arg(long, value_name = "NAME")]
    function: Option<String>,
    /// Show only functions of source files whose path contains PATH
    #[arg(long, value_name = "PATH")]
    source_file: Option<String>,
    /// Show only the first N functions
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Show N decimal places of MiB
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=9))]
    precision: u8,
    /// Write this form
    #[arg(long, value_enum, default_value_t)]
    format: DiffFormat,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
enum DiffFormat {
    /// Tables for people
    #[default]
    Text,
    /// For programs; see docs/json.md
    Json,
    /// A page for the browser: what changed as a whole, functions, lines
    Html,
}

pub fn run(mut args: DiffArgs) -> anyhow::Result<ExitCode> {
    args.show.limit()?;
    args.show.of = figure_of_both(&args)?;
    args.show.show(load(&args)?)
}

impl Show {
    fn limit(&self) -> anyhow::Result<Option<Limit>> {
        (self.fail_over.as_deref())
            .map(|text| text.parse::<Limit>().map_err(anyhow::Error::msg))
            .transpose()
    }

    /// Shows `diff`, and fails if it grew too much.
    pub fn show(&self, mut diff: Diff) -> anyhow::Result<ExitCode> {
        let limit = self.limit()?;
        diff.select(&Selection {
            function: self.function.clone(),
            file: self.source_file.clone(),
            ..Selection::default()
        })?;
        diff.sort(self.of);
        let grown = limit.map(|limit| {
            let mut grown = diff.grown(self.of, limit);
            grown.retain(|growth| growth.what.kind() <= self.fail_on);
            grown
        });
        let grown_over = grown.as_deref().zip(self.fail_over.as_deref());
        let output = Output::to(self.output.as_deref());
        match self.format {
            DiffFormat::Text => output.write(|out| {
                let text = DiffText {
                    metric: self.of,
                    precision: usize::from(self.precision),
                    top: self.top,
                };
                text.diff(&diff, out)?;
                let Some((grown, limit)) = grown_over else {
                    return Ok(());
                };
                writeln!(out)?;
                text.growths(grown, limit, out)
            }),
            DiffFormat::Json => output.write(|out| {
                let json = DiffJson {
                    metric: self.of,
                    grown: grown.as_deref(),
                };
                json.diff(&diff, out)
            }),
            DiffFormat::Html => output.write_raw(|out| {
                let page = DiffHtml {
                    metric: self.of,
                    grown: grown_over,
                    functions: self.top.unwrap_or(DiffHtml::default().functions),
                    ..DiffHtml::default()
                };
                page.page(&diff, out)
            }),
        }?;
        let fails = grown.iter().flatten().any(|growth| !growth.within_noise);
        Ok(ExitCode::from(if fails { GROWN } else { 0 }))
    }
}

/// The figure to compare: of moments, what was live at each.
fn figure_of_both(args: &DiffArgs) -> anyhow::Result<Metric> {
    let [base, new] = [&args.base, &args.new].map(|path| moment::split(path, &View::default()));
    let (view, other) = (base?.1, new?.1);
    if (view == View::default()) != (other == View::default()) {
        bail!(
            "a moment is compared with a moment: write `@end` or `@peak` behind the other profile's name"
        );
    }
    moment::metric_of(&view, args.show.of)
}

fn load(args: &DiffArgs) -> anyhow::Result<Diff> {
    let current_dir = load::current_dir()?;
    let revision = (args.base_rev.as_ref())
        .map(|name| Revision::check_out(name, &current_dir))
        .transpose()?;
    let new_places = Places {
        current_dir,
        package: None,
        root: args.source_root.clone(),
        maps: args.path_map.clone(),
    };
    let base_places = match &revision {
        Some(revision) => revision.places(&args.path_map),
        None => Places {
            maps: [args.base_path_map.clone(), args.path_map.clone()].concat(),
            ..new_places.clone()
        },
    };
    let read = |path: &PathBuf, places: Places| {
        // The program of BASE is where it was: only its source may be looked for elsewhere.
        let lookup = Lookup {
            path_map: args.path_map.clone(),
            force: args.force,
            own: args.own.clone(),
            contexts: args.contexts.clone(),
            heap: args.heap.clone(),
            ..Lookup::default()
        };
        load::load_from(path, places, &lookup)
    };
    let scope = if args.all { Scope::All } else { Scope::User };
    let mut base = read(&args.base, base_places)?;
    let mut new = read(&args.new, new_places)?;
    let mut diff = compare(&mut base, &mut new, scope);
    if let Some(key) = &args.show.by {
        // One of the two may be of before the program named any.
        if base.profile.check_key(key).is_err() {
            new.profile.check_key(key)?;
        }
        let [base, new] = [&base, &new].map(|side| context_figures(&side.profile, key));
        diff.contexts = Some(PartChanges::new(key, &base, &new));
    }
    if args.types {
        let [base, new] = [&mut base, &mut new].map(|side| type_figures(&side.types()));
        diff.types = Some(PartChanges::new("type", &base, &new));
    }
    Ok(diff)
}

/// What changed in the user's own source from one profile that was read to another; the source is
/// looked for where `lookup` says.
pub fn of_profiles(
    base: (Profile, Vec<Defect>),
    new: (Profile, Vec<Defect>),
    lookup: &Lookup,
) -> anyhow::Result<Diff> {
    let load = |read| load::load_one_heap((read, View::default()), lookup.places()?, lookup);
    let (mut base, mut new) = (load(base)?, load(new)?);
    Ok(compare(&mut base, &mut new, Scope::User))
}

fn compare(base: &mut Loaded, new: &mut Loaded, scope: Scope) -> Diff {
    // What one side cannot be cut by, the other must not.
    let edited = [&mut *base, &mut *new]
        .map(|side| edited_files(&side.profile, &side.symbols, &mut side.sources, scope));
    for files in &edited {
        base.sources.distrust(files);
        new.sources.distrust(files);
    }
    let report = |loaded: &mut Loaded| {
        let defects = std::mem::take(&mut loaded.defects);
        Report::new(
            &loaded.profile,
            &loaded.symbols,
            &mut loaded.sources,
            scope,
            defects,
        )
    };
    Diff::new(report(base), report(new))
}
