//! What the views share: finding a profile, reading it, symbolizing it, and writing to where it was
//! asked for.

#[cfg_attr(target_family = "wasm", path = "load/no_network.rs")]
mod debug_files;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use super::many;
use super::moment::{self, MomentArgs};
pub use super::output::Output;
use crate::defect::Defect;
use crate::profile::{self, ContextPattern, HeapChoice, Profile, View};
use crate::report::{
    CallTree, Calls, Filter, Granularity, Limits, Metric, Scope, Split, Stacks, StacksBy,
};
use crate::source::{PathMap, Places, Sources};
use crate::symbolize::{self, Pattern, Symbols, symbolize};
use crate::system::terminal_columns;
use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};

/// `--by heap` is `--heap all`, where the program names no contexts of that key.
const HEAPS: &str = "heap";

/// Work shorter than this shows no progress.
const PATIENCE: Duration = Duration::from_millis(300);

/// Options that say which profile, and where its source is.
#[derive(clap::Args, Clone, Default, Debug)]
pub struct Input {
    /// Read this profile, or several as one [default: the newest *.memprof in this folder]
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Read all profiles of the last run in this folder (1), or of the Nth last, as one
    #[arg(long, value_name = "N", conflicts_with = "files")]
    pub run: Option<NonZeroUsize>,
    #[command(flatten)]
    pub lookup: Lookup,
}

/// Options that say how to find lines and their text.
#[derive(clap::Args, Clone, Default, Debug)]
pub struct Lookup {
    /// Look for source files in this folder
    #[arg(long, value_name = "DIR")]
    pub source_root: Option<PathBuf>,
    /// Look in TO for source files and programs recorded in FROM; may be given several times
    #[arg(long, value_name = "FROM=TO")]
    pub path_map: Vec<PathMap>,
    /// Use the program's file although it changed since the recording
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub own: Own,
    /// Show only what was done while this context was in force, such as route=/orders, or none of
    /// its key, route=(none); may be given several times
    #[arg(long = "context", value_name = "KEY=VALUE")]
    pub contexts: Vec<ContextPattern>,
    /// Show this heap, such as mapped, or all, told apart, in tree, flamegraph, export and report
    /// [default: malloc]
    #[arg(long, value_name = "HEAP")]
    pub heap: Option<HeapChoice>,
    /// The moment that is looked at, in views that have one.
    #[arg(skip)]
    pub view: View,
}

/// Option that says what is the user's own.
#[derive(clap::Args, Clone, Default, Debug)]
pub struct Own {
    /// Count crates and paths as your own source too, such as jaq-* or libs/; may be given several
    /// times [default: as `memprof run --own` said]
    #[arg(long = "own", value_name = "PATTERN", value_delimiter = ',')]
    pub patterns: Vec<Pattern>,
}

/// A profile that was read, with what is wrong with it, and which moment of it is looked at.
pub type ReadProfile = ((Profile, Vec<Defect>), View);

/// A profile, ready to be reported.
pub struct Loaded {
    pub profile: Profile,
    pub symbols: Symbols,
    pub sources: Sources,
    pub defects: Vec<Defect>,
    /// The key of the contexts that name heaps, if all heaps were asked for.
    pub heaps: Option<String>,
}

impl Loaded {
    /// The key that stacks are split up by: the one asked for, or that of the heaps.
    pub fn key<'a>(&'a self, asked: Option<&'a str>) -> anyhow::Result<Option<&'a str>> {
        match (asked, self.heaps.as_deref()) {
            (Some(HEAPS) | None, Some(heaps)) => Ok(Some(heaps)),
            (Some(key), Some(_)) => bail!("stacks are split up by heaps or by {key}, not by both"),
            (Some(key), None) => {
                self.profile.check_key(key)?;
                Ok(Some(key))
            }
            (None, None) => Ok(None),
        }
    }

    /// Its stacks by address, adding up to the whole.
    pub fn calls(mut self) -> Calls {
        let calls = Calls::new(
            &self.profile,
            &self.symbols,
            &mut self.sources,
            self.defects,
        );
        calls.complete()
    }

