//! Differences as one page for the browser: what changed as a whole, functions to sort and to
//! search, and their lines in both versions. This file makes the page's data; `html/` holds the
//! page itself.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::diff_text::{DiffText, footer};
use super::escape::escape;
use super::format;
use super::html::source;
use super::page::HtmlPage;
use crate::report::Metric;
use crate::report::diff::{
    Diff, FunctionChange, Growth, LineChange, Pair, PartChanges, Presence, Side,
};

const BODY: &str = include_str!("html/diff.html");
const SCRIPT: &str = concat!(include_str!("html/page.js"), include_str!("html/diff.js"));

/// Differences as a page for the browser.
#[derive(Clone, Debug)]
pub struct DiffHtml<'a> {
    /// The figure shown first.
    pub metric: Metric,
    /// What grew beyond a limit, and the limit; `None` if no limit was set.
    pub grown: Option<(&'a [Growth], &'a str)>,
    /// Functions at most, the first ones of the diff.
    pub functions: usize,
    /// Lines of source at most.
    pub lines: usize,
}

impl Default for DiffHtml<'_> {
    fn default() -> Self {
        DiffHtml {
            metric: Metric::default(),
            grown: None,
            functions: 2_000,
            lines: 40_000,
        }
    }
}

impl DiffHtml<'_> {
    /// Writes `diff` to `out`.
    pub fn page(&self, diff: &Diff, out: &mut dyn Write) -> io::Result<()> {
        let program = match diff.new.recording.program.as_str() {
            "" => "unknown program",
            program => program,
        };
        let page = HtmlPage {
            title: &format!("{program}: what changed"),
            body: BODY,
            script: SCRIPT,
            data: &self.data(diff)?,
        };
        page.write(out)
    }

    fn data(&self, diff: &Diff) -> io::Result<DiffData> {
        let mut lines = 0;
        let functions: Vec<FunctionData> = (diff.functions.iter())
            .take(self.functions)
            .take_while(|function| {
                lines += function.lines.len();
                lines <= self.lines
            })
            .map(FunctionData::of)
            .collect();
        let mut notes = written(|out| footer(diff, out))?;
        let cut = diff.functions.len() - functions.len();
        if cut > 0 {
            let cut = format::count(cut as i64);
            notes.push(format!(
                "Cut: {cut} functions that changed less are not on this page; `--function NAME` shows them."
            ));
        }
        let text = DiffText {
            metric: self.metric,
            ..DiffText::default()
        };
        let grown =
            (self.grown).map(|(grown, limit)| written(|out| text.growths(grown, limit, out)));
        let parts = |parts: &Option<PartChanges>| {
            let parts = parts.as_ref();
            let shown = parts.map(|parts| written(|out| text.parts(parts, out)));
            shown.transpose()
        };
        Ok(DiffData {
            base: SideData::of(&diff.base),
            new: SideData::of(&diff.new),
            notes,
            grown: grown.transpose()?,
            contexts: parts(&diff.contexts)?,
            types: parts(&diff.types)?,
            metric: self.metric.name(),
            whole: (Metric::ALL.into_iter())
                .filter_map(|metric| {
                    let change = diff.whole(metric)?;
                    Some((metric.name(), (change.base.bytes, change.new.bytes)))
                })
                .collect(),
            functions,
        })
    }
}

/// The lines that `write` writes, which is text for a terminal without colours.
fn written(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<Vec<String>> {
    let mut text = Vec::new();
    write(&mut text)?;
    let text = anstream::adapter::strip_bytes(&text).into_vec();
    let lines = String::from_utf8_lossy(&text).into_owned();
    Ok(lines.lines().map(str::to_owned).collect())
}

#[derive(Serialize)]
struct DiffData {
    base: SideData,
    new: SideData,
    notes: Vec<String>,
    /// What grew beyond the limit, in words.
    grown: Option<Vec<String>>,
    /// Which contexts changed, as text, if they are compared.
    contexts: Option<Vec<String>>,
    /// Which types did, likewise.
    types: Option<Vec<String>>,
    metric: &'static str,
    /// By metric: base, new.
    whole: BTreeMap<&'static str, (i64, i64)>,
    functions: Vec<FunctionData>,
}

#[derive(Serialize)]
struct SideData {
    program: String,
    who: String,
    date: String,
}

impl SideData {
    fn of(side: &Side) -> SideData {
        SideData {
            program: escape(&side.recording.program).into_owned(),
            who: side.recording.who(),
            date: format::date(side.recording.started_unix_ns),
        }
    }
}

/// By metric, of those that are not 0 in both: base, new, whether the change is within the noise.
type FiguresData = BTreeMap<&'static str, (i64, i64, bool)>;

fn figures(pair: &Pair) -> FiguresData {
    let figures = Metric::ALL.into_iter().filter_map(|metric| {
        let change = pair.change(metric);
        let (base, new) = (change.base.bytes, change.new.bytes);
        (base != 0 || new != 0).then(|| (metric.name(), (base, new, change.is_within_noise())))
    });
    figures.collect()
}

#[derive(Serialize)]
struct FunctionData {
    file: String,
    name: String,
    /// File and name in the base, if they were others.
    was: Option<(String, String)>,
    /// Which reports have it: `new`, `gone`, or empty for both.
    state: &'static str,
    total: FiguresData,
    lines: Vec<LineData>,
}

impl FunctionData {
    fn of(function: &FunctionChange) -> FunctionData {
        let shown = |text: &String| escape(text).into_owned();
        FunctionData {
            file: shown(&function.file),
            name: shown(&function.function),
            was: (function.was.as_ref()).map(|(file, name)| (shown(file), shown(name))),
            state: match (&function.total.base, &function.total.new) {
                (None, _) => "new",
                (_, None) => "gone",
                _ => "",
            },
            total: figures(&function.total),
            lines: function.lines.iter().map(LineData::of).collect(),
        }
    }
}

#[derive(Serialize)]
struct LineData {
    number: Option<u32>,
    base_number: Option<u32>,
    /// As in the text: `+`, `-`, `~`, or a space.
    mark: char,
    text: String,
    was: Option<String>,
    figures: FiguresData,
}

impl LineData {
    fn of(line: &LineChange) -> LineData {
        LineData {
            number: line.number,
            base_number: line.base_number,
            mark: match line.presence {
                Presence::Base => '-',
                Presence::New => '+',
                Presence::Both if line.was.is_some() => '~',
                Presence::Both => ' ',
            },
            text: source(line.contents.as_deref()),
            was: line.was.as_ref().map(|was| source(Some(was))),
            figures: figures(&line.figures),
        }
    }
}
