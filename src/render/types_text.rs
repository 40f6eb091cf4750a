//! Memory by type, for people.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr;

use super::cut::cut_middle;
use super::escape::escape;
use super::footer::{ends, faults, noise, sampling};
use super::style::TITLE;
use super::tree_text::value;
use super::{format, moment};
use crate::report::{Bytes, Figures, Metric, Steps, TypeLine, TypeRow, Types};

/// Columns of a name that are shown however narrow the terminal is.
const LEAST: usize = 24;

/// Bytes that are worth a word.
const WORTH_SAYING: i64 = 1024;

/// A table of types, each with the lines that made it.
#[derive(Clone, Copy, Debug)]
pub struct TypesText {
    /// What the types are ordered by.
    pub metric: Metric,
    /// Types shown.
    pub top: usize,
    /// Lines shown of each.
    pub lines: usize,
    /// Characters of a line, if it is for a terminal.
    pub width: Option<usize>,
}

impl TypesText {
    /// Writes `types`, which are to be [sorted](Types::sort), to `out`.
    pub fn types(&self, types: &Types, out: &mut dyn Write) -> io::Result<()> {
        let whole = self.metric.of(&types.total);
        let what = moment::title(self.metric, &types.recording);
        writeln!(
            out,
            "{TITLE}{what}, by type: {}{TITLE:#}\n",
            value(self.metric, whole)
        )?;
        writeln!(
            out,
            "{:>12} {:>12} {:>12} {:>12} {:>12} {:>7}  Type",
            "Live", "At peak", "Allocated", "Blocks", "Mean block", "Regrown",
        )?;
        // Sorted: what has nothing of this figure stands at the end.
        let with_any = (types.rows.iter()).filter(|row| self.metric.of(&row.figures).bytes != 0);
        let (shown, rest) = types.rows.split_at(with_any.count().min(self.top));
        for row in shown {
            self.row(row, out)?;
        }
        if shown.is_empty() {
            writeln!(out, "{:>12}", "nothing")?;
        }
        rest_of(rest, out)?;
        writeln!(out)?;
        self.certainty(types, out)?;
        foot_of(types, out)
    }

    fn row(&self, row: &TypeRow, out: &mut dyn Write) -> io::Result<()> {
        let mut details = String::new();
        if let Some(capacity) = row
            .capacity(self.metric)
            .filter(|_| self.metric != Metric::Count && row.element_size != Some(1))
        {
            let size = row.element_size.unwrap_or_default();
            details = format!("  [room for {} of {size} B]", format::count(capacity));
        }
        if let Some((boxed, saves)) = self.held(row).and_then(|metric| row.boxed(metric))
            && saves >= WORTH_SAYING
        {
            let saves = format::bytes(saves);
            details.push_str(&format!(
                "  [`{}` saves {saves} if none grows]",
                escape(&boxed)
            ));
        }
        let shown = figures(&row.figures);
        let name = self.fitting(&row.kind.short(), shown.width() + 2 + details.width());
        writeln!(out, "{shown}  {TITLE}{name}{TITLE:#}{details}")?;
        for line in row.lines.iter().take(self.lines) {
            let place = match line.line {
                Some(number) => format!("{}  {}:{number}", line.function, line.file),
                None => line.function.clone(),
            };
            let shown = figures(&line.figures);
            let place = self.fitting(&place, shown.width() + 4);
            let saved = saving(line.growth);
            writeln!(
                out,
                "{shown}    {place}{saved}{}",
                self.of_one_size(row, line)
            )?;
        }
        if let Some(rest) = row
            .lines
            .len()
            .checked_sub(self.lines)
            .filter(|&rest| rest > 0 && self.lines > 0)
        {
            let lines = if rest == 1 { "line" } else { "lines" };
            writeln!(
                out,
                "{:>72}    {} more {lines}",
                "",
                format::count(rest as i64)
            )?;
        }
        let held = (row.holders.iter())
            .filter(|holder| self.metric.of(&holder.figures).bytes != 0)
            .take(self.lines);
        for holder in held {
            let mark = if holder.certain { "" } else { "~" };
            let shown = figures(&holder.figures);
            let name = format!("in {mark}{}", holder.name.short());
            writeln!(out, "{shown}    {}", self.fitting(&name, shown.width() + 4))?;
        }
        Ok(())
    }