    /// Its stacks, with the frames of `scope`, as fine as `granularity`.
    pub fn stacks(mut self, scope: Scope, granularity: Granularity) -> Stacks {
        let stacks = Stacks::new(
            &self.profile,
            &self.symbols,
            &mut self.sources,
            self.defects,
        );
        match (scope, granularity) {
            (Scope::All, Granularity::Line) => stacks,
            _ => stacks.restricted(scope, granularity),
        }
    }

    /// The stacks of each context of `key`, with the frames of `scope`.
    pub fn stacks_by(&mut self, scope: Scope, key: &str) -> StacksBy {
        let (profile, symbols) = (&self.profile, &self.symbols);
        StacksBy::new(profile, symbols, &mut self.sources, (scope, key))
    }

    /// Its stacks, split up.
    pub fn split(mut self, split: Split<'_>) -> Stacks {
        if split.types {
            self.symbols.add_instances(&self.profile);
        }
        Stacks::split(
            &self.profile,
            &self.symbols,
            &mut self.sources,
            self.defects,
            split,
        )
    }
}

/// Options that say which lines are listed.
#[derive(clap::Args, Clone, Default, Debug)]
pub struct Listed {
    /// Show lines of dependencies and of std too
    #[arg(long)]
    pub all: bool,
    /// Show only functions whose name contains NAME
    #[arg(long, value_name = "NAME")]
    pub function: Option<String>,
    /// Show only source files whose path contains PATH
    #[arg(long, value_name = "PATH")]
    pub source_file: Option<String>,
}

impl Listed {
    /// Whose lines.
    pub fn scope(&self) -> Scope {
        if self.all { Scope::All } else { Scope::User }
    }

    /// Which of them.
    pub fn filter(&self) -> Filter {
        Filter {
            function: self.function.clone(),
            file: self.source_file.clone(),
        }
    }

    /// The stacks of the lines, and those of each context of a key, if `by` names one.
    pub fn stacks(
        &self,
        input: &Input,
        by: Option<&str>,
    ) -> anyhow::Result<(Stacks, Option<StacksBy>)> {
        let mut loaded = input.load()?;
        if let Some(key) = by {
            loaded.profile.check_key(key)?;
        }
        let mut by = by.map(|key| loaded.stacks_by(self.scope(), key));
        let mut stacks = loaded.stacks(self.scope(), Granularity::Line);
        stacks.select(&self.filter())?;
        if let Some(by) = &mut by {
            by.select(&self.filter());
        }
        Ok((stacks, by))
    }
}

/// Options that say which stacks are shown, and what is summed.
#[derive(clap::Args, Clone, Debug)]
pub struct StackArgs {
    /// Sum this figure
    #[arg(long, value_enum, default_value_t, value_name = "FIGURE")]
    pub of: Metric,
    /// Put callees outermost: which functions allocate, and below each, who calls it
    #[arg(long)]
    pub inverted: bool,
    /// Show the frames of dependencies and std too, not only the first one that the program calls
    #[arg(long)]
    pub all: bool,
    /// Make a frame of every `line` [default] or one of each `function`; or put the contexts of a
    /// key outermost, such as route; may be given several times
    #[arg(long, value_name = "line|function|KEY")]
    pub by: Vec<By>,
    /// Put what the blocks are innermost: `Vec<Order>`, `String`
    #[arg(long)]
    pub types: bool,
}

/// What stacks are split up by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum By {
    /// Frames as fine as this.
    Granularity(Granularity),
    /// A frame for each context of a key, outermost.
    Key(String),
}

impl FromStr for By {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<By, Self::Err> {
        Ok(match text {
            "line" => By::Granularity(Granularity::Line),
            "function" => By::Granularity(Granularity::Function),
            key => By::Key(key.to_owned()),
        })
    }
}

impl StackArgs {
    /// The key whose contexts are outermost.
    fn key(&self) -> anyhow::Result<Option<&str>> {
        let mut keys = self.by.iter().filter_map(|by| match by {
            By::Key(key) => Some(&**key),
            By::Granularity(_) => None,
        });
        let key = keys.next();
        if let Some((key, other)) = key.zip(keys.next()) {
            bail!("stacks are split up by the contexts of one key, not by {key} and {other}");
        }
        Ok(key)
    }

