//! Reports as CSV, one row for each line of source, for spreadsheets.

use std::io::{self, Write};

use super::Renderer;
use super::cell::{text, unwrapped};
use crate::report::{Basis, Bytes, ContextTables, Figures, Line, Metric, Report, Table};

/// CSV with a heading row. Bytes are exact integers; cells of lines where nothing was seen are
/// empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Csv;

impl Renderer for Csv {
    fn report(&self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        let mut rows = csv::Writer::from_writer(out);
        rows.write_record(headings()).map_err(unwrapped)?;
        for table in &report.tables {
            for line in &table.lines {
                rows.write_record(row(table, line, report.basis))
                    .map_err(unwrapped)?;
            }
        }
        rows.flush()
    }

    fn by_context(&self, tables: &ContextTables, out: &mut dyn Write) -> io::Result<()> {
        let mut rows = csv::Writer::from_writer(out);
        rows.write_record(headings().chain(["context"]))
            .map_err(unwrapped)?;
        for group in &tables.groups {
            let context = text(group.value.as_deref().unwrap_or("(none)"));
            for (table, line) in (group.tables.iter())
                .flat_map(|table| table.lines.iter().map(move |line| (table, line)))
            {
                let row = row(table, line, Basis::Stacks);
                rows.write_record(row.iter().chain([&context]))
                    .map_err(unwrapped)?;
            }
        }
        rows.flush()
    }
}

fn headings() -> impl Iterator<Item = &'static str> {
    (["file", "function", "line", "contents", "mem_usage"].into_iter())
        .chain(BYTES.iter().flat_map(|&(name, error, _)| [name, error]))
        .chain(["count", "count_standard_error"])
        .chain(["freed_count", "freed_count_standard_error"])
        .chain(["samples", "verified", "occurrences"])
}

type Figure = fn(&Figures) -> Bytes;

/// How many of the following counters know too.
const COUNTED: usize = 3;

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

fn row(table: &Table, line: &Line, basis: Basis) -> Vec<String> {
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
    // Counters do not know the others.
    let of_stacks = figures.filter(|_| basis == Basis::Stacks);
    for (index, (_, _, figure)) in BYTES.into_iter().enumerate() {
        let known = if index < COUNTED { figures } else { of_stacks };
        let bytes = known.map(figure);
        row.push(number(bytes.map(|bytes| bytes.bytes)));
        row.push(number(bytes.map(|bytes| bytes.standard_error)));
    }
    for metric in [Metric::Count, Metric::Freed] {
        let blocks = of_stacks.map(|figures| metric.blocks(figures));
        row.push(number(blocks.map(|blocks| blocks.bytes)));
        row.push(number(blocks.map(|blocks| blocks.standard_error)));
    }
    row.push(number(of_stacks.map(|figures| figures.samples)));
    row.push(table.verified.to_string());
    row.push(number(line.occurrences));
    row
}
