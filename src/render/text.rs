//! Reports as line tables, in memory_profiler's layout.

mod footer;

use std::io::{self, Write};
use std::str::FromStr;

use super::cut::cut;
use super::escape::{escape, escape_source};
use super::style::{FAINT, GAP_MARK, TITLE};
use super::tree_text::value as tree_value;
use super::{Renderer, format, killed, moment};
use crate::report::{
    Basis, Bytes, ContextGroup, ContextTables, Figures, Line, Metric, Note, Report, Table,
};
use footer::footer;

/// Least width of a column of figures.
const COLUMN: usize = 12;
/// Between the last figure and the source line.
const GAP: usize = 3;
/// Least room for a source line.
const MIN_SOURCE_WIDTH: usize = 16;

/// Line tables for people. Styles are written always: what `out` is decides whether they are kept.
#[derive(Clone, Debug)]
pub struct Text {
    /// Columns after the usual ones.
    pub columns: Vec<Column>,
    /// Decimal places of bytes.
    pub precision: usize,
    /// Characters of a line of the terminal; source lines are cut there. `None` keeps them whole.
    pub width: Option<usize>,
}

impl Default for Text {
    fn default() -> Self {
        Text {
            columns: Vec::new(),
            precision: 1,
            width: None,
        }
    }
}

/// A column beside mem usage and increment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Column {
    /// Bytes allocated.
    Allocated,
    /// Bytes freed.
    Freed,
    /// Bytes live at the end.
    Live,
    /// Bytes in use at the peak.
    AtPeak,
    /// Blocks allocated.
    Count,
    /// Bytes freed at once.
    Temporary,
    /// Bytes from `realloc`.
    Reallocated,
    /// Runs of the line.
    Occurrences,
}

impl FromStr for Column {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        // As it stands in the heading of the table is as good.
        Ok(
            match name.to_lowercase().replace(['-', '_'], " ").as_str() {
                "allocated" => Column::Allocated,
                "freed" => Column::Freed,
                "live" => Column::Live,
                "peak" | "at peak" => Column::AtPeak,
                "count" => Column::Count,
                "temporary" => Column::Temporary,
                "reallocated" => Column::Reallocated,
                "occurrences" => Column::Occurrences,
                _ => {
                    return Err(
                        "expected allocated, freed, live, peak, count, temporary, reallocated or occurrences",
                    );
                }
            },
        )
    }
}

impl Column {
    fn heading(self) -> &'static str {
        match self {
            Column::Allocated => "Allocated",
            Column::Freed => "Freed",
            Column::Live => "Live",
            Column::AtPeak => "At peak",
            Column::Count => "Count",
            Column::Temporary => "Temporary",
            Column::Reallocated => "Reallocated",
            Column::Occurrences => "Occurrences",
        }
    }
}

/// What stands in one place of a table.
#[derive(Default)]
struct Cell {
    text: String,
    noise: bool,
}

impl Cell {
    fn of(text: String) -> Cell {
        Cell { text, noise: false }
    }
}

impl Renderer for Text {
    fn report(&self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        begin(report, out)?;
        for table in &report.tables {
            self.table(table, report.basis, out)?;
            writeln!(out)?;
        }
        if report.tables.is_empty() {
            writeln!(
                out,
                "No line of the program's own source touched memory; `--all` shows dependencies and std.\n"
            )?;
        }
        footer(report, out)
    }

    fn by_context(&self, tables: &ContextTables, out: &mut dyn Write) -> io::Result<()> {
        begin(&tables.whole, out)?;
        for group in &tables.groups {
            self.group(&tables.key, group, out)?;
            for table in &group.tables {
                self.table(table, tables.whole.basis, out)?;
                writeln!(out)?;
            }
            if footer::of_group(group, tables.whole.scope, out)? {
                writeln!(out)?;
            }
        }
        footer::of_contexts(tables, out)
    }
}

/// Says first how the program was killed, if it was, and which moment is shown, if one is.
fn begin(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let (sentence, moment) = (
        killed::sentence(&report.recording),
        moment::line(&report.recording),
    );
    for line in sentence.into_iter().chain(moment) {
        writeln!(out, "{line}\n")?;
    }
    Ok(())
}

/// `name` of `app::module::name::<T>`.
fn short_name(path: &str) -> &str {
    let path = path.split('<').next().unwrap_or(path);
    let path = path.trim_end_matches("::");
    path.rsplit("::").next().unwrap_or(path)
}

impl Text {
    fn group(&self, key: &str, group: &ContextGroup, out: &mut dyn Write) -> io::Result<()> {
        let value = group.value.as_deref().unwrap_or("(none)");
        let blocks = Metric::Count.blocks(&group.total);
        writeln!(
            out,
            "{TITLE}Context: {}={}{TITLE:#}",
            escape(key),
            escape(value)
        )?;
        writeln!(
            out,
            "({} live, {} at the peak, {} allocated in {} blocks)\n",
            tree_value(Metric::Live, group.total.live),
            tree_value(Metric::Peak, group.total.at_peak),
            tree_value(Metric::Allocated, group.total.allocated),
            format::blocks(blocks),
        )
    }

