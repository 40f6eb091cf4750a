//! Contexts as JSON; `docs/json.md` describes the shape.

use std::io::{self, Write};

use serde::Serialize;

use super::Json;
use super::json::{FiguresShape, write};
use super::shape::{self, LossShape, RecordingShape, SamplingShape};
use crate::report::{ContextKey, ContextLine, ContextRow, ContextsReport};

/// Name and version of the shape.
const CONTEXTS: &str = "memprof-contexts/1";

impl Json {
    /// Writes `report` to `out`.
    pub fn contexts(&self, report: &ContextsReport, out: &mut dyn Write) -> io::Result<()> {
        let shape = ContextsShape {
            schema: CONTEXTS,
            recording: RecordingShape::of(&report.recording),
            sampling: SamplingShape::of(&report.sampling),
            keys: report.keys.iter().map(KeyShape::of).collect(),
            unattributed: FiguresShape::of(&report.unattributed),
            losses: shape::losses(&report.losses),
            defects: shape::defects(&report.defects),
        };
        write(&shape, out)
    }
}

#[derive(Serialize)]
struct ContextsShape<'a> {
    schema: &'static str,
    recording: RecordingShape<'a>,
    sampling: SamplingShape,
    keys: Vec<KeyShape<'a>>,
    unattributed: FiguresShape,
    losses: Vec<LossShape>,
    defects: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct KeyShape<'a> {
    key: &'a str,
    contexts: Vec<ContextShape<'a>>,
    none: FiguresShape,
    total: FiguresShape,
}

#[derive(Serialize)]
struct ContextShape<'a> {
    value: &'a str,
    is_other: bool,
    #[serde(flatten)]
    figures: FiguresShape,
    growth_per_second: Option<i64>,
    exact: ExactShape,
    entries: EntriesShape,
    lines: Vec<ContextLineShape<'a>>,
}

/// What is counted whatever is sampled.
#[derive(Serialize)]
struct ExactShape {
    alloc_bytes: u64,
    allocs: u64,
    freed_bytes: u64,
    frees: u64,
}

#[derive(Serialize)]
struct EntriesShape {
    count: u64,
    mean: Option<u64>,
    p50: Option<u64>,
    p95: Option<u64>,
    p99: Option<u64>,
    most: u64,
}

#[derive(Serialize)]
struct ContextLineShape<'a> {
    function: &'a str,
    file: &'a str,
    line: Option<u32>,
    #[serde(flatten)]
    figures: FiguresShape,
}

impl<'a> KeyShape<'a> {
    pub(super) fn of(key: &'a ContextKey) -> Self {
        KeyShape {
            key: &key.key,
            contexts: key.rows.iter().map(ContextShape::of).collect(),
            none: FiguresShape::of(&key.none),
            total: FiguresShape::of(&key.total),
        }
    }
}

impl<'a> ContextShape<'a> {
    fn of(row: &'a ContextRow) -> Self {
        let context = &row.context;
        ContextShape {
            value: &context.value,
            is_other: context.is_other,
            figures: FiguresShape::of(&row.figures),
            growth_per_second: row.growth.map(|growth| growth.bytes),
            exact: ExactShape {
                alloc_bytes: context.alloc_bytes,
                allocs: context.allocs,
                freed_bytes: context.freed_bytes,
                frees: context.frees,
            },
            entries: EntriesShape {
                count: context.entries,
                mean: context.mean_in_entry(),
                p50: context.entry_bytes(0.5),
                p95: context.entry_bytes(0.95),
                p99: context.entry_bytes(0.99),
                most: context.most_in_entry,
            },
            lines: row.lines.iter().map(ContextLineShape::of).collect(),
        }
    }
}

impl<'a> ContextLineShape<'a> {
    fn of(line: &'a ContextLine) -> Self {
        ContextLineShape {
            function: &line.function,
            file: &line.file,
            line: line.line,
            figures: FiguresShape::of(&line.figures),
        }
    }
}
