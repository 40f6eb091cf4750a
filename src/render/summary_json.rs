//! Summaries as JSON; `docs/json.md` describes the shape.

use std::io::{self, Write};

use serde::Serialize;

use super::Json;
use super::contexts_json::KeyShape;
use super::json::{FiguresShape, write};
use super::rss_json::AccountShape;
use super::shape::{self, LossShape, RecordingShape, SamplingShape};
use crate::report::{HeapRow, OwnCost, SizeBar, Summary, ThreadRow};

/// Name and version of the shape.
const SUMMARY: &str = "memprof-summary/1";

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
            heaps: summary.heaps.iter().map(HeapShape::of).collect(),
            resident: summary.resident.iter().map(AccountShape::of).collect(),
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
struct SummaryShape<'a> {
    schema: &'static str,
    recording: RecordingShape<'a>,
    sampling: SamplingShape,
    lines: Vec<TopShape<'a>>,
    elsewhere: FiguresShape,
    heaps: Vec<HeapShape<'a>>,
    resident: Vec<AccountShape>,
    contexts: Vec<KeyShape<'a>>,
    unattributed: FiguresShape,
    sizes: Vec<SizeShape>,
    threads: Vec<ThreadShape<'a>>,
    recorder: OwnCostShape,
    losses: Vec<LossShape>,
    defects: Vec<String>,
}

#[derive(Serialize)]
struct HeapShape<'a> {
    name: &'a str,
    in_use: i64,
    peak: i64,
    alloc_bytes: u64,
    allocs: u64,
    freed_bytes: u64,
}

impl<'a> HeapShape<'a> {
    fn of(heap: &'a HeapRow) -> Self {
        HeapShape {
            name: &heap.name,
            in_use: heap.in_use,
            peak: heap.peak,
            alloc_bytes: heap.alloc_bytes,
            allocs: heap.allocs,
            freed_bytes: heap.freed_bytes,
        }
    }
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