    fn table(&self, table: &Table, basis: Basis, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{TITLE}Filename: {}{TITLE:#}", escape(&table.file))?;
        // A sampled table that begins with its signature needs no other name. An exact one has it
        // as the program prints it.
        let signature = format!("fn {}", short_name(&table.function));
        let named = (table.lines.first().and_then(|line| line.contents.as_ref()))
            .is_some_and(|line| line.contains(&signature));
        let is_clear = named && basis != Basis::Counters;
        if !is_clear && !table.notes.contains(&Note::NoLines) {
            writeln!(out, "Function: {}", escape(&table.function))?;
        }
        for note in &table.notes {
            writeln!(out, "({})", escape(&note.to_string()))?;
        }
        writeln!(out)?;

        let headings = ["Mem usage", "Increment"].into_iter();
        let headings: Vec<&str> = headings
            .chain(self.columns.iter().map(|column| column.heading()))
            .collect();
        let rows: Vec<Vec<Cell>> = (table.lines.iter())
            .map(|line| self.cells(line, basis))
            .collect();
        let widths: Vec<usize> = (0..headings.len())
            .map(|column| {
                let cells = rows.iter().map(|row| row[column].text.len());
                cells
                    .chain([COLUMN, headings[column].len()])
                    .max()
                    .unwrap_or(COLUMN)
            })
            .collect();

        let mut header = "Line #".to_owned();
        for (heading, &width) in headings.iter().zip(&widths) {
            header.push_str(&format!(" {heading:>width$}"));
        }
        header.push_str(&format!("{:GAP$}Line Contents", ""));
        writeln!(out, "{TITLE}{header}{TITLE:#}")?;
        writeln!(out, "{FAINT}{:=<1$}{FAINT:#}", "", header.len())?;
        for (at, (line, cells)) in table.lines.iter().zip(rows).enumerate() {
            if table.gaps.contains(&at) {
                writeln!(out, "{FAINT}{GAP_MARK:>6}{FAINT:#}")?;
            }
            self.row(line, &cells, &widths, table.verified, out)?;
        }
        if table.gaps.contains(&table.lines.len()) {
            writeln!(out, "{FAINT}{GAP_MARK:>6}{FAINT:#}")?;
        }
        Ok(())
    }

    fn row(
        &self,
        line: &Line,
        cells: &[Cell],
        widths: &[usize],
        verified: bool,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let number = line
            .number
            .map(|number| number.to_string())
            .unwrap_or_default();
        let mark = if verified { " " } else { "?" };
        let mut used = number.len().max(6) + 1;
        // Blanks are put out only before something, so that no line ends in them.
        let mut blanks = 0;
        write!(out, "{number:>6}")?;
        if !verified {
            write!(out, "{mark}")?;
        } else {
            blanks = 1;
        }
        for (index, (cell, &width)) in cells.iter().zip(widths).enumerate() {
            let separator = usize::from(index > 0);
            used += separator + width;
            blanks += separator + width - cell.text.len();
            if cell.text.is_empty() {
                continue;
            }
            write!(out, "{:blanks$}", "")?;
            blanks = 0;
            if cell.noise {
                write!(out, "{FAINT}{}{FAINT:#}", cell.text)?;
            } else {
                write!(out, "{}", cell.text)?;
            }
        }
        let contents = escape_source(line.contents.as_deref().unwrap_or_default());
        let contents = match self.width {
            Some(width) => cut(contents.trim_end(), room(width, used + GAP)),
            None => contents.trim_end().to_owned(),
        };
        if contents.is_empty() {
            return writeln!(out);
        }
        writeln!(out, "{:1$}{contents}", "", blanks + GAP)
    }

    fn cells(&self, line: &Line, basis: Basis) -> Vec<Cell> {
        let of_figures = |cell: &dyn Fn(&Figures) -> Cell| {
            let figures = line.figures.as_ref();
            figures.map(cell).unwrap_or_default()
        };
        let mem_usage = |figures: &Figures| {
            let bytes = figures.mem_usage;
            let text = bytes.map(|bytes| format::table_bytes(bytes, self.precision));
            Cell::of(text.unwrap_or_default())
        };
        let others = self.columns.iter().map(|&column| match column {
            Column::Occurrences => {
                let runs = line.occurrences.map(|runs| format::count(runs as i64));
                Cell::of(runs.unwrap_or_default())
            }
            _ => of_figures(&|figures| self.cell(column, figures, basis)),
        });
        [
            of_figures(&mem_usage),
            of_figures(&|figures| self.bytes(figures.increment)),
        ]
        .into_iter()
        .chain(others)
        .collect()
    }

    fn cell(&self, column: Column, figures: &Figures, basis: Basis) -> Cell {
        match column {
            Column::Allocated => self.bytes(figures.allocated),
            Column::Freed => self.bytes(figures.freed),
            // Counters do not know blocks, nor what becomes of them.
            _ if basis == Basis::Counters => Cell::default(),
            Column::Live => self.bytes(figures.live),
            Column::AtPeak => self.bytes(figures.at_peak),
            Column::Temporary => self.bytes(figures.temporary),
            Column::Reallocated => self.bytes(figures.reallocated),
            Column::Count => {
                let blocks = Metric::Count.blocks(figures);
                Cell {
                    text: format::blocks(blocks),
                    noise: blocks.is_noise(),
                }
            }
            // Of the line, not of its figures.
            Column::Occurrences => Cell::default(),
        }
    }

    fn bytes(&self, bytes: Bytes) -> Cell {
        let noise = bytes.is_noise();
        let mark = if noise { "~" } else { "" };
        Cell {
            text: format!("{mark}{}", format::table_bytes(bytes.bytes, self.precision)),
            noise,
        }
    }
}

/// Characters of source for a row of which `used` are gone: the rest of the terminal's line, or of
/// the next one where hardly anything is left of the first.
fn room(width: usize, used: usize) -> usize {
    (used + MIN_SOURCE_WIDTH).next_multiple_of(width.max(1)) - used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_one_line_of_the_terminal_or_two_of_a_narrow_one() {
        assert_eq!(room(80, 34), 46);
        assert_eq!(room(50, 34), 16);
        assert_eq!(room(40, 34), 46);
        assert_eq!(room(0, 34), 16);
    }
}
