//! A report as one page for the browser: source with figures, functions, stacks and the timeline,
//! nothing loaded from anywhere. This file makes the page's data; `html/` holds the page itself.

use std::io::{self, Write};

use serde::Serialize;

use super::axis::{byte_ticks, time_ticks};
use super::escape::{escape, escape_source};
use super::footer::{cut_words, footer_lines};
use super::format;
use super::own_memory;
use super::page::HtmlPage;
use super::spans;
use crate::report::{CallTree, Figures, Limits, Metric, Origin, Report, Stacks, Table, Timeline};

const BODY: &str = include_str!("html/report.html");
const SCRIPT: &str = concat!(include_str!("html/page.js"), include_str!("html/report.js"));

/// What the page can switch between.
const METRICS: [Metric; 4] = [
    Metric::Peak,
    Metric::Live,
    Metric::Allocated,
    Metric::Temporary,
];

/// A page for the browser.
#[derive(Clone, Copy, Debug)]
pub struct Html {
    /// Functions at most, those with the most bytes first.
    pub functions: usize,
    /// Lines of source at most.
    pub lines: usize,
    /// Frames of each flamegraph at most.
    pub frames: usize,
}

impl Default for Html {
    fn default() -> Self {
        Html {
            functions: 2_000,
            lines: 40_000,
            frames: 4_000,
        }
    }
}

impl Html {
    /// Writes the page to `out`. All three are to be of one profile, and `stacks`
    /// [restricted](Stacks::restricted) to lines of the user's own source.
    pub fn page(
        &self,
        report: &Report,
        stacks: &Stacks,
        timeline: &Timeline,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let program = match report.recording.program.as_str() {
            "" => "unknown program",
            program => program,
        };
        let page = HtmlPage {
            title: &format!("{program}: memory by line"),
            body: BODY,
            script: SCRIPT,
            data: &self.data(report, stacks, timeline),
        };
        page.write(out)
    }

    fn data(&self, report: &Report, stacks: &Stacks, timeline: &Timeline) -> ReportData {
        let mut notes: Vec<String> = Vec::new();
        let mut lines = 0;
        let tables: Vec<TableData> = (report.tables.iter())
            .take(self.functions)
            .take_while(|table| {
                lines += table.lines.len();
                lines <= self.lines
            })
            .map(TableData::of)
            .collect();
        let cut_tables = report.tables.len() - tables.len();
        let mut trees = serde_json::Map::new();
        let limits = Limits {
            min_share: 0.0002,
            nodes: self.frames,
            depth: 200,
        };
        let mut cut_trees = None;
        for metric in METRICS {
            let tree = CallTree::new(stacks, metric, false, limits);
            cut_trees = cut_trees.or(cut_words(tree.cut, tree.whole()));
            let nodes: Vec<(u32, usize, i64)> = (tree.nodes.iter())
                .map(|node| (node.frame, node.parent, node.sum.bytes))
                .collect();
            trees.insert(metric.name().to_owned(), serde_json::json!(nodes));
        }
        let used = used_frames(stacks, &mut trees);
        notes.extend(footer_lines_of(report, stacks));
        notes.extend(own_memory::note(timeline));
        notes.extend(spans::note(timeline));
        if cut_tables > 0 {
            notes.push(format!(
                "Cut: {} functions with fewer bytes are not on this page; `memprof report --function NAME` shows them.",
                format::count(cut_tables as i64)
            ));
        }
        if let Some(words) = cut_trees {
            notes.push(format!("Cut: of the stacks, {words}"));
        }
        ReportData {
            about: About::of(report),
            notes: notes.iter().map(|note| escape(note).into_owned()).collect(),
            timeline: TimelineData::of(timeline),
            tables,
            frames: used,
            trees,
        }
    }
}

/// The frames that trees show, renumbered in them.
fn used_frames(
    stacks: &Stacks,
    trees: &mut serde_json::Map<String, serde_json::Value>,
) -> Vec<(String, String, Option<u32>, bool)> {
    let mut numbers: Vec<Option<usize>> = vec![None; stacks.frames.len()];
    let mut used = Vec::new();
    for nodes in trees.values_mut().filter_map(|nodes| nodes.as_array_mut()) {
        for node in nodes.iter_mut().skip(1) {
            let Some(frame) = node[0].as_u64().map(|frame| frame as usize) else {
                continue;
            };
            let number = *numbers[frame].get_or_insert_with(|| {
                let frame = &stacks.frames[frame];
                used.push((
                    escape(&frame.function).into_owned(),
                    escape(&frame.file).into_owned(),
                    frame.line,
                    frame.origin == Origin::User,
                ));
                used.len() - 1
            });
            node[0] = number.into();
        }
    }
    used
}

