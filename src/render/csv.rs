//! Reports as CSV, one row for each line of source, for spreadsheets.

use std::borrow::Cow;
use std::io::{self, Write};

use super::Renderer;
use super::escape::escape;
use crate::report::{Bytes, Figures, Line, Report, Table};

/// CSV with a heading row. Bytes are exact integers; cells of lines where nothing was seen are empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Csv;

impl Renderer for Csv {
    fn report(&self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        let mut rows = csv::Writer::from_writer(out);
        rows.write_record(
            (["file", "function", "line", "contents", "mem_usage"].into_iter())
                .chain(BYTES.iter().flat_map(|&(name, error, _)| [name, error]))
                .chain(["count", "freed_count", "samples", "verified"]),
        )
        .map_err(unwrapped)?;
        for table in &report.tables {
            for line in &table.lines {
                rows.write_record(row(table, line)).map_err(unwrapped)?;
            }
        }
        rows.flush()
    }
}

/// What the system said. As it is converted by default, a reader that went away (a broken pipe) is not recognised.
fn unwrapped(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

type Figure = fn(&Figures) -> Bytes;

const BYTES: [(&str, &str, Figure); 7] = [
    ("increment", "increment_standard_error", |f| f.increment),
    ("allocated", "allocated_standard_error", |f| f.allocated),
    ("freed", "freed_standard_error", |f| f.freed),
    ("live", "live_standard_error", |f| f.live),
    ("at_peak", "at_peak_standard_error", |f| f.at_peak),
    ("temporary", "temporary_standard_error", |f| f.temporary),
    ("reallocated", "reallocated_standard_error", |f| {
        f.reallocated
    }),
];

fn row(table: &Table, line: &Line) -> Vec<String> {
    fn number<T: ToString>(value: Option<T>) -> String {
        value.map(|value| value.to_string()).unwrap_or_default()
    }
    let figures = line.figures.as_ref();
    let mut row = vec![
        text(&table.file),
        text(&table.function),
        number(line.number),
        text(line.contents.as_deref().unwrap_or_default()),
        number(figures.and_then(|figures| figures.mem_usage)),
    ];
    for (_, _, figure) in BYTES {
        let bytes = figures.map(figure);
        row.push(number(bytes.map(|bytes| bytes.bytes)));
        row.push(number(bytes.map(|bytes| bytes.standard_error)));
    }
    row.push(number(figures.map(|figures| figures.count)));
    row.push(number(figures.map(|figures| figures.freed_count)));
    row.push(number(figures.map(|figures| figures.samples)));
    row.push(table.verified.to_string());
    row
}

/// A cell of text. A spreadsheet would run a formula that comes from a profile or a source file: a quote mark before it
/// makes it text.
fn text(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        "'"
    } else {
        ""
    };
    // Tabs are as common in source as they are harmless in a cell.
    let lines: Vec<Cow<'_, str>> = text.split('\t').map(escape).collect();
    format!("{guard}{}", lines.join("\t"))
}
