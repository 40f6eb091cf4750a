//! A running program in words: the lines at the head of a page of it, its rows, and both as plain
//! text.

use std::io::{self, Write};

use super::cut::cut_middle;
use super::escape::escape;
use super::footer::{faults, sampling};
use super::format::{bytes, seconds, size};
use super::style::TITLE;
use crate::report::{Bytes, Live, LiveRow, LiveSort, Place, ProcessStatus};
use crate::units::Count;
use unicode_width::UnicodeWidthStr;

/// A running program at one moment, for people.
#[derive(Clone, Copy, Debug)]
pub struct LiveText {
    /// Rows shown.
    pub top: usize,
    /// Order of the rows.
    pub sort: LiveSort,
}

impl LiveText {
    /// Writes `live` to `out`.
    pub fn live(&self, live: &Live, out: &mut dyn Write) -> io::Result<()> {
        let [title, rest @ ..] = live_head(live);
        writeln!(out, "{TITLE}{title}{TITLE:#}")?;
        for line in rest {
            writeln!(out, "{line}")?;
        }
        let headings = ["Live", "Rate/s", "Allocated", "At peak"];
        write!(out, "\n{TITLE}")?;
        for heading in headings {
            write!(out, "{heading:>12}")?;
        }
        writeln!(out, "  Line{TITLE:#}")?;
        let rows = live.select(self.sort, "");
        for row in rows.iter().take(self.top) {
            for figure in live_figures(row) {
                write!(out, "{:>12}", figure.map(live_figure).unwrap_or_default())?;
            }
            writeln!(out, "  {}", live_place(row.place.as_ref(), usize::MAX))?;
        }
        if rows.len() > self.top {
            writeln!(out, "{:>12} more lines", rows.len() - self.top)?;
        }
        writeln!(out)?;
        live_faults(live, out)
    }
}

/// How the program is sampled, what was lost, and what is wrong.
pub fn live_faults(live: &Live, out: &mut dyn Write) -> io::Result<()> {
    sampling(&live.sampling, &live.losses, out)?;
    faults(&live.unattributed, &live.losses, &live.defects, out)
}

/// The figures of a row, in the order of their columns: live, rate, allocated, at peak.
pub fn live_figures(row: &LiveRow) -> [Option<Bytes>; 4] {
    let f = &row.figures;
    [Some(f.live), row.rate, Some(f.allocated), Some(f.at_peak)]
}

/// A figure as in a column: blank for nothing, marked where it is mostly noise.
pub fn live_figure(figure: Bytes) -> String {
    if figure.bytes == 0 {
        return String::new();
    }
    let mark = if figure.is_noise() { "~" } else { "" };
    format!("{mark}{}", bytes(figure.bytes))
}

/// Program and status; heap; rates: the lines above everything else.
pub fn live_head(live: &Live) -> [String; 3] {
    let recording = &live.recording;
    let program = match recording.program.as_str() {
        "" => "unknown program",
        program => program,
    };
    let rss = match live.rss {
        0 => "unknown".to_owned(),
        rss => size(rss),
    };
    let rates = match live.rates {
        None => "rate known at the next reading".to_owned(),
        Some(rates) => format!(
            "alloc {}/s, {}/s   free {}/s, {}/s   realloc {}/s",
            size(rates.alloc_bytes as u64),
            Count(rates.allocs.round() as u64),
            size(rates.freed_bytes as u64),
            Count(rates.frees.round() as u64),
            Count(rates.reallocs.round() as u64),
        ),
    };
    [
        format!(
            "{} (process {}): {}, {} recorded",
            escape(program),
            recording.pid,
            status(live.status),
            seconds(recording.duration_ns),
        ),
        format!(
            "heap {}   peak {} after {}   RSS {rss}",
            bytes(recording.heap),
            bytes(recording.peak),
            seconds(recording.peak_ns),
        ),
        rates,
    ]
}

fn status(status: ProcessStatus) -> &'static str {
    match status {
        ProcessStatus::Running => "running",
        ProcessStatus::Paused => "running, recording paused",
        ProcessStatus::Finished => "recording finished",
        ProcessStatus::Ended => "ended",
        ProcessStatus::Killed => "killed: it is gone, and did not end in order",
        ProcessStatus::Unknown => "running, or killed: its process cannot be seen from here",
    }
}

/// Columns in which a function's name tells something.
const MIN_WIDTH: usize = 8;

/// A place in at most `width` columns: what there is least doubt about is kept longest, the file's
/// name and the line.
pub fn live_place(place: Option<&Place>, width: usize) -> String {
    let Some(place) = place else {
        return cut_middle("outside the program's own source", width);
    };
    let line = match place.line {
        Some(line) => format!(":{line}"),
        None => String::new(),
    };
    let (file, function) = (escape(&place.file), escape(&place.function));
    let whole = format!("{file}{line}  {function}");
    if whole.width() <= width {
        return whole;
    }
    let name = file.rsplit('/').next().unwrap_or(&file);
    let place = format!("{name}{line}  ");
    // The function gets what is left, if it is enough to tell anything.
    match width.saturating_sub(place.width()) {
        0..MIN_WIDTH => cut_middle(place.trim_end(), width),
        room => format!("{place}{}", cut_middle(&function, room)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_keeps_its_file_and_line_longest() {
        let place = Place {
            file: "crates/app/src/main.rs".to_owned(),
            path: "/home/me/crates/app/src/main.rs".into(),
            line: Some(12),
            function: "app::grow\x1b[2J".to_owned(),
        };
        let shown = |width| live_place(Some(&place), width);
        assert_eq!(shown(80), r"crates/app/src/main.rs:12  app::grow\u{1b}[2J");
        assert_eq!(shown(30), r"main.rs:12  app::grow\u{1b}[2J");
        assert_eq!(shown(22), r"main.rs:12  app…1b}[2J");
        assert_eq!(shown(16), "main.rs:12");
        assert_eq!(shown(9), "mai…rs:12");
        assert_eq!(live_place(None, 16), "outsid…wn source");
    }

    #[test]
    fn figures_are_blank_for_nothing_and_marked_for_noise() {
        let figure = |bytes, standard_error| {
            live_figure(Bytes {
                bytes,
                standard_error,
            })
        };
        assert_eq!(figure(0, 0.0), "");
        assert_eq!(figure(-2048, 0.0), "-2.0 KiB");
        assert_eq!(figure(2048, 1024.0), "~2.0 KiB");
    }
}