    /// The figure, if it is of blocks that are held.
    fn held(&self, row: &TypeRow) -> Option<Metric> {
        let is_held = matches!(self.metric, Metric::Live | Metric::Peak);
        Some(self.metric).filter(|metric| is_held && metric.of(&row.figures).bytes > 0)
    }

    /// What blocks of one size would save.
    fn of_one_size(&self, row: &TypeRow, line: &TypeLine) -> String {
        let Some((metric, size)) = self.held(row).zip(row.block_size()) else {
            return String::new();
        };
        let saves = line.one_size(size, metric);
        if saves.arena < WORTH_SAYING {
            return String::new();
        }
        let smaller = match saves.smaller {
            Some((by, saved)) => format!("; {by} B less in each, {}", format::bytes(saved)),
            None => String::new(),
        };
        let arena = format::bytes(saves.arena);
        format!("  [{size} B each: an arena saves {arena}{smaller}]")
    }

    fn fitting(&self, name: &str, used: usize) -> String {
        let name = escape(name).into_owned();
        match self.width {
            Some(width) => cut_middle(&name, width.saturating_sub(used).max(LEAST)),
            None => name,
        }
    }

    /// How much of it is known.
    fn certainty(&self, types: &Types, out: &mut dyn Write) -> io::Result<()> {
        if !types.has_names && !types.rows.is_empty() {
            writeln!(
                out,
                "No type is known: types need debug information. Build with `debug = 1` in the Cargo profile; C and C++ with `-g`."
            )?;
        }
        let whole = self.metric.of(&types.total).bytes;
        let share = |part: Bytes| {
            let percent = part.bytes as f64 / whole.max(1) as f64 * 100.0;
            format!("{} ({percent:.2} %)", value(self.metric, part))
        };
        let part = |figures: &Figures| self.metric.of(figures);
        if part(&types.guessed).bytes != 0 {
            writeln!(
                out,
                "`~` before a type: {} may be of another type of that size, as only a function that may be shared names it.",
                share(part(&types.guessed))
            )?;
        }
        writeln!(out, "Untyped: {} of Rust.", share(part(&types.untyped)))?;
        if part(&types.foreign).bytes != 0 {
            writeln!(
                out,
                "Other languages, untyped: {}.",
                share(part(&types.foreign))
            )?;
        }
        Ok(())
    }
}

/// What the types not shown have.
fn rest_of(rest: &[TypeRow], out: &mut dyn Write) -> io::Result<()> {
    if rest.is_empty() {
        return Ok(());
    }
    let mut sum = Figures::default();
    for row in rest {
        sum.add(&row.figures);
    }
    let (count, types) = match rest.len() {
        1 => ("1".to_owned(), "type"),
        more => (format::count(more as i64), "types"),
    };
    writeln!(out, "{}  {count} more {types}", figures(&sum))
}

/// The figures of a row.
fn figures(figures: &Figures) -> String {
    let blocks = Metric::Count.blocks(figures);
    let mean = match blocks.bytes {
        0 => String::new(),
        count => format::bytes((figures.allocated.bytes as f64 / count as f64).round() as i64),
    };
    let regrown = match figures.reallocated.bytes {
        0 => String::new(),
        bytes => format!(
            "{:.0}%",
            bytes as f64 / figures.allocated.bytes.max(1) as f64 * 100.0
        ),
    };
    format!(
        "{:>12} {:>12} {:>12} {:>12} {mean:>12} {regrown:>7}",
        value(Metric::Live, figures.live),
        value(Metric::Peak, figures.at_peak),
        value(Metric::Allocated, figures.allocated),
        format::blocks(blocks),
    )
}

/// What blocks of the right size from the start would save.
fn saving(growth: Steps) -> String {
    if growth.replaced <= 0 {
        return String::new();
    }
    format!(
        "  [grew in {} steps; `with_capacity` saves {}]",
        format::count(growth.steps),
        format::bytes(growth.replaced)
    )
}

fn foot_of(types: &Types, out: &mut dyn Write) -> io::Result<()> {
    for words in ends(&types.recording) {
        writeln!(out, "{words}")?;
    }
    sampling(&types.sampling, &types.losses, out)?;
    noise(&types.sampling, out)?;
    faults(&types.unattributed, &types.losses, &types.defects, out)
}
