//! Two reports side by side: what every function and every line took in each, matched although the
//! source moved.
//!
//! [`Diff::new`] makes it; [`Diff::grown`] says what grew beyond a limit, and whether that is more
//! than the error of sampling.

mod change;
mod growth;
mod matching;
mod parts;

use std::cmp::Reverse;

pub use change::{CONFIDENCE, Change, FunctionChange, LineChange, Pair, Presence};
pub use growth::{Grown, Growth, GrowthItem, Limit};
pub use parts::{
    ContextParts, PartChange, PartChanges, PartFigures, context_figures, type_figures,
};

use self::change::has_changed;
use super::select::keep;
use super::{Loss, Metric, NoMatch, Note, Recording, Report, Sampling, Scope, Selection, Table};
use crate::defect::Defect;

/// What changed from one report to another.
#[derive(Clone, PartialEq, Debug)]
pub struct Diff {
    /// The report compared with.
    pub base: Side,
    /// The report compared.
    pub new: Side,
    /// Whose functions there are.
    pub scope: Scope,
    /// Every function of either, in no order; see [`Diff::sort`].
    pub functions: Vec<FunctionChange>,
    /// The contexts of a key, if they are compared.
    pub contexts: Option<PartChanges>,
    /// The types, if they are compared.
    pub types: Option<PartChanges>,
    /// What happened with no function of this scope on the stack.
    pub elsewhere: Pair,
}

/// What a diff says of one of its reports as a whole.
#[derive(Clone, PartialEq, Debug)]
pub struct Side {
    /// Which program and when.
    pub recording: Recording,
    /// How it was sampled.
    pub sampling: Sampling,
    /// What the recorder could not keep.
    pub losses: Vec<Loss>,
    /// What is wrong with the profile, or missing beside it.
    pub defects: Vec<Defect>,
    /// Some source file is not the one that the program was built from, so that lines may be
    /// matched wrongly.
    pub source_changed: bool,
}

impl Diff {
    /// Compares `new` with `base`.
    pub fn new(base: Report, new: Report) -> Diff {
        let elsewhere = Pair {
            base: Some(base.elsewhere),
            new: Some(new.elsewhere),
        };
        let scope = new.scope;
        let (base, base_tables) = side(base);
        let (new, new_tables) = side(new);
        Diff {
            base,
            new,
            scope,
            functions: matching::functions(base_tables, new_tables),
            contexts: None,
            types: None,
            elsewhere,
        }
    }

    /// The whole process's figure in both, from exact counters; `None` for figures that only stacks
    /// have.
    pub fn whole(&self, metric: Metric) -> Option<Change> {
        let figure = |side: &Side| {
            let counters = &side.recording.counters;
            Some(match metric {
                Metric::Peak => side.recording.peak,
                Metric::Live => side.recording.heap,
                Metric::Allocated => counters.alloc_bytes as i64,
                Metric::Freed => counters.freed_bytes as i64,
                Metric::Increment => counters.alloc_bytes.wrapping_sub(counters.freed_bytes) as i64,
                Metric::Count => counters.allocs.saturating_add(counters.reallocs) as i64,
                Metric::Temporary | Metric::Reallocated => return None,
            })
        };
        Some(Change::exact(figure(&self.base)?, figure(&self.new)?))
    }

    /// Keeps the files and functions that `selection` asks for.
    pub fn select(&mut self, selection: &Selection) -> Result<(), NoMatch> {
        keep(&mut self.functions, "file", &selection.file, |function| {
            &function.file
        })?;
        keep(
            &mut self.functions,
            "function",
            &selection.function,
            |function| &function.function,
        )
    }

    /// Puts the functions whose `metric` changed most first, and leaves out those that changed in
    /// no figure.
    pub fn sort(&mut self, metric: Metric) {
        for parts in [&mut self.contexts, &mut self.types].into_iter().flatten() {
            parts.sort(metric);
        }
        self.functions.retain(|function| {
            let lines = function.lines.iter().map(|line| &line.figures);
            lines.chain([&function.total]).any(has_changed)
        });
        self.functions.sort_by_cached_key(|function| {
            let change = function.total.change(metric).difference().bytes;
            let allocated = function.total.change(Metric::Allocated).difference().bytes;
            (
                Reverse(change.unsigned_abs()),
                Reverse(allocated.unsigned_abs()),
                function.file.clone(),
                function.function.clone(),
            )
        });
    }
}

fn side(report: Report) -> (Side, Vec<Table>) {
    let source_changed =
        (report.tables.iter()).any(|table| table.notes.contains(&Note::SourceChanged));
    let side = Side {
        recording: report.recording,
        sampling: report.sampling,
        losses: report.losses,
        defects: report.defects,
        source_changed,
    };
    (side, report.tables)
}
