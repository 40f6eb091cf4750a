//! What is live at the end, by line and stack, the most suspicious first.

use std::io::{self, Write};

use super::cut::cut_middle;
use super::escape::escape;
use super::footer::footer;
use super::style::TITLE;
use super::tree_text::{frame_name, value};
use super::{format, moment};
use crate::report::{Bytes, Leak, Metric, ShownView, Site, StackFrame, Stacks, StacksBy};
use unicode_width::UnicodeWidthStr;

/// A list of what looks like leaks, for people.
#[derive(Clone, Copy, Debug)]
pub struct LeaksText {
    /// Lines shown.
    pub top: usize,
    /// Stacks shown for each line.
    pub stacks: usize,
    /// Characters of a line, if it is for a terminal.
    pub width: Option<usize>,
}

impl LeaksText {
    /// Writes what is live in `stacks`, which are to be [restricted](Stacks::restricted), to `out`.
    pub fn leaks(&self, stacks: &Stacks, out: &mut dyn Write) -> io::Result<()> {
        heading("", stacks, out)?;
        let leaks = stacks.leaks();
        self.lines(stacks, &leaks, "", out)?;
        if leaks.is_empty() {
            writeln!(out, "{:>12}", "nothing")?;
        }
        foot(stacks, &leaks, out)
    }

    /// Writes what is live in each context to `out`: the context, and below it its lines. `stacks`
    /// are those of the whole.
    pub fn by_context(
        &self,
        stacks: &Stacks,
        by: &StacksBy,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        heading(&format!(", by {}", escape(&by.key)), stacks, out)?;
        let mut wholes = Vec::new();
        for context in by.contexts.iter().take(self.top) {
            let whole = context.stacks.leak();
            row(
                &context.stacks,
                &whole,
                &escape(&context.title(&by.key)),
                out,
            )?;
            self.lines(&context.stacks, &context.stacks.leaks(), "  ", out)?;
            wholes.push(whole);
        }
        if by.contexts.is_empty() {
            writeln!(out, "{:>12}", "nothing")?;
        }
        if let Some(rest) = by.contexts.get(self.top..).filter(|rest| !rest.is_empty()) {
            let live = rest
                .iter()
                .map(|context| context.stacks.whole().figures.live);
            left_out(live, &format!("{} more contexts", rest.len()), out)?;
        }
        foot(stacks, &wholes, out)
    }

    /// The lines that are shown, each with its stacks.
    fn lines(
        &self,
        stacks: &Stacks,
        leaks: &[Leak],
        indent: &str,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        for leak in leaks.iter().take(self.top) {
            let name = escape(&frame_name(&stacks.frames[leak.site.frame as usize])).into_owned();
            row(stacks, leak, &format!("{indent}{name}"), out)?;
            for number in leak.site.top_stacks(stacks, Metric::Live, self.stacks) {
                stack(stacks, number, Metric::Live, self.width, out)?;
            }
        }
        match leaks.get(self.top..) {
            None | Some([]) => Ok(()),
            Some(rest) => {
                let live = rest.iter().map(|leak| leak.site.figures.live);
                left_out(live, &format!("{} more lines", rest.len()), out)
            }
        }
    }
}

fn heading(by: &str, stacks: &Stacks, out: &mut dyn Write) -> io::Result<()> {
    let total = &stacks.total;
    let (what, of) = match &stacks.recording.shown {
        None => {
            let allocated = format::bytes(total.allocated.bytes);
            (
                "Live at the end".to_owned(),
                format!(", of {allocated} allocated"),
            )
        }
        Some(_) => (
            moment::title(Metric::Live, &stacks.recording),
            String::new(),
        ),
    };
    writeln!(
        out,
        "{TITLE}{what}{by}: {} in {} blocks{of}{TITLE:#}",
        value(Metric::Live, total.live),
        format::blocks(Metric::Live.blocks(total)),
    )?;
    if stacks.recording.shown.is_some() {
        return writeln!(out, "\n{:>12} {:>10} {:>18}", "Live", "Blocks", "Growth");
    }
    missed(stacks, out)?;
    writeln!(out)?;
    writeln!(
        out,
        "{:>12} {:>12} {:>10} {:>6} {:>12} {:>10} {:>10} {:>18}  {:8}",
        "Score", "Live", "Blocks", "Kept", "Since peak", "Oldest", "Youngest", "Growth", "Course"
    )
}

