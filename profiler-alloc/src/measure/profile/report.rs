//! The line table of one function, as a value.

use super::source;
use super::table::{Columns, LineSum, Table};
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
    pub(super) columns: Columns,
    pub(super) precision: usize,
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
    pub(super) fn new(table: &'static Table, sums: &[LineSum], baseline: i64) -> ProfileReport {
        let about = &table.about;
        let text = source::lines_of(about);
        let (first, last) = about.span;
        let mut lines: Vec<Line> = (first..=last)
            .enumerate()
            .map(|(index, number)| Line {
                number,
                contents: text.lines.get(index).cloned(),
                mem_usage: None,
                increment: None,
                allocated: None,
                freed: None,
                occurrences: None,
            })
            .collect();
        for (slot, (&number, sum)) in about.lines.iter().zip(sums).enumerate() {
            let is_touched = sum.runs > 0 || sum.allocated | sum.freed != 0;
            let index = number.wrapping_sub(first) as usize;
            let Some(line) = lines.get_mut(index).filter(|_| is_touched) else {
                continue;
            };
            line.mem_usage = (sum.mem_usage != i64::MIN).then_some(sum.mem_usage);
            line.occurrences = Some(sum.runs).filter(|&runs| runs > 0);
            let net = sum.allocated.wrapping_sub(sum.freed) as i64;
            if slot == 0 && about.span.0 != about.span.1 {
                line.increment = Some(baseline.wrapping_add(net));
                // Blank, unless the call itself has worked there: what the attribute above does
                // first, for one.
                if sum.allocated | sum.freed == 0 {
                    continue;
                }
            } else {
                line.increment = Some(net);
            }
            line.allocated = Some(sum.allocated);
            line.freed = Some(sum.freed);
        }
        let metric = match super::is_heap_known() {
            true => Metric::Heap,
            false => Metric::Rss,
        };
        ProfileReport {
            function: about.name().to_owned(),
            file: about.file.to_owned(),
            metric,
            calls: sums.first().map_or(0, |sum| sum.runs),
            lines,
            note: text.note,
            columns: about.columns,
            precision: about.precision,
        }
    }

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
