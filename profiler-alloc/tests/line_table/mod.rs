//! The tables of `#[profile]` functions of the test itself, looked at by the text of their lines.

use profiler_alloc::measure::{Line, ProfileReport, profiles};

/// The table of the function of that name.
pub struct LineTable(pub ProfileReport);

impl LineTable {
    pub fn of(function: &str) -> LineTable {
        let is_it = |table: &ProfileReport| {
            table.function.ends_with(&format!("::{function}")) || table.function == function
        };
        let table = profiles().into_iter().find(is_it);
        LineTable(table.unwrap_or_else(|| panic!("no table of `{function}`")))
    }

    /// The first line that holds `marker`.
    pub fn line(&self, marker: &str) -> &Line {
        let holds = |line: &&Line| {
            let contents = line.contents.as_deref().expect("the source is found");
            contents.contains(marker)
        };
        let line = self.0.lines.iter().find(holds);
        line.unwrap_or_else(|| panic!("no line with `{marker}`"))
    }

    pub fn increment(&self, marker: &str) -> Option<i64> {
        self.line(marker).increment
    }

    /// Increments of several lines, in their order; blank ones are 0.
    pub fn increments<const N: usize>(&self, markers: [&str; N]) -> [i64; N] {
        markers.map(|marker| self.increment(marker).unwrap_or(0))
    }

    pub fn occurrences(&self, marker: &str) -> u64 {
        self.line(marker).occurrences.unwrap_or(0)
    }

    /// Sum of all increments but the baseline.
    pub fn sum(&self) -> i64 {
        let lines = self.0.lines.iter().skip(1);
        lines.filter_map(|line| line.increment).sum()
    }
}
