//! What `report` and `summary` share: finding a profile, reading it, symbolizing it, and writing to where it was asked for.

use std::cmp::Reverse;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use profiler_alloc_format::EXTENSION;

use crate::defect::Defect;
use crate::profile::{self, Profile};
use crate::source::{PathMap, Places, Sources};
use crate::symbolize::{self, Symbols, symbolize};

/// Work shorter than this shows no progress.
const PATIENCE: Duration = Duration::from_millis(300);

/// Options that say which profile, and where its source is.
#[derive(clap::Args, Clone, Default, Debug)]
pub struct Input {
    /// The profile [default: the newest *.memprof in this folder]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub lookup: Lookup,
}

/// Options that say how to find lines and their text.
#[derive(clap::Args, Clone, Default, Debug)]
pub struct Lookup {
    /// Folder to look for source files in
    #[arg(long, value_name = "DIR")]
    pub source_root: Option<PathBuf>,
    /// Look in TO for source files and programs recorded in FROM; may be given several times
    #[arg(long, value_name = "FROM=TO")]
    pub path_map: Vec<PathMap>,
    /// Use the program's file although it changed since the recording
    #[arg(long)]
    pub force: bool,
}

/// A profile, ready to be reported.
pub struct Loaded {
    pub profile: Profile,
    pub symbols: Symbols,
    pub sources: Sources,
    pub defects: Vec<Defect>,
}

impl Input {
    /// Reads and symbolizes the profile. Long work is shown on a terminal.
    pub fn load(&self) -> anyhow::Result<Loaded> {
        let path = match &self.file {
            Some(path) => path.clone(),
            None => newest(Path::new("."))?,
        };
        load(&path, self.lookup.places()?, self.lookup.force)
    }
}

impl Lookup {
    /// Where the source is.
    pub fn places(&self) -> anyhow::Result<Places> {
        Ok(Places {
            current_dir: current_dir()?,
            root: self.source_root.clone(),
            maps: self.path_map.clone(),
        })
    }
}

pub fn current_dir() -> anyhow::Result<PathBuf> {
    std::env::current_dir().context("cannot tell the current folder")
}

/// Reads and symbolizes the profile at `path`, whose source is in `places`. Long work is shown on a terminal.
pub fn load(path: &Path, places: Places, force: bool) -> anyhow::Result<Loaded> {
    let (mut profile, mut defects) = profile::read(path)?;
    // The program may have been recorded in a container, or moved since; its build-id says whether it is the one.
    for module in &mut profile.modules {
        module.path = places.mapped(&module.path);
    }
    let started = Instant::now();
    let bar = ProgressBar::no_length().with_style(
        ProgressStyle::with_template("looking up lines {bar:30} {pos}/{len}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let result = symbolize(
        &profile,
        &symbolize::Options {
            force,
            progress: Some(&|done, total| {
                if started.elapsed() > PATIENCE {
                    bar.set_length(total as u64);
                    bar.set_position(done as u64);
                }
            }),
        },
    );
    bar.finish_and_clear();
    let (symbols, more) = result?;
    defects.extend(more);
    Ok(Loaded {
        profile,
        symbols,
        sources: Sources::new(places),
        defects,
    })
}

/// The profile in `folder` that was modified last.
pub fn newest(folder: &Path) -> anyhow::Result<PathBuf> {
    let profiles = profiles(folder).context("cannot list the current folder")?;
    match profiles.into_iter().next() {
        Some(path) => Ok(path.strip_prefix(".").map(Path::to_owned).unwrap_or(path)),
        None => bail!(
            "no *.{EXTENSION} file in this folder; record one with `memprof run -- PROGRAM`, or name a file"
        ),
    }
}

/// The profiles in `folder`, the one that was modified last first.
pub fn profiles(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    let profiles = paths.filter(|path| path.extension().is_some_and(|e| e == EXTENSION));
    let mut dated: Vec<(SystemTime, PathBuf)> = profiles
        .filter_map(|path| {
            let metadata = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
            Some((metadata.modified().ok()?, path))
        })
        .collect();
    dated.sort_by_key(|(modified, _)| Reverse(*modified));
    Ok(dated.into_iter().map(|(_, path)| path).collect())
}

/// Where output goes.
pub enum Output<'a> {
    /// Standard output, in colour if it is a terminal that wants it.
    Stdout,
    /// A file, in plain text.
    File(&'a Path),
}

impl<'a> Output<'a> {
    /// The file at `path`, or standard output.
    pub fn to(path: Option<&'a Path>) -> Output<'a> {
        path.map_or(Output::Stdout, Output::File)
    }

    /// Lets `write` write. A reader that went away, as in `memprof report | head`, is no error.
    pub fn write(
        &self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<ExitCode> {
        let result = match self {
            Output::Stdout => {
                let mut out = BufWriter::new(anstream::stdout().lock());
                write(&mut out).and_then(|()| out.flush())
            }
            Output::File(path) => {
                let file = File::create(path)
                    .with_context(|| format!("cannot create {}", path.display()))?;
                let mut out = BufWriter::new(anstream::StripStream::new(file));
                write(&mut out).and_then(|()| out.flush())
            }
        };
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
            Err(error) => Err(error).context("cannot write the output"),
            Ok(()) => Ok(ExitCode::SUCCESS),
        }
    }
}
