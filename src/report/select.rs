//! Narrows a report to what was asked for, and puts its tables in order.

use std::cmp::Reverse;

use super::{Figures, Line, Note, Report, Table};

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

/// What tables are ordered by; numbers highest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Sort {
    /// Bytes in use at the peak
    #[default]
    Peak,
    /// Bytes in use at the end
    Live,
    /// Bytes allocated
    Allocated,
    /// Bytes freed
    Freed,
    /// Bytes allocated minus freed
    Increment,
    /// Blocks allocated
    Count,
    /// Bytes freed at once
    Temporary,
    /// Bytes from growing or shrinking blocks
    Reallocated,
    /// File and function
    Name,
}

impl Sort {
    /// Highest first, and among equals the most allocated.
    fn rank(self, figures: &Figures) -> Reverse<(i64, i64)> {
        Reverse(match self {
            Sort::Name => (0, 0),
            _ => (self.figure(figures), figures.allocated.bytes),
        })
    }

    fn figure(self, figures: &Figures) -> i64 {
        match self {
            Sort::Peak => figures.at_peak.bytes,
            Sort::Live => figures.live.bytes,
            Sort::Allocated => figures.allocated.bytes,
            Sort::Freed => figures.freed.bytes,
            Sort::Increment => figures.increment.bytes,
            Sort::Count => figures.count,
            Sort::Temporary => figures.temporary.bytes,
            Sort::Reallocated => figures.reallocated.bytes,
            Sort::Name => 0,
        }
    }
}

/// Which lines of a function to keep.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Lines {
    /// Every line of the function
    #[default]
    All,
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
        keep(&mut self.tables, "file", &selection.file, |table| {
            &table.file
        })?;
        keep(&mut self.tables, "function", &selection.function, |table| {
            &table.function
        })?;
        self.tables.sort_by(|a, b| {
            let key = |table: &Table| selection.sort.rank(&table.total);
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
        if let Some(top) = selection.top {
            self.tables.truncate(top);
        }
        // Lines are read in the order of the source; addresses have none worth reading.
        let addresses = |table: &&mut Table| table.notes.contains(&Note::NoLines);
        for table in self.tables.iter_mut().filter(addresses) {
            let rank = |line: &Line| line.figures.map(|figures| selection.sort.rank(&figures));
            table.lines.sort_by_key(rank);
        }
        if selection.lines == Lines::Touched {
            for table in &mut self.tables {
                table.lines.retain(|line| line.figures.is_some());
            }
        }
        Ok(())
    }
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