    /// The stacks and the tree that are asked for.
    pub fn tree(&self, input: &Input, limits: Limits) -> anyhow::Result<(Stacks, CallTree)> {
        self.tree_of(input.read_moment()?, &input.lookup, limits)
    }

    /// The same of a profile that was read.
    pub fn tree_of(
        &self,
        read: ReadProfile,
        lookup: &Lookup,
        limits: Limits,
    ) -> anyhow::Result<(Stacks, CallTree)> {
        if self.of == Metric::Increment {
            bail!(
                "increments may be below zero, which no tree can show; choose `--of allocated`, freed, live or peak"
            );
        }
        let scope = if self.all { Scope::All } else { Scope::User };
        let mut granularities = self.by.iter().filter_map(|by| match by {
            By::Granularity(granularity) => Some(*granularity),
            By::Key(_) => None,
        });
        let granularity = granularities.next_back().unwrap_or_default();
        let view = read.1.clone();
        let loaded = load_apart(read, lookup, self.key()?)?;
        let key = loaded.key(self.key()?)?.map(str::to_owned);
        let stacks = match key.is_some() || self.types {
            true => loaded.split(Split {
                key: key.as_deref(),
                types: self.types,
                scope,
                granularity,
            }),
            false => loaded.stacks(scope, granularity),
        };
        let metric = moment::metric_of(&view, self.of)?;
        let tree = CallTree::new(&stacks, metric, self.inverted, limits);
        Ok((stacks, tree))
    }
}

/// Characters of a line, if standard output is a terminal.
pub fn terminal_width() -> Option<usize> {
    terminal_columns().map(usize::from)
}

impl Input {
    /// The profile at `path`, everything else as by default.
    pub fn of(path: PathBuf) -> Input {
        Input {
            files: vec![path],
            ..Input::default()
        }
    }

    /// The same, of a moment.
    pub fn at(mut self, moment: &MomentArgs) -> Input {
        self.lookup.view = moment.view();
        self
    }

    /// The figure that a view of it shows if `asked` is asked for, or is its default.
    pub fn metric(&self, asked: Metric) -> anyhow::Result<Metric> {
        // Looking for the newest would say twice which one it is.
        let view = match &*self.files {
            [path] => moment::split(path, &self.lookup.view)?.1,
            _ => self.lookup.view.clone(),
        };
        moment::metric_of(&view, asked)
    }

    /// The paths of the profiles, and which moment of the only one is looked at.
    fn moment(&self) -> anyhow::Result<(Vec<PathBuf>, View)> {
        let paths = self.paths()?;
        match &*paths {
            [path] => {
                let (path, view) = moment::split(path, &self.lookup.view)?;
                Ok((vec![path], view))
            }
            _ => Ok((paths, self.lookup.view.clone())),
        }
    }

    /// Reads the profile, and says which moment of it is looked at.
    fn read_moment(&self) -> anyhow::Result<ReadProfile> {
        let (paths, view) = self.moment()?;
        Ok((many::read(&paths)?, view))
    }

    /// The paths of the profiles.
    pub fn paths(&self) -> anyhow::Result<Vec<PathBuf>> {
        let folder = Path::new(".");
        match (self.run, &*self.files) {
            (Some(nth), _) => many::of_run(folder, nth),
            (None, []) => Ok(vec![many::newest(folder)?]),
            (None, files) => Ok(files.to_vec()),
        }
    }

    /// Reads the profile without names and lines.
    pub fn read(&self) -> anyhow::Result<(Profile, Vec<Defect>)> {
        many::read(&self.paths()?)
    }

    /// Reads and symbolizes the profile. Long work is shown on a terminal.
    pub fn load(&self) -> anyhow::Result<Loaded> {
        load_one_heap(self.read_moment()?, self.lookup.places()?, &self.lookup)
    }

    /// The same for a view that tells heaps apart, split up by `key`.
    pub fn load_apart(&self, key: Option<&str>) -> anyhow::Result<Loaded> {
        load_apart(self.read_moment()?, &self.lookup, key)
    }
}

