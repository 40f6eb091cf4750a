//! Reports and summaries as JSON, for programs. `docs/json.md` describes the shape; it is this
//! file's, so that the model may change without it. Bytes are exact integers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use serde::Serialize;

use super::Renderer;
use super::contexts_json::KeyShape;
use super::escape::is_steering;
use super::shape::{self, LossShape, RecordingShape, SamplingShape};
use crate::report::{
    Basis, Bytes, ContextGroup, ContextTables, Figures, Line, Metric, OwnCost, Report, SizeBar,
    Summary, Table, ThreadRow,
};

/// Name and version of a report's shape.
const REPORT: &str = "memprof-report/1";
/// Name and version of the shape of reports by context.
const BY_CONTEXT: &str = "memprof-report-by-context/1";
/// Name and version of a summary's shape.
const SUMMARY: &str = "memprof-summary/1";

/// JSON for programs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl Renderer for Json {
    fn report(&self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        let shape = ReportShape {
            schema: REPORT,
            recording: RecordingShape::of(&report.recording),
            sampling: SamplingShape::of(&report.sampling),
            basis: shape::basis(report.basis),
            scope: shape::scope(report.scope),
            functions: (report.tables.iter())
                .map(|table| FunctionShape::of(table, report.basis))
                .collect(),
            elsewhere: FiguresShape::with_basis(&report.elsewhere, report.basis),
            unattributed: FiguresShape::with_basis(&report.unattributed, report.basis),
            losses: shape::losses(&report.losses),
            defects: shape::defects(&report.defects),
        };
        write(&shape, out)
    }

    fn by_context(&self, tables: &ContextTables, out: &mut dyn Write) -> io::Result<()> {
        let report = &tables.whole;
        let shape = ByContextShape {
            schema: BY_CONTEXT,
            recording: RecordingShape::of(&report.recording),
            sampling: SamplingShape::of(&report.sampling),
            scope: shape::scope(report.scope),
            key: &tables.key,
            contexts: tables.groups.iter().map(GroupShape::of).collect(),
            unattributed: FiguresShape::of(&report.unattributed),
            losses: shape::losses(&report.losses),
            defects: shape::defects(&report.defects),
        };
        write(&shape, out)
    }
}

impl Json {
    /// Writes `summary` to `out`.
    pub fn summary(&self, summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
        let lines = summary.lines.iter().map(|line| TopShape {
            file: &line.file,
            line: line.line,
            function: &line.function,
            figures: FiguresShape::of(&line.figures),
        });
        let shape = SummaryShape {
            schema: SUMMARY,
            recording: RecordingShape::of(&summary.recording),
            sampling: SamplingShape::of(&summary.sampling),
            lines: lines.collect(),
            elsewhere: FiguresShape::of(&summary.elsewhere),
            contexts: summary.contexts.iter().map(KeyShape::of).collect(),
            unattributed: FiguresShape::of(&summary.unattributed),
            sizes: summary.sizes.iter().map(SizeShape::of).collect(),
            threads: summary.threads.iter().map(ThreadShape::of).collect(),
            recorder: OwnCostShape::of(&summary.own),
            losses: shape::losses(&summary.losses),
            defects: shape::defects(&summary.defects),
        };
        write(&shape, out)
    }
}

#[derive(Serialize)]
struct ReportShape<'a> {
    schema: &'static str,
    recording: RecordingShape<'a>,
    sampling: SamplingShape,
    basis: &'static str,
    scope: &'static str,
    functions: Vec<FunctionShape<'a>>,
    elsewhere: FiguresShape,
    unattributed: FiguresShape,
    losses: Vec<LossShape>,
    defects: Vec<String>,
}

#[derive(Serialize)]
struct ByContextShape<'a> {
    schema: &'static str,
    recording: RecordingShape<'a>,
    sampling: SamplingShape,
    scope: &'static str,
    key: &'a str,
    contexts: Vec<GroupShape<'a>>,
    unattributed: FiguresShape,
    losses: Vec<LossShape>,
    defects: Vec<String>,
}

#[derive(Serialize)]
struct GroupShape<'a> {
    value: Option<&'a str>,
    total: FiguresShape,
    functions: Vec<FunctionShape<'a>>,
    elsewhere: FiguresShape,
}

impl<'a> GroupShape<'a> {
    fn of(group: &'a ContextGroup) -> Self {
        let functions = group.tables.iter();
        GroupShape {
            value: group.value.as_deref(),
            total: FiguresShape::of(&group.total),
            functions: functions
                .map(|table| FunctionShape::of(table, Basis::Stacks))
                .collect(),
            elsewhere: FiguresShape::of(&group.elsewhere),
        }
    }
}

#[derive(Serialize)]
struct FunctionShape<'a> {
    name: &'a str,
    file: &'a str,
    verified: bool,
    notes: Vec<String>,
    total: FiguresShape,
    lines: Vec<LineShape<'a>>,
}

#[derive(Serialize)]
struct LineShape<'a> {
    line: Option<u32>,
    source: Option<&'a str>,
    /// How often it ran, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    occurrences: Option<u64>,
    #[serde(flatten)]
    figures: Option<FiguresShape>,
}

#[derive(Serialize)]
pub(crate) struct FiguresShape {
    mem_usage: Option<i64>,
    increment: i64,
    allocated: i64,
    freed: i64,
    /// What counters do not know.
    #[serde(flatten)]
    of_stacks: Option<StackFiguresShape>,
}

