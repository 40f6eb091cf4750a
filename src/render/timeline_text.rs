//! Heap and RSS over time as a plot of characters.

use std::io::{self, Write};

use super::escape::escape;
use super::footer::ends;
use super::footer::{faults, sampling};
use super::format;
use super::own_memory;
use super::spans;
use super::style::TITLE;
use crate::report::{CallSpan, TimePoint, Timeline};

/// A plot for the terminal.
#[derive(Clone, Copy, Debug)]
pub struct TimelineText {
    /// Characters of a line.
    pub width: usize,
    /// Lines of the plot.
    pub height: usize,
}

impl Default for TimelineText {
    fn default() -> Self {
        TimelineText {
            width: 80,
            height: 14,
        }
    }
}

/// Room for the marks at the left.
const LEFT: usize = 12;
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

impl TimelineText {
    /// Writes the plot of `timeline` to `out`.
    pub fn timeline(&self, timeline: &Timeline, out: &mut dyn Write) -> io::Result<()> {
        let recording = &timeline.recording;
        // What many processes had at their ends, they had at no one time.
        let heap = match recording.merged {
            None => format!("heap {}", format::bytes(recording.heap)),
            Some(_) => recording.who(),
        };
        writeln!(
            out,
            "{TITLE}{}: {heap}, peak {} at {}{TITLE:#}",
            escape(&recording.program),
            format::bytes(recording.peak),
            format::seconds(recording.peak_ns),
        )?;
        let columns = self.width.clamp(LEFT + 10, 400) - LEFT;
        let height = timeline.height();
        let span = timeline.span_ns();
        let heap = columns_of(timeline, columns, |point| Some(point.heap));
        let rss = columns_of(timeline, columns, |point| {
            point.rss.map(|rss| i64::try_from(rss).unwrap_or(i64::MAX))
        });
        let without_own = columns_of(timeline, columns, |point| {
            let rss = point.rss_without_own()?;
            Some(i64::try_from(rss).unwrap_or(i64::MAX))
        });
        let peak_column = column_of(recording.peak_ns, span, columns);
        let rows = self.height.clamp(3, 100);
        let marker: String = (0..columns)
            .map(|column| if column == peak_column { '▼' } else { ' ' })
            .collect();
        writeln!(out, "{:LEFT$}{}", "", marker.trim_end())?;
        for row in (0..rows).rev() {
            let top = height as f64 * (row + 1) as f64 / rows as f64;
            let mark = if row + 1 == rows || row == rows / 2 {
                format::bytes(top as i64)
            } else {
                String::new()
            };
            let mut line = String::new();
            for column in 0..columns {
                let in_eighths = |value: Option<i64>| {
                    let value = value.unwrap_or(0).max(0) as f64 / height as f64;
                    ((value * rows as f64 - row as f64) * 8.0).ceil()
                };
                let heap = in_eighths(heap[column]).clamp(0.0, 8.0) as usize;
                let without_own = in_eighths(without_own[column].or(rss[column]));
                let rss = in_eighths(rss[column]);
                line.push(match EIGHTHS[heap] {
                    ' ' if rss > 0.0 && rss <= 8.0 => '·',
                    ' ' if rss > 8.0 && without_own <= 0.0 => '░',
                    block => block,
                });
            }
            writeln!(out, "{mark:>10} ┤{}", line.trim_end())?;
        }
        let end = format::seconds(span);
        writeln!(out, "{:>10} └{:─<columns$}", "0 B", "")?;
        writeln!(out, "{:LEFT$}0 s{end:>1$}", "", columns - 3)?;
        for span in spans::shown(timeline) {
            let at = |time_ns| column_of(time_ns, timeline.span_ns(), columns);
            writeln!(
                out,
                "{:LEFT$}{}",
                "",
                row(span, (at(span.first_ns), at(span.last_ns)), columns)
            )?;
        }
        writeln!(out)?;
        let known = rss.iter().any(Option::is_some);
        let dots = if known { "; ·  RSS" } else { "; RSS unknown" };
        let own = match without_own.iter().any(Option::is_some) {
            true => "; ░  part of it that may be the recorder's",
            false => "",
        };
        writeln!(out, "█  heap in use{dots}{own}; ▼  peak")?;
        marks(timeline, out)?;
        if let Some(note) = own_memory::note(timeline) {
            writeln!(out, "{note}")?;
        }
        if let Some(note) = spans::note(timeline) {
            writeln!(out, "{note}")?;
        }
        for words in ends(recording) {
            writeln!(out, "{words}")?;
        }
        sampling(&timeline.sampling, &timeline.losses, out)?;
        faults(
            &timeline.unattributed,
            &timeline.losses,
            &timeline.defects,
            out,
        )
    }
}

/// The moments that views can show.
fn marks(timeline: &Timeline, out: &mut dyn Write) -> io::Result<()> {
    for mark in &timeline.marks {
        writeln!(
            out,
            "{:>10}  mark {}: {} in use",
            format::seconds(mark.time_ns),
            escape(&mark.name),
            format::bytes(mark.heap)
        )?;
    }
    let kept = timeline.marks.len() + timeline.other_moments;
    match kept {
        0 => Ok(()),
        _ => writeln!(
            out,
            "Moments kept: {kept}; `memprof report --at` and `memprof leaks --since` show one, by its time or name."
        ),
    }
}

/// A function's span from column to column, and its name where there is room: behind it, before it,
/// or on a line of its own.
fn row(span: &CallSpan, (start, end): (usize, usize), columns: usize) -> String {
    let bar = match end - start {
        0 => "╪".to_owned(),
        between => format!("╞{}╡", "═".repeat(between - 1)),
    };
    let label = spans::label(span);
    let room = label.chars().count() + 1;
    if end + 1 + room <= columns {
        format!("{:start$}{bar} {label}", "")
    } else if room <= start {
        format!("{label:>0$} {bar}", start - 1)
    } else {
        format!("{:start$}{bar}\n{:LEFT$}{label:>columns$}", "", "")
    }
}

fn column_of(time_ns: u64, span_ns: u64, columns: usize) -> usize {
    let at = time_ns as f64 / span_ns.max(1) as f64 * columns as f64;
    (at as usize).min(columns - 1)
}

/// The highest value in every column; between points, the one before.
fn columns_of(
    timeline: &Timeline,
    columns: usize,
    value: impl Fn(&TimePoint) -> Option<i64>,
) -> Vec<Option<i64>> {
    let mut highest: Vec<Option<i64>> = vec![None; columns];
    // What holds on from a column to the next is its last value, not its highest.
    let mut last: Vec<Option<i64>> = vec![None; columns];
    for point in &timeline.points {
        if let Some(value) = value(point) {
            let column = column_of(point.time_ns, timeline.span_ns(), columns);
            highest[column] = highest[column].max(Some(value));
            last[column] = Some(value);
        }
    }
    let mut before = None;
    for (highest, last) in highest.iter_mut().zip(last) {
        *highest = (*highest).or(before);
        before = last.or(before);
    }
    highest
}