/// Says so if the heap grew, and the lines may not show it.
fn missed(stacks: &Stacks, out: &mut dyn Write) -> io::Result<()> {
    let Some(growth) = stacks.heap_growth else {
        return Ok(());
    };
    let Some(interval) = growth.missed(&stacks.sampling) else {
        return Ok(());
    };
    writeln!(
        out,
        "The heap grew steadily, by {} in {} ({}/s): that is counted, but the lines below may have no sample of it, as one in {} \
         is sampled. A longer run shows whose it is, or one with `--sample {}`.",
        format::bytes(growth.bytes),
        format::seconds(growth.span_ns),
        format::bytes(growth.per_second() as i64),
        format::bytes(stacks.sampling.interval as i64),
        short_size(interval),
    )
}

/// A power of two as the command line takes it: `16KiB`.
fn short_size(bytes: u64) -> String {
    match bytes.trailing_zeros() {
        30.. => format!("{}GiB", bytes >> 30),
        20.. => format!("{}MiB", bytes >> 20),
        10.. => format!("{}KiB", bytes >> 10),
        _ => bytes.to_string(),
    }
}

fn row(stacks: &Stacks, leak: &Leak, name: &str, out: &mut dyn Write) -> io::Result<()> {
    let site = &leak.site;
    if let Some(shown) = &stacks.recording.shown {
        return writeln!(
            out,
            "{:>12} {:>10} {:>18}  {TITLE}{name}{TITLE:#}",
            value(Metric::Live, site.figures.live),
            format::blocks(Metric::Live.blocks(&site.figures)),
            since(shown, site).map(rate).unwrap_or_default(),
        );
    }
    let grown = site.since_peak();
    let sign = if grown > 0 { "+" } else { "" };
    let age = site.age(&stacks.recording);
    let ago = |ns: Option<u64>| ns.map(format::seconds).unwrap_or_default();
    let growth = leak.growth.as_ref();
    writeln!(
        out,
        "{:>12} {:>12} {:>10} {:>5.0}% {:>12} {:>10} {:>10} {:>18}  {:8}  {TITLE}{name}{TITLE:#}",
        format::bytes(leak.score() as i64),
        value(Metric::Live, site.figures.live),
        format::blocks(Metric::Live.blocks(&site.figures)),
        site.kept() * 100.0,
        format!("{sign}{}", format::bytes(grown)),
        ago(age.map(|age| age.oldest_ns)),
        ago(age.map(|age| age.youngest_ns)),
        match growth {
            Some(growth) => rate(growth.per_second()),
            None => over_the_run(stacks, site).map(rate).unwrap_or_default(),
        },
        growth
            .map(|growth| curve(&growth.course))
            .unwrap_or_default(),
    )
}

/// What is live in `what` that is not shown.
fn left_out(live: impl Iterator<Item = Bytes>, what: &str, out: &mut dyn Write) -> io::Result<()> {
    let sum = live.fold(0, |sum: i64, live| sum.saturating_add(live.bytes));
    writeln!(out, "{:>12} {:>12}  in {what}", "", format::bytes(sum))
}

fn foot(stacks: &Stacks, leaks: &[Leak], out: &mut dyn Write) -> io::Result<()> {
    if let Some(shown) = &stacks.recording.shown {
        if shown.since.is_some() {
            writeln!(
                out,
                "\nGrowth: what was allocated since and not freed, by second."
            )?;
        } else {
            writeln!(out)?;
        }
        return footer(stacks, out);
    }
    writeln!(out, "\n{}", legend(leaks))?;
    writeln!(
        out,
        "Kept: the part of what the line allocated that is live. Since peak: live at the end minus in use at the peak. \
         Oldest and youngest: time since the first and since the last block was taken; what is live is no older and no \
         younger."
    )?;
    footer(stacks, out)
}

