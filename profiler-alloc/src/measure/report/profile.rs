//! The line table of one function, as a value.

use crate::measure::json::Object;

/// What one function did to memory, line by line.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct ProfileReport {
    /// Path of the function: `app::module::name`, of a method `app::module::Type::name`.
    pub function: String,
    /// Its file, as the compiler wrote it.
    pub file: String,
    /// What the figures are.
    pub metric: Metric,
    /// Calls of it, inner ones of a recursion included; of an `async fn`, futures that were polled.
    pub calls: u64,
    /// All its lines, in order.
    pub lines: Vec<Line>,
    /// The text was not found, or is not the one that was compiled.
    pub note: Option<String>,
    pub(in crate::measure) columns: Columns,
    pub(in crate::measure) precision: usize,
}

/// Columns beside mem usage and increment.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Columns {
    /// Runs of the line.
    pub occurrences: bool,
    /// Bytes allocated.
    pub allocated: bool,
    /// Bytes freed.
    pub freed: bool,
}

/// What the figures of a table are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Metric {
    /// Heap, as the allocator counted it.
    Heap,
    /// Resident set size of the process, as there is no allocator that counts.
    Rss,
}

/// One line of a table. *Bytes.*
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Line {
    /// From 1.
    pub number: u32,
    /// Its text, if found.
    pub contents: Option<String>,
    /// In use in the whole process after the line; the highest of its runs. On the `fn` line: when
    /// it was called.
    pub mem_usage: Option<i64>,
    /// Allocated minus freed by the line and what it called, in all runs. On the `fn` line, what
    /// was in use at the first call is added, so that the increments of a table add up.
    pub increment: Option<i64>,
    /// Allocated.
    pub allocated: Option<u64>,
    /// Freed.
    pub freed: Option<u64>,
    /// Runs.
    pub occurrences: Option<u64>,
}

impl ProfileReport {
    /// Line `number` of the file.
    pub fn line(&self, number: u32) -> Option<&Line> {
        self.lines.iter().find(|line| line.number == number)
    }

    pub(in crate::measure) fn json(&self) -> Object {
        let metric = match self.metric {
            Metric::Heap => "heap",
            Metric::Rss => "rss",
        };
        let line = |line: &Line| {
            Object::new()
                .number("line", line.number)
                .maybe("mem_usage", line.mem_usage)
                .maybe("increment", line.increment)
                .maybe("allocated", line.allocated)
                .maybe("freed", line.freed)
                .maybe("occurrences", line.occurrences)
                .maybe_text("contents", line.contents.as_deref())
        };
        Object::new()
            .number("version", 1)
            .text("kind", "profile")
            .text("function", &self.function)
            .text("file", &self.file)
            .text("metric", metric)
            .number("calls", self.calls)
            .maybe_text("note", self.note.as_deref())
            .list("lines", self.lines.iter().map(line))
    }
}
