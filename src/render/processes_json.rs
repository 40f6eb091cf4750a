//! Tests and processes as JSON, which `docs/json.md` describes, and as CSV.

use std::io::{self, Write};

use serde::Serialize;

use super::cell::{text, unwrapped};
use super::json::write;
use super::shape::{self, RecordingShape};
use crate::report::{GrownLine, ProcessFigures, ProcessRow, Processes};

/// Name and version of the shape.
const PROCESSES: &str = "memprof-processes/1";

/// For programs.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessesJson;

/// For spreadsheets: a row for each test or process. Bytes are exact integers.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessesCsv;

const HEADINGS: [&str; 14] = [
    "name",
    "of",
    "attempt",
    "attempts",
    "processes",
    "peak",
    "allocated",
    "live",
    "count",
    "duration_ns",
    "unfinished",
    "base_peak",
    "base_allocated",
    "base_live",
];

impl ProcessesJson {
    /// Writes `processes` to `out`.
    pub fn processes(&self, processes: &Processes, out: &mut dyn Write) -> io::Result<()> {
        let shape = ProcessesShape {
            schema: PROCESSES,
            recording: RecordingShape::of(&processes.recording),
            are_tests: processes.are_tests,
            without_test: processes.without_test,
            processes: processes.rows.iter().map(ProcessShape::of).collect(),
            gone: processes.gone,
            grown: processes.grown.iter().map(GrownShape::of).collect(),
            defects: shape::defects(&processes.defects),
        };
        write(&shape, out)
    }
}

impl ProcessesCsv {
    /// Writes `processes` to `out`.
    pub fn processes(&self, processes: &Processes, out: &mut dyn Write) -> io::Result<()> {
        let mut rows = csv::Writer::from_writer(out);
        rows.write_record(HEADINGS).map_err(unwrapped)?;
        for row in &processes.rows {
            let of_base = |of: fn(&ProcessFigures) -> String| row.base.as_ref().map(of);
            let cells = [
                text(&row.name),
                text(&row.of),
                row.attempt.0.to_string(),
                row.attempt.1.to_string(),
                row.processes.to_string(),
                row.figures.peak.to_string(),
                row.figures.alloc_bytes.to_string(),
                row.figures.live.to_string(),
                row.figures.allocs.to_string(),
                row.duration_ns.to_string(),
                row.is_unfinished.to_string(),
                of_base(|base| base.peak.to_string()).unwrap_or_default(),
                of_base(|base| base.alloc_bytes.to_string()).unwrap_or_default(),
                of_base(|base| base.live.to_string()).unwrap_or_default(),
            ];
            rows.write_record(cells).map_err(unwrapped)?;
        }
        rows.flush()
    }
}

#[derive(Serialize)]
struct ProcessesShape<'a> {
    schema: &'static str,
    recording: RecordingShape<'a>,
    are_tests: bool,
    without_test: usize,
    processes: Vec<ProcessShape<'a>>,
    gone: Option<usize>,
    grown: Vec<GrownShape<'a>>,
    defects: Vec<String>,
}

#[derive(Serialize)]
struct ProcessShape<'a> {
    name: &'a str,
    of: &'a str,
    attempt: u32,
    attempts: u32,
    processes: usize,
    files: &'a [String],
    peak: i64,
    allocated: u64,
    live: i64,
    count: u64,
    duration_ns: u64,
    unfinished: bool,
    base: Option<ProcessFiguresShape>,
}

#[derive(Serialize)]
struct ProcessFiguresShape {
    peak: i64,
    allocated: u64,
    live: i64,
    count: u64,
}

#[derive(Serialize)]
struct GrownShape<'a> {
    file: &'a str,
    line: Option<u32>,
    function: &'a str,
    base_peak: i64,
    peak: i64,
    standard_error: f64,
}

impl ProcessShape<'_> {
    fn of(row: &ProcessRow) -> ProcessShape<'_> {
        ProcessShape {
            name: &row.name,
            of: &row.of,
            attempt: row.attempt.0,
            attempts: row.attempt.1,
            processes: row.processes,
            files: &row.files,
            peak: row.figures.peak,
            allocated: row.figures.alloc_bytes,
            live: row.figures.live,
            count: row.figures.allocs,
            duration_ns: row.duration_ns,
            unfinished: row.is_unfinished,
            base: row.base.as_ref().map(|base| ProcessFiguresShape {
                peak: base.peak,
                allocated: base.alloc_bytes,
                live: base.live,
                count: base.allocs,
            }),
        }
    }
}

impl GrownShape<'_> {
    fn of(line: &GrownLine) -> GrownShape<'_> {
        GrownShape {
            file: &line.file,
            line: line.line,
            function: &line.function,
            base_peak: line.change.base.bytes,
            peak: line.change.new.bytes,
            standard_error: line.change.difference().standard_error,
        }
    }
}
