//! Reads a profile again and again, and keeps what stays the same between two readings: symbols and
//! source.

use std::path::PathBuf;
use std::time::Instant;

use super::process::Process;
use crate::defect::Defect;
use crate::profile::{self, ContextPattern, HeapChoice, ReadError, Totals};
use crate::report::Live;
use crate::source::{Places, Sources};
use crate::symbolize::{self, Pattern, SymbolizeError, Symbolizer};

/// What to read, and how.
#[derive(Clone, Debug)]
pub struct FeedOptions {
    /// The profile.
    pub path: PathBuf,
    /// Where its source is.
    pub places: Places,
    /// Whether to use modules whose files are not those recorded.
    pub force: bool,
    /// What counts as the user's own too; if empty, what the profile says.
    pub own: Vec<Pattern>,
    /// Show only what was done while all of these were in force.
    pub contexts: Vec<ContextPattern>,
    /// Show this heap.
    pub heap: HeapChoice,
}

/// Why a reading failed.
#[derive(thiserror::Error, Debug)]
pub enum FeedError {
    /// The profile cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Its addresses cannot be looked up.
    #[error(transparent)]
    Symbolize(#[from] SymbolizeError),
}

/// The readings of one profile.
#[derive(Debug)]
pub struct Feed {
    options: FeedOptions,
    started: Instant,
    symbolizer: Symbolizer,
    sources: Sources,
    source_defects: Vec<Defect>,
    before: Option<Live>,
}

impl Feed {
    /// Reads nothing yet.
    pub fn new(options: FeedOptions) -> Feed {
        Feed {
            sources: Sources::new(options.places.clone()),
            options,
            started: Instant::now(),
            symbolizer: Symbolizer::default(),
            source_defects: Vec::new(),
            before: None,
        }
    }

    /// Reads the profile as it is now. Rates are since the last call; only addresses that no
    /// earlier call met are looked up.
    pub fn read(&mut self) -> Result<Live, FeedError> {
        let (mut profile, mut defects) = profile::read(&self.options.path)?;
        for module in &mut profile.modules {
            module.path = self.options.places.mapped(&module.path);
        }
        let heap = &self.options.heap;
        let is_there = profile.select_heap(heap);
        defects.extend(profile.defects_of_heaps(heap));
        if let Err(error) = is_there {
            // The program may come to it yet.
            profile.stacks.clear();
            profile.unattributed = Totals::default();
            let why = error.to_string();
            defects.push(Defect::ContextNotThere { why });
        }
        let contexts = &self.options.contexts;
        defects.extend(contexts.iter().map(|context| Defect::OnlyContext {
            context: context.to_string(),
        }));
        if let Err(error) = profile.select_contexts(contexts) {
            // The program may come to it yet.
            profile.stacks.clear();
            profile.unattributed = Totals::default();
            let why = error.to_string();
            defects.push(Defect::ContextNotThere { why });
        }
        let at = self.started.elapsed();
        let header = &profile.header;
        let started = (header.pid, header.started_unix_ns);
        let is_other =
            |live: &Live| (live.recording.pid, live.recording.started_unix_ns) != started;
        if self.before.as_ref().is_some_and(is_other) {
            // Another run has put its profile in place of this one: its addresses mean something
            // else.
            self.symbolizer = Symbolizer::default();
            self.before = None;
        }
        let options = symbolize::SymbolizeOptions {
            force: self.options.force,
            own: &self.options.own,
            progress: None,
            fetch: None,
        };
        self.symbolizer.update(&profile, &options)?;
        let changing =
            (self.before.as_ref()).map(|before| before.recording.counters != profile.counters());
        let process = Process::look(header.pid, &self.options.path);
        let status = process.status(profile.state(), changing);
        defects.extend(self.symbolizer.defects());
        // A source file is read once, and so is found unreadable once.
        defects.extend_from_slice(&self.source_defects);
        let known = defects.len();
        let live = Live::new(
            &profile,
            self.symbolizer.symbols(),
            &mut self.sources,
            defects,
            (status, at),
            self.before.as_ref(),
        );
        self.source_defects
            .extend_from_slice(&live.defects[known..]);
        self.before = Some(live.clone());
        Ok(live)
    }
}
