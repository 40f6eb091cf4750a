//! Narrows a report to what was asked for, and puts its tables in order.

use super::extent::keep_what_matters;
use super::{LeftOut, Line, Note, Report, Sort, Table};

/// What to keep of a report, and in which order.
#[derive(Clone, Default, Debug)]
pub struct Selection {
    /// Keep functions whose name contains this.
    pub function: Option<String>,
    /// Keep files whose path contains this.
    pub file: Option<String>,
    /// Keep so many tables.
    pub top: Option<usize>,
    /// Order of the tables.
    pub sort: Sort,
    /// Which tables to keep. What is asked for by name or number is kept whatever it holds.
    pub extent: Extent,
    /// Which lines of a function to keep.
    pub lines: Lines,
}

/// Which lines to keep, by where they are.
#[derive(Clone, Default, Debug)]
pub struct Filter {
    /// Those of functions whose name contains this.
    pub function: Option<String>,
    /// Those of files whose path contains this.
    pub file: Option<String>,
}

impl Filter {
    /// Whether it keeps everything.
    pub fn is_empty(&self) -> bool {
        self.function.is_none() && self.file.is_none()
    }

    /// Keeps what it says of `items`, each of which has a file and a function.
    pub(super) fn apply<T>(
        &self,
        items: &mut Vec<T>,
        file: impl Fn(&T) -> &String,
        function: impl Fn(&T) -> &String,
    ) -> Result<(), NoMatch> {
        keep(items, "file", &self.file, file)?;
        keep(items, "function", &self.function, function)
    }
}

/// Which functions to keep.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Extent {
    /// All.
    #[default]
    All,
    /// Those that hold 99 % of the peak, of the bytes allocated, and of what tables are sorted by;
    /// and those that call them. At most forty.
    WhatMatters,
}

/// Which lines of a function to keep.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Lines {
    /// Every line of the function
    #[default]
    All,
    /// Lines that touched memory, with a line before and after, and the signature
    Context,
    /// Lines that touched memory
    Touched,
}

/// Nothing in the report is called that.
#[derive(thiserror::Error, PartialEq, Eq, Debug)]
#[error("no {what} matches `{wanted}`{}", list(nearest))]
pub struct NoMatch {
    /// `function` or `file`.
    pub what: &'static str,
    /// What was asked for.
    pub wanted: String,
    /// Names in the report most like it, best first.
    pub nearest: Vec<String>,
}

fn list(nearest: &[String]) -> String {
    if nearest.is_empty() {
        return "; the profile has none with line information".to_owned();
    }
    format!("; the nearest are:\n  {}", nearest.join("\n  "))
}

impl Report {
    /// Keeps what `selection` asks for.
    pub fn select(&mut self, selection: &Selection) -> Result<(), NoMatch> {
        self.left_out = selection.apply(&mut self.tables)?;
        Ok(())
    }
}

impl Selection {
    /// Keeps what it asks for of `tables`, and gives what it left out as it does not matter.
    pub(super) fn apply(&self, tables: &mut Vec<Table>) -> Result<Option<LeftOut>, NoMatch> {
        keep(tables, "file", &self.file, |table| &table.file)?;
        keep(tables, "function", &self.function, |table| &table.function)?;
        tables.sort_by(|a, b| {
            let key = |table: &Table| self.sort.rank(&table.total);
            let name = |table: &Table| {
                (
                    table.file.clone(),
                    table.lines.first().and_then(|line| line.number),
                )
            };
            (key(a).cmp(&key(b)))
                .then_with(|| name(a).cmp(&name(b)))
                .then_with(|| a.function.cmp(&b.function))
        });
        if let Some(top) = self.top {
            tables.truncate(top);
        }
        let is_asked_for = self.function.is_some() || self.file.is_some() || self.top.is_some();
        let left_out = match self.extent == Extent::WhatMatters && !is_asked_for {
            true => keep_what_matters(tables, self.sort),
            false => None,
        };
        // Lines are read in the order of the source; addresses have none worth reading.
        let addresses = |table: &&mut Table| table.notes.contains(&Note::NoLines);
        for table in tables.iter_mut().filter(addresses) {
            let rank = |line: &Line| line.figures.map(|figures| self.sort.rank(&figures));
            table.lines.sort_by_key(rank);
        }
        for table in tables.iter_mut() {
            match self.lines {
                Lines::All => {}
                Lines::Context => keep_context(table),
                Lines::Touched => table.lines.retain(|line| line.figures.is_some()),
            }
        }
        Ok(left_out)
    }
}

/// Keeps the lines that touched memory, the first, and those right beside them.
fn keep_context(table: &mut Table) {
    let touched: Vec<bool> = (table.lines.iter())
        .map(|line| line.figures.is_some())
        .collect();
    let is_near =
        |at: usize| touched[at.saturating_sub(1)..touched.len().min(at + 2)].contains(&true);
    let mut kept: Vec<bool> = (0..touched.len())
        .map(|at| at == 0 || is_near(at))
        .collect();
    // A mark would take as much room as the line.
    for at in 0..kept.len() {
        let is_kept = |at: Option<usize>| at.is_none_or(|at| kept.get(at).is_none_or(|kept| *kept));
        if is_kept(at.checked_sub(1)) && is_kept(Some(at + 1)) {
            kept[at] = true;
        }
    }
    let mut lines = Vec::new();
    for (line, kept) in std::mem::take(&mut table.lines).into_iter().zip(kept) {
        if kept {
            lines.push(line);
        } else if table.gaps.last() != Some(&lines.len()) {
            table.gaps.push(lines.len());
        }
    }
    table.lines = lines;
}

/// Keeps the tables whose `name` contains what is wanted.
pub(super) fn keep<T>(
    tables: &mut Vec<T>,
    what: &'static str,
    wanted: &Option<String>,
    name: impl Fn(&T) -> &String,
) -> Result<(), NoMatch> {
    let Some(wanted) = wanted else { return Ok(()) };
    if tables.iter().any(|table| name(table).contains(wanted)) {
        tables.retain(|table| name(table).contains(wanted));
        return Ok(());
    }
    Err(NoMatch {
        what,
        wanted: wanted.clone(),
        nearest: nearest(wanted, tables.iter().map(&name)),
    })
}

/// The few names most like `wanted`, as a whole or in one of their parts.
fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a String>) -> Vec<String> {
    const SHOWN: usize = 5;
    let wanted = wanted.to_lowercase();
    let likeness = |name: &str| {
        let name = name.to_lowercase();
        let parts = name.split(['/', ':', '<', '>', ' ']).chain([name.as_str()]);
        parts
            .map(|part| strsim::jaro_winkler(&wanted, part))
            .fold(0.0, f64::max)
    };
    let mut names: Vec<(f64, &String)> = names.map(|name| (likeness(name), name)).collect();
    names.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    names.dedup_by(|a, b| a.1 == b.1);
    names
        .into_iter()
        .take(SHOWN)
        .map(|(_, name)| name.clone())
        .collect()
}
