//! Leaks as JSON and as CSV, for programs and spreadsheets.

use std::io::{self, Write};

use serde::Serialize;

use super::FiguresShape;
use super::cell::{text, unwrapped};
use super::shape::{self, LossShape, RecordingShape, SamplingShape};
use crate::report::{Bytes, ContextStacks, Leak, Metric, Stacks, StacksBy};

/// Name and version of the shape.
const LEAKS: &str = "memprof-leaks/1";

/// Leaks as JSON: `docs/json.md` describes the shape.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeaksJson;

/// Leaks as CSV, one row for each line. Bytes are exact integers.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeaksCsv;

impl LeaksJson {
    /// Writes what is live in `stacks`, which are to be [restricted](Stacks::restricted), and in
    /// each context of `by`, to `out`.
    pub fn leaks(
        &self,
        stacks: &Stacks,
        by: Option<&StacksBy>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let contexts = |by: &StacksBy| by.contexts.iter().map(ContextLeaksShape::of).collect();
        let shape = LeaksShape {
            schema: LEAKS,
            recording: RecordingShape::of(&stacks.recording),
            sampling: SamplingShape::of(&stacks.sampling),
            scope: shape::scope(stacks.scope),
            waypoints_ns: &stacks.waypoints,
            heap_growth: stacks.heap_growth.map(|growth| HeapGrowthShape {
                bytes: growth.bytes,
                span_ns: growth.span_ns,
                sample_to_show: growth.missed(&stacks.sampling),
            }),
            total: FiguresShape::of(&stacks.total),
            lines: lines(stacks),
            key: by.map(|by| by.key.as_str()),
            contexts: by.map(contexts),
            unattributed: FiguresShape::of(&stacks.unattributed),
            losses: shape::losses(&stacks.losses),
            defects: shape::defects(&stacks.defects),
        };
        super::json::write(&shape, out)
    }
}

#[derive(Serialize)]
struct LeaksShape<'a> {
    schema: &'static str,
    recording: RecordingShape<'a>,
    sampling: SamplingShape,
    scope: &'static str,
    waypoints_ns: &'a [u64],
    /// Null if it did not grow steadily.
    heap_growth: Option<HeapGrowthShape>,
    total: FiguresShape,
    lines: Vec<LeakLineShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contexts: Option<Vec<ContextLeaksShape>>,
    unattributed: FiguresShape,
    losses: Vec<LossShape>,
    defects: Vec<String>,
}

#[derive(Serialize)]
struct HeapGrowthShape {
    bytes: i64,
    span_ns: u64,
    /// Null if the lines show it.
    sample_to_show: Option<u64>,
}

#[derive(Serialize)]
struct ContextLeaksShape {
    /// Null: no context of the key was in force.
    value: Option<String>,
    #[serde(flatten)]
    leak: LeakShape,
    lines: Vec<LeakLineShape>,
}

#[derive(Serialize)]
struct LeakLineShape {
    function: String,
    file: String,
    line: Option<u32>,
    #[serde(flatten)]
    leak: LeakShape,
}

#[derive(Serialize)]
struct LeakShape {
    score: f64,
    kept: f64,
    since_peak: i64,
    oldest_ns: Option<u64>,
    youngest_ns: Option<u64>,
    /// Null if the run was too short to tell.
    growth: Option<LeakGrowthShape>,
    #[serde(flatten)]
    figures: FiguresShape,
}

#[derive(Serialize)]
struct LeakGrowthShape {
    since_warm: i64,
    standard_error: f64,
    span_ns: u64,
    course: Vec<i64>,
}

fn lines(stacks: &Stacks) -> Vec<LeakLineShape> {
    let line = |leak: &Leak| {
        let frame = &stacks.frames[leak.site.frame as usize];
        LeakLineShape {
            function: frame.function.clone(),
            file: frame.file.clone(),
            line: frame.line,
            leak: LeakShape::of(leak, stacks),
        }
    };
    stacks.leaks().iter().map(line).collect()
}

impl ContextLeaksShape {
    fn of(context: &ContextStacks) -> ContextLeaksShape {
        ContextLeaksShape {
            value: context.value.clone(),
            leak: LeakShape::of(&context.stacks.leak(), &context.stacks),
            lines: lines(&context.stacks),
        }
    }
}

impl LeakShape {
    fn of(leak: &Leak, stacks: &Stacks) -> LeakShape {
        let age = leak.site.age(&stacks.recording);
        LeakShape {
            score: leak.score(),
            kept: leak.site.kept(),
            since_peak: leak.site.since_peak(),
            oldest_ns: age.map(|age| age.oldest_ns),
            youngest_ns: age.map(|age| age.youngest_ns),
            growth: leak.growth.as_ref().map(|growth| LeakGrowthShape {
                since_warm: growth.since_warm.bytes,
                standard_error: growth.since_warm.standard_error,
                span_ns: growth.span_ns,
                course: growth.course.clone(),
            }),
            figures: FiguresShape::of(&leak.site.figures),
        }
    }
}

const HEADINGS: [&str; 16] = [
    "file",
    "function",
    "line",
    "score",
    "live",
    "live_standard_error",
    "live_count",
    "live_count_standard_error",
    "allocated",
    "allocated_standard_error",
    "kept",
    "since_peak",
    "oldest_ns",
    "youngest_ns",
    "growth",
    "growth_standard_error",
];

impl LeaksCsv {
    /// Writes what is live in `stacks` to `out`, or what is live in each context of `by`.
    pub fn leaks(
        &self,
        stacks: &Stacks,
        by: Option<&StacksBy>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let mut rows = csv::Writer::from_writer(out);
        let context = by.map(|_| "context");
        rows.write_record(HEADINGS.into_iter().chain(context))
            .map_err(unwrapped)?;
        let Some(by) = by else {
            for leak in stacks.leaks() {
                rows.write_record(cells(&leak, stacks)).map_err(unwrapped)?;
            }
            return rows.flush();
        };
        for context in &by.contexts {
            let value = text(context.value.as_deref().unwrap_or("(none)"));
            for leak in context.stacks.leaks() {
                let cells = cells(&leak, &context.stacks);
                rows.write_record(cells.iter().chain([&value]))
                    .map_err(unwrapped)?;
            }
        }
        rows.flush()
    }
}

fn cells(leak: &Leak, stacks: &Stacks) -> Vec<String> {
    fn number<T: ToString>(value: Option<T>) -> String {
        value.map(|value| value.to_string()).unwrap_or_default()
    }
    let with_error = |figure: Bytes| [figure.bytes.to_string(), figure.standard_error.to_string()];
    let (site, frame) = (&leak.site, &stacks.frames[leak.site.frame as usize]);
    let age = site.age(&stacks.recording);
    let since_warm = leak.growth.as_ref().map(|growth| growth.since_warm);
    let mut cells = vec![
        text(&frame.file),
        text(&frame.function),
        number(frame.line),
        leak.score().to_string(),
    ];
    cells.extend(with_error(site.figures.live));
    cells.extend(with_error(Metric::Live.blocks(&site.figures)));
    cells.extend(with_error(site.figures.allocated));
    cells.extend([
        site.kept().to_string(),
        site.since_peak().to_string(),
        number(age.map(|age| age.oldest_ns)),
        number(age.map(|age| age.youngest_ns)),
        number(since_warm.map(|growth| growth.bytes)),
        number(since_warm.map(|growth| growth.standard_error)),
    ]);
    cells
}