#[derive(Serialize)]
struct StackFiguresShape {
    live: i64,
    peak: i64,
    temporary: i64,
    reallocated: i64,
    count: i64,
    freed_count: i64,
    live_count: i64,
    peak_count: i64,
    samples: u64,
    /// Of the figures that have one; exact ones are left out.
    standard_error: BTreeMap<&'static str, f64>,
}

#[derive(Serialize)]
struct SummaryShape<'a> {
    schema: &'static str,
    recording: RecordingShape<'a>,
    sampling: SamplingShape,
    lines: Vec<TopShape<'a>>,
    elsewhere: FiguresShape,
    contexts: Vec<KeyShape<'a>>,
    unattributed: FiguresShape,
    sizes: Vec<SizeShape>,
    threads: Vec<ThreadShape<'a>>,
    recorder: OwnCostShape,
    losses: Vec<LossShape>,
    defects: Vec<String>,
}

#[derive(Serialize)]
struct SizeShape {
    from: u64,
    to: u64,
    count: i64,
    bytes: u64,
}

#[derive(Serialize)]
struct ThreadShape<'a> {
    name: &'a str,
    tid: u32,
    running: bool,
    alloc_bytes: u64,
    freed_bytes: u64,
    own_alloc_bytes: u64,
}

#[derive(Serialize)]
struct OwnCostShape {
    time_ns: u64,
    unsampled_ns: u64,
    cpu_ns: u64,
    bytes: u64,
    frame_pointer_walks: u64,
    table_walks: u64,
}

impl SizeShape {
    fn of(size: &SizeBar) -> Self {
        SizeShape {
            from: size.from,
            to: size.to,
            count: size.count,
            bytes: size.bytes,
        }
    }
}

impl<'a> ThreadShape<'a> {
    fn of(thread: &'a ThreadRow) -> Self {
        ThreadShape {
            name: &thread.name,
            tid: thread.tid,
            running: thread.running,
            alloc_bytes: thread.alloc_bytes,
            freed_bytes: thread.freed_bytes,
            own_alloc_bytes: thread.own_alloc_bytes,
        }
    }
}

impl OwnCostShape {
    fn of(own: &OwnCost) -> Self {
        OwnCostShape {
            time_ns: own.time_ns,
            unsampled_ns: own.unsampled_ns,
            cpu_ns: own.cpu_ns,
            bytes: own.bytes,
            frame_pointer_walks: own.frame_pointer_walks,
            table_walks: own.table_walks,
        }
    }
}

#[derive(Serialize)]
struct TopShape<'a> {
    file: &'a str,
    line: Option<u32>,
    function: &'a str,
    #[serde(flatten)]
    figures: FiguresShape,
}

impl<'a> FunctionShape<'a> {
    fn of(table: &'a Table, basis: Basis) -> Self {
        let line = |line: &'a Line| LineShape {
            line: line.number,
            source: line.contents.as_deref(),
            occurrences: line.occurrences,
            figures: (line.figures.as_ref())
                .map(|figures| FiguresShape::with_basis(figures, basis)),
        };
        FunctionShape {
            name: &table.function,
            file: &table.file,
            verified: table.verified,
            notes: table.notes.iter().map(ToString::to_string).collect(),
            total: FiguresShape::with_basis(&table.total, basis),
            lines: table.lines.iter().map(line).collect(),
        }
    }
}

impl FiguresShape {
    pub(crate) fn of(figures: &Figures) -> Self {
        Self::with_basis(figures, Basis::Stacks)
    }

    fn with_basis(figures: &Figures, basis: Basis) -> Self {
        FiguresShape {
            mem_usage: figures.mem_usage,
            increment: figures.increment.bytes,
            allocated: figures.allocated.bytes,
            freed: figures.freed.bytes,
            of_stacks: (basis == Basis::Stacks).then(|| StackFiguresShape::of(figures)),
        }
    }
}

impl StackFiguresShape {
    fn of(figures: &Figures) -> Self {
        let all = [
            ("increment", figures.increment),
            ("allocated", figures.allocated),
            ("freed", figures.freed),
            ("live", figures.live),
            ("peak", figures.at_peak),
            ("temporary", figures.temporary),
            ("reallocated", figures.reallocated),
            ("count", Metric::Count.blocks(figures)),
            ("freed_count", Metric::Freed.blocks(figures)),
            ("live_count", Metric::Live.blocks(figures)),
            ("peak_count", Metric::Peak.blocks(figures)),
        ];
        let error = |(name, bytes): (&'static str, Bytes)| {
            (bytes.standard_error > 0.0).then_some((name, bytes.standard_error))
        };
        StackFiguresShape {
            live: figures.live.bytes,
            peak: figures.at_peak.bytes,
            temporary: figures.temporary.bytes,
            reallocated: figures.reallocated.bytes,
            count: figures.count,
            freed_count: figures.freed_count,
            live_count: figures.live_count,
            peak_count: figures.at_peak_count,
            samples: figures.samples,
            standard_error: all.into_iter().filter_map(error).collect(),
        }
    }
}

pub(super) fn write(shape: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    let json = serde_json::to_string_pretty(shape)?;
    let mut shown = String::with_capacity(json.len());
    for char in json.chars() {
        // What JSON leaves alone may still steer a terminal. Such characters stand only within
        // strings, where they may be written by number as well; the line ends between values are
        // the exception.
        if is_steering(char) && char != '\n' {
            for unit in char.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(char);
        }
    }
    writeln!(out, "{shown}")
}
