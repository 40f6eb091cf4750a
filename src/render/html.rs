//! A report as one page for the browser: source with figures, functions, stacks and the timeline,
//! nothing loaded from anywhere. This file makes the page's data; `html/` holds the page itself.

mod moments;
mod parts;

use std::io::{self, Write};

use serde::Serialize;

use super::axis::{byte_ticks, time_ticks};
use super::escape::{escape, escape_source};
use super::footer::footer_lines;
use super::own_memory;
use super::page::HtmlPage;
use super::rss_text;
use super::spans;
use super::{format, moment};
use crate::report::{ContextViews, Limits, MomentStacks, Report, Stacks, Table, Timeline, Types};
use moments::MomentsData;
use parts::{FiguresData, FrameData, Frames, PartData, Trees, TypeData};

const BODY: &str = include_str!("html/report.html");
const SCRIPT: &str = concat!(include_str!("html/page.js"), include_str!("html/report.js"));

/// Frames of each flamegraph of a context at most, of those of a whole profile.
const PART_OF_FRAMES: usize = 8;
/// A page for the browser.
#[derive(Clone, Copy, Debug)]
pub struct Html<'a> {
    /// Functions at most, those with the most bytes first.
    pub functions: usize,
    /// Lines of source at most.
    pub lines: usize,
    /// Frames of each flamegraph at most.
    pub frames: usize,
    /// What the blocks are, if it was looked up.
    pub types: Option<&'a Types>,
    /// What can be looked at alone.
    pub contexts: Option<&'a ContextViews>,
    /// What was live when, of the page's stacks.
    pub moments: Option<&'a MomentStacks>,
}

impl Default for Html<'_> {
    fn default() -> Self {
        Html {
            functions: 2_000,
            lines: 40_000,
            frames: 4_000,
            types: None,
            contexts: None,
            moments: None,
        }
    }
}

impl Html<'_> {
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
        let limits = Limits {
            min_share: 0.0002,
            nodes: self.frames,
            depth: 200,
        };
        let mut frames = Frames::default();
        let (trees, cut_trees) = Trees::of(stacks, limits, &mut frames);
        notes.extend(moment::line(&report.recording));
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
        let limits = Limits {
            nodes: self.frames / PART_OF_FRAMES,
            ..limits
        };
        let shown = &report.tables[..tables.len()];
        let contexts = self.contexts.iter().flat_map(|contexts| &contexts.views);
        let contexts = contexts.map(|view| PartData::of(view, shown, limits, &mut frames));
        let contexts: Vec<PartData> = contexts.collect();
        if let Some(more) =
            (self.contexts.map(|contexts| contexts.left_out)).filter(|&more| more > 0)
        {
            let s = if more == 1 { "" } else { "s" };
            notes.push(format!(
                "Cut: {more} more context{s} with fewer bytes cannot be chosen; `memprof contexts` lists them, `--context` shows one."
            ));
        }
        let types = self.types.map(|types| TypeData::all(&types.rows));
        let moments = self.moments;
        let moments = moments.map(|it| (it, MomentsData::of(it, stacks, &mut frames)));
        if let Some((MomentStacks { moments, .. }, None)) = &moments
            && !moments.is_empty()
        {
            notes.push(
                "Cut: moments cannot be chosen on this page, as there are too many stacks; `--at` and `--since` show one."
                    .to_owned(),
            );
        }
        let moments = moments.and_then(|(_, data)| data);
        ReportData {
            about: About::of(report),
            notes: notes.iter().map(|note| escape(note).into_owned()).collect(),
            timeline: TimelineData::of(timeline),
            resident: ResidentData::of(timeline),
            tables,
            frames: frames.used,
            trees,
            types: types.unwrap_or_default(),
            contexts,
            moments,
        }
    }
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

/// Where the resident memory was: the moments, and of each part what it had then.
#[derive(Serialize)]
struct ResidentData {
    moments: Vec<String>,
    parts: Vec<(&'static str, Vec<i64>)>,
}

impl ResidentData {
    fn of(timeline: &Timeline) -> ResidentData {
        let shown = &timeline.resident;
        let moments = shown
            .iter()
            .map(|account| rss_text::moment(&timeline.recording, account));
        let kinds = shown.first().map_or(&[][..], |account| &account.parts);
        let parts = kinds.iter().map(|part| {
            let bytes = shown.iter().map(|account| account.part(part.kind).bytes);
            (rss_text::label(part.kind), bytes.collect::<Vec<_>>())
        });
        ResidentData {
            moments: moments.collect(),
            parts: parts
                .filter(|(_, bytes)| bytes.iter().any(|&bytes| bytes > 0))
                .collect(),
        }
    }
}

#[derive(Serialize)]
struct ReportData {
    about: About,
    notes: Vec<String>,
    timeline: TimelineData,
    resident: ResidentData,
    tables: Vec<TableData>,
    frames: Vec<FrameData>,
    trees: Trees,
    types: Vec<TypeData>,
    contexts: Vec<PartData>,
    /// Null if none can be chosen.
    moments: Option<MomentsData>,
}

#[derive(Serialize)]
struct About {
    program: String,
    who: String,
    date: String,
    peak: i64,
    peak_at: String,
    heap: i64,
    heap_when: String,
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
            who: recording.who(),
            date: format::date(recording.started_unix_ns),
            peak: recording.peak,
            peak_at: format::seconds(recording.peak_ns),
            heap: recording.heap,
            heap_when: match &recording.shown {
                Some(shown) => format!("in use at {}", escape(&shown.at.to_string())),
                None => "in use at the end".to_owned(),
            },
            allocated: counters.alloc_bytes,
            freed: counters.freed_bytes,
            blocks: counters.allocs.saturating_add(counters.reallocs),
        }
    }
}

#[derive(Serialize)]
struct TimelineData {
    /// Time, heap, RSS, and the RSS without what may be the recorder's.
    points: Vec<(u64, i64, Option<u64>, Option<u64>)>,
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
                .map(|point| {
                    let without_own = point.rss_without_own();
                    (point.time_ns, point.heap, point.rss, without_own)
                })
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