fn footer_lines_of(report: &Report, stacks: &Stacks) -> Vec<String> {
    let mut lines = footer_lines(stacks);
    if report.elsewhere.allocated.bytes != 0 {
        lines.push(format!(
            "{} were allocated with no function of the program's own source on the stack.",
            format::bytes(report.elsewhere.allocated.bytes)
        ));
    }
    // Defects of the report that the stacks do not have: of source files read for it.
    for defect in &report.defects {
        if !stacks.defects.contains(defect) {
            lines.push(format!("Note: {defect}."));
        }
    }
    lines
}

/// A line of source, as a page shows it.
pub(super) fn source(text: Option<&str>) -> String {
    escape_source(text.unwrap_or_default())
}

#[derive(Serialize)]
struct ReportData {
    about: About,
    notes: Vec<String>,
    timeline: TimelineData,
    tables: Vec<TableData>,
    /// Function, file, line, whether it is the user's own.
    frames: Vec<(String, String, Option<u32>, bool)>,
    /// By metric: frame, parent, sum.
    trees: serde_json::Map<String, serde_json::Value>,
}

#[derive(Serialize)]
struct About {
    program: String,
    pid: u32,
    date: String,
    peak: i64,
    peak_at: String,
    heap: i64,
    allocated: u64,
    freed: u64,
    blocks: u64,
}

impl About {
    fn of(report: &Report) -> About {
        let recording = &report.recording;
        let counters = &recording.counters;
        About {
            program: escape(&recording.program).into_owned(),
            pid: recording.pid,
            date: format::date(recording.started_unix_ns),
            peak: recording.peak,
            peak_at: format::seconds(recording.peak_ns),
            heap: recording.heap,
            allocated: counters.alloc_bytes,
            freed: counters.freed_bytes,
            blocks: counters.allocs.saturating_add(counters.reallocs),
        }
    }
}

#[derive(Serialize)]
struct TimelineData {
    points: Vec<(u64, i64, Option<u64>)>,
    ticks: Vec<(i64, String)>,
    times: Vec<(u64, String)>,
    height: i64,
    span: u64,
    peak: i64,
    peak_at: u64,
    /// Of functions: first call, end of the last, label.
    spans: Vec<(u64, u64, String)>,
}

impl TimelineData {
    fn of(timeline: &Timeline) -> TimelineData {
        let points = timeline.points.iter();
        TimelineData {
            points: points
                .map(|point| (point.time_ns, point.heap, point.rss))
                .collect(),
            ticks: byte_ticks(timeline.height(), 4),
            times: time_ticks(timeline.span_ns(), 8),
            height: timeline.height(),
            span: timeline.span_ns(),
            peak: timeline.recording.peak,
            peak_at: timeline.recording.peak_ns,
            spans: (spans::shown(timeline).into_iter())
                .map(|span| (span.first_ns, span.last_ns, spans::label(span)))
                .collect(),
        }
    }
}

#[derive(Serialize)]
struct TableData {
    file: String,
    name: String,
    notes: Vec<String>,
    total: FiguresData,
    /// Number, text, figures.
    lines: Vec<(Option<u32>, String, Option<FiguresData>)>,
}

impl TableData {
    fn of(table: &Table) -> TableData {
        let lines = table.lines.iter().map(|line| {
            let figures = line.figures.as_ref().map(FiguresData::of);
            (line.number, source(line.contents.as_deref()), figures)
        });
        let note = |note: &crate::report::Note| escape(&note.to_string()).into_owned();
        TableData {
            file: escape(&table.file).into_owned(),
            name: escape(&table.function).into_owned(),
            notes: table.notes.iter().map(note).collect(),
            total: FiguresData::of(&table.total),
            lines: lines.collect(),
        }
    }
}

#[derive(Serialize)]
struct FiguresData {
    allocated: i64,
    freed: i64,
    live: i64,
    peak: i64,
    count: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    noise: Vec<&'static str>,
}

impl FiguresData {
    fn of(figures: &Figures) -> FiguresData {
        let all = [
            ("allocated", figures.allocated),
            ("freed", figures.freed),
            ("live", figures.live),
            ("peak", figures.at_peak),
            ("count", Metric::Count.blocks(figures)),
        ];
        let noise = all.into_iter().filter(|(_, figure)| figure.is_noise());
        FiguresData {
            allocated: figures.allocated.bytes,
            freed: figures.freed.bytes,
            live: figures.live.bytes,
            peak: figures.at_peak.bytes,
            count: figures.count,
            noise: noise.map(|(name, _)| name).collect(),
        }
    }
}
