//! The line table for people, in the layout of `memprof report`.

use std::fmt;

use super::profile::{Line, Metric, ProfileReport};
use crate::measure::words;

/// Least width of a column of figures.
const COLUMN: usize = 12;
const TAB: usize = 4;

impl fmt::Display for ProfileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Filename: {}", words::sanitized(&self.file))?;
        writeln!(f, "Function: {}", words::sanitized(&self.function))?;
        if self.metric == Metric::Rss {
            writeln!(
                f,
                "(memory of the whole process: ProfilerAlloc is not the global allocator)"
            )?;
        }
        if let Some(note) = &self.note {
            writeln!(f, "({})", words::sanitized(note))?;
        }
        writeln!(f)?;

        let headings = self.headings();
        let rows: Vec<Vec<String>> = self.lines.iter().map(|line| self.cells(line)).collect();
        let widths: Vec<usize> = headings
            .iter()
            .enumerate()
            .map(|(column, heading)| {
                let cells = rows.iter().map(|row| row[column].len());
                cells.chain([COLUMN, heading.len()]).max().unwrap_or(COLUMN)
            })
            .collect();
        let mut header = "Line #".to_owned();
        for (heading, &width) in headings.iter().zip(&widths) {
            header.push_str(&format!(" {heading:>width$}"));
        }
        header.push_str("   Line Contents");
        writeln!(f, "{header}\n{:=<1$}", "", header.len())?;
        for (line, cells) in self.lines.iter().zip(rows) {
            let mut row = format!("{:>6}", line.number);
            for (cell, &width) in cells.iter().zip(&widths) {
                row.push_str(&format!(" {cell:>width$}"));
            }
            row.push_str("   ");
            row.push_str(&shown(line.contents.as_deref().unwrap_or_default()));
            writeln!(f, "{}", row.trim_end())?;
        }
        writeln!(f)
    }
}

impl ProfileReport {
    fn headings(&self) -> Vec<&'static str> {
        let mut headings = vec!["Mem usage", "Increment"];
        let columns = &self.columns;
        headings.extend(columns.occurrences.then_some("Occurrences"));
        headings.extend(columns.allocated.then_some("Allocated"));
        headings.extend(columns.freed.then_some("Freed"));
        headings
    }

    fn cells(&self, line: &Line) -> Vec<String> {
        let bytes = |bytes: Option<i64>| {
            let text = bytes.map(|bytes| words::table_bytes(bytes, self.precision));
            text.unwrap_or_default()
        };
        let size = |size: Option<u64>| bytes(size.map(|size| size as i64));
        let columns = &self.columns;
        let mut cells = vec![bytes(line.mem_usage), bytes(line.increment)];
        if columns.occurrences {
            let runs = line.occurrences.map(|runs| runs.to_string());
            cells.push(runs.unwrap_or_default());
        }
        cells.extend(columns.allocated.then(|| size(line.allocated)));
        cells.extend(columns.freed.then(|| size(line.freed)));
        cells
    }
}

/// A line of source: tabs as spaces, nothing that steers the terminal.
fn shown(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    for (index, part) in line.split('\t').enumerate() {
        if index > 0 {
            let width = shown.chars().count();
            shown.extend(std::iter::repeat_n(' ', TAB - width % TAB));
        }
        shown.push_str(&words::sanitized(part));
    }
    shown
}