impl Lookup {
    /// Where the source is.
    pub fn places(&self) -> anyhow::Result<Places> {
        Ok(Places {
            current_dir: current_dir()?,
            package: None,
            root: self.source_root.clone(),
            maps: self.path_map.clone(),
        })
    }
}

pub fn current_dir() -> anyhow::Result<PathBuf> {
    std::env::current_dir().context("cannot tell the current folder")
}

/// Symbolizes a profile for a view that tells heaps apart, split up by `key`.
fn load_apart(
    ((profile, defects), view): ReadProfile,
    lookup: &Lookup,
    key: Option<&str>,
) -> anyhow::Result<Loaded> {
    let heap = match (key, &lookup.heap) {
        (Some(HEAPS), None) if profile.check_key(HEAPS).is_err() => HeapChoice::All,
        (_, choice) => choice.clone().unwrap_or_default(),
    };
    load_read((profile, defects), lookup.places()?, lookup, (&heap, &view))
}

/// Reads and symbolizes a profile whose source is in `places`, for a view that shows one heap. Long
/// work is shown on a terminal.
pub fn load_from(path: &Path, places: Places, lookup: &Lookup) -> anyhow::Result<Loaded> {
    let (path, view) = moment::split(path, &lookup.view)?;
    load_one_heap((profile::read(&path)?, view), places, lookup)
}

/// The same of a profile that was read.
pub fn load_one_heap(
    (read, view): ReadProfile,
    places: Places,
    lookup: &Lookup,
) -> anyhow::Result<Loaded> {
    let heap = lookup.heap.clone().unwrap_or_default();
    if heap == HeapChoice::All {
        bail!(
            "this view shows one heap: name it; tree, flamegraph, export, and report as text, json or csv tell all apart"
        );
    }
    load_read(read, places, lookup, (&heap, &view))
}

fn load_read(
    (mut profile, mut defects): (Profile, Vec<Defect>),
    places: Places,
    lookup: &Lookup,
    (heap, view): (&HeapChoice, &View),
) -> anyhow::Result<Loaded> {
    let heaps = profile.select_heap(heap)?;
    defects.extend(profile.defects_of_heaps(heap));
    if profile.is_merged() && *view != View::default() {
        bail!("a moment is of one process: name the profile of one, or leave out the moment");
    }
    profile.look_at(view)?;
    profile.select_contexts(&lookup.contexts)?;
    let shown = lookup.contexts.iter().map(|context| Defect::OnlyContext {
        context: context.to_string(),
    });
    defects.extend(shown);
    let loaded = name(
        (profile, defects),
        places,
        &lookup.path_map,
        lookup.force,
        &lookup.own,
    )?;
    Ok(Loaded { heaps, ..loaded })
}

/// Symbolizes a profile that was read.
fn name(
    (mut profile, mut defects): (Profile, Vec<Defect>),
    places: Places,
    programs: &[PathMap],
    force: bool,
    own: &Own,
) -> anyhow::Result<Loaded> {
    // The program may have been recorded in a container, or moved since; its build-id says whether
    // it is the one.
    let programs = Places {
        maps: programs.to_vec(),
        ..places.clone()
    };
    for module in &mut profile.modules {
        let moved = programs.mapped(&module.path);
        // A map may be meant for source alone, and the program be where it was.
        if moved.exists() || !module.path.exists() {
            module.path = moved;
        }
    }
    let program = profile.modules.first().map(|module| module.path.clone());
    let places = places.of_program(&program.unwrap_or_default());
    let started = Instant::now();
    let bar = ProgressBar::no_length().with_style(
        ProgressStyle::with_template("looking up lines {bar:30} {pos}/{len}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let result = symbolize(
        &profile,
        &symbolize::SymbolizeOptions {
            force,
            own: &own.patterns,
            progress: Some(&|done, total| {
                if started.elapsed() > PATIENCE {
                    bar.set_length(total as u64);
                    bar.set_position(done as u64);
                }
            }),
            fetch: debug_files::fetch(),
        },
    );
    bar.finish_and_clear();
    let (symbols, more) = result?;
    defects.extend(more);
    defects.extend(debug_files::take_defects());
    Ok(Loaded {
        profile,
        symbols,
        sources: Sources::new(places),
        defects,
        heaps: None,
    })
}