fn legend(leaks: &[Leak]) -> String {
    let span = leaks
        .iter()
        .find_map(|leak| Some(leak.growth.as_ref()?.span_ns));
    match span {
        Some(span_ns) => format!(
            "Score: bytes by which the line grew in the last {}, after a quarter of the run; less if not at all times, and \
             less by half if that is three standard errors. Growth: live at the end minus live then, by second. Course: live over the run.",
            format::seconds(span_ns)
        ),
        None => "Score: bytes live, times the part of what the line allocated that this is; the run was too short to tell \
                 what grows. Growth: live at the end, by second."
            .to_owned(),
    }
}

/// Bytes live by second since the moment after which they were allocated.
fn since(shown: &ShownView, site: &Site) -> Option<Bytes> {
    shown.since.as_ref()?;
    let seconds = shown.span_ns() as f64 / 1e9;
    (seconds > 0.0).then(|| site.figures.live.per(seconds))
}

/// Bytes live by second of the run.
fn over_the_run(stacks: &Stacks, site: &Site) -> Option<Bytes> {
    let seconds = stacks.recording.duration_ns as f64 / 1e9;
    (seconds > 0.0).then(|| site.figures.live.per(seconds))
}

/// Growth by second, with its error.
fn rate(rate: Bytes) -> String {
    let sign = if rate.bytes > 0 { "+" } else { "" };
    let error = match rate.bytes {
        0 => String::new(),
        _ if rate.standard_error == 0.0 => String::new(),
        _ => format!(" ± {:.0}%", (rate.relative_error() * 100.0).min(999.0)),
    };
    format!("{sign}{}/s{error}", format::bytes(rate.bytes))
}

/// A course as a row of bars, the highest being full.
fn curve(course: &[i64]) -> String {
    const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let highest = course.iter().copied().max().unwrap_or(0).max(1) as f64;
    let bar = |&live: &i64| BARS[(live.max(0) as f64 / highest * 8.0).ceil() as usize];
    course.iter().map(bar).collect()
}

/// A stack, innermost frame first: in one line if it fits into `width` characters of a terminal,
/// else a frame a line.
pub(super) fn stack(
    stacks: &Stacks,
    number: usize,
    metric: Metric,
    width: Option<usize>,
    out: &mut dyn Write,
) -> io::Result<()> {
    const FRAMES: usize = 8;
    const INDENT: usize = 27;
    let stack = &stacks.stacks[number];
    let frames: Vec<&StackFrame> = stacks.path(stack.node).collect();
    // It is what the line is called already.
    let below = match frames.split_last() {
        Some((last, rest)) if last.is_outside() && !rest.is_empty() => rest,
        _ => &frames[..],
    };
    let shown = below.iter().take(FRAMES);
    let mut names: Vec<String> = shown
        .map(|frame| {
            let name = match (frame.line, frame.file.rsplit('/').next()) {
                (Some(line), Some(file)) => format!("{} ({file}:{line})", frame.function),
                _ => frame.function.clone(),
            };
            escape(&name).into_owned()
        })
        .collect();
    if below.len() > FRAMES {
        names.push("…".to_owned());
    }
    let figure = value(metric, metric.of(&stack.figures));
    let line = names.join(" ← ");
    if width.is_none_or(|width| INDENT + line.width() <= width) {
        return writeln!(out, "{figure:>25}  {line}");
    }
    let room = width
        .unwrap_or_default()
        .saturating_sub(INDENT + 2)
        .max(MIN_WIDTH);
    for (number, name) in names.iter().enumerate() {
        let (figure, arrow) = match number {
            0 => (figure.as_str(), ""),
            _ => ("", "← "),
        };
        writeln!(out, "{figure:>25}  {arrow}{}", frame_within(name, room))?;
    }
    Ok(())
}

/// Characters of a frame that are shown however narrow the terminal is.
const MIN_WIDTH: usize = 24;
/// Columns in which a function's name tells something.
const LEAST_NAME: usize = 8;

/// A frame in `width` columns: its place whole, its function without its middle.
fn frame_within(frame: &str, width: usize) -> String {
    let Some(at) = frame.rfind(" (").filter(|_| frame.width() > width) else {
        return cut_middle(frame, width);
    };
    let (function, place) = frame.split_at(at);
    match width.saturating_sub(place.width()) {
        0..LEAST_NAME => cut_middle(frame, width),
        room => format!("{}{place}", cut_middle(function, room)),
    }
}
