//! Two reports side by side: what every function and every line took in each, matched although the
//! source moved.
//!
//! [`Diff::new`] makes it; [`Diff::grown`] says what grew beyond a limit, and whether that is more
//! than the error of sampling.

mod growth;
mod matching;

use std::cmp::Reverse;

pub use growth::{Grown, Growth, Limit, What};

use super::select::keep;
use super::{
    Bytes, Figures, Loss, Metric, NoMatch, Note, Recording, Report, Sampling, Scope, Selection,
    Table,
};
use crate::defect::Defect;

/// A change is within the noise if it is below so many of its standard errors: one in twenty is
/// above by chance.
pub const CONFIDENCE: f64 = 1.96;

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

/// A function of either report, or of both.
#[derive(Clone, PartialEq, Debug)]
pub struct FunctionChange {
    /// Its name in the new report, or in the base if it is only there.
    pub function: String,
    /// Its file, likewise.
    pub file: String,
    /// File and name in the base, if they were others.
    pub was: Option<(String, String)>,
    /// Figures of the whole function.
    pub total: Pair,
    /// Lines of either, in the order of the source.
    pub lines: Vec<LineChange>,
}

/// A line of either report, or of both.
#[derive(Clone, PartialEq, Debug)]
pub struct LineChange {
    /// Its number in the base.
    pub base_number: Option<u32>,
    /// Its number in the new report.
    pub number: Option<u32>,
    /// Its text in the new report, or in the base if it is only there.
    pub contents: Option<String>,
    /// Its text in the base, if it was another.
    pub was: Option<String>,
    /// Which reports have the line, whether or not it touched memory there.
    pub presence: Presence,
    /// What it took.
    pub figures: Pair,
}

/// Which of two reports has something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Presence {
    /// Only the base.
    Base,
    /// Only the new one.
    New,
    /// Both.
    Both,
}

/// The same figures in both reports; `None` where nothing was seen.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Pair {
    /// In the base.
    pub base: Option<Figures>,
    /// In the new report.
    pub new: Option<Figures>,
}

/// One figure in both reports.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Change {
    /// In the base.
    pub base: Bytes,
    /// In the new report.
    pub new: Bytes,
}

impl Pair {
    /// The change of one figure; nothing seen is 0.
    pub fn change(&self, metric: Metric) -> Change {
        let figure = |figures: &Option<Figures>| {
            figures
                .as_ref()
                .map_or_else(Bytes::default, |f| metric.of(f))
        };
        Change {
            base: figure(&self.base),
            new: figure(&self.new),
        }
    }

    /// Whether nothing was seen in either.
    pub fn is_empty(&self) -> bool {
        self.base.is_none() && self.new.is_none()
    }
}

impl Change {
    /// A change of figures without error.
    pub fn exact(base: i64, new: i64) -> Change {
        let bytes = |bytes| Bytes {
            bytes,
            standard_error: 0.0,
        };
        Change {
            base: bytes(base),
            new: bytes(new),
        }
    }

    /// New minus base, with its standard error: the two recordings are independent, so variances
    /// add up.
    pub fn difference(&self) -> Bytes {
        Bytes {
            bytes: self.new.bytes.saturating_sub(self.base.bytes),
            standard_error: self.new.standard_error.hypot(self.base.standard_error),
        }
    }

    /// Whether the difference may well be chance: below [`CONFIDENCE`] standard errors.
    pub fn is_within_noise(&self) -> bool {
        let difference = self.difference();
        difference.standard_error > 0.0
            && (difference.bytes as f64).abs() < CONFIDENCE * difference.standard_error
    }
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

/// Whether any figure differs.
pub(super) fn has_changed(pair: &Pair) -> bool {
    let changed = |metric: &Metric| pair.change(*metric).difference().bytes != 0;
    Metric::ALL.iter().any(changed)
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
