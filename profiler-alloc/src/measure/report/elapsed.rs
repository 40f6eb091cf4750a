//! The reports of `elapsed_timer`: their figures, text and JSON.

use std::fmt;

use crate::measure::histogram::Spread;
use crate::measure::json::Object;
use crate::measure::words;

/// Time of one call. *All in nanoseconds.*
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct ElapsedReport {
    /// The function's name, or the label given.
    pub label: String,
    /// Since the program started.
    pub start_ns: u64,
    /// Since the program started.
    pub end_ns: u64,
    /// From the start to the end, on the wall clock; for an `async fn`, waiting included.
    pub duration_ns: u64,
    /// CPU time of the threads that ran it, while they ran it.
    pub thread_cpu_ns: u64,
    /// CPU time of the whole process in the meantime.
    pub process_cpu_ns: u64,
}

/// Time of all calls of a function.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct ElapsedSummary {
    /// The function's name.
    pub label: String,
    /// Durations in nanoseconds.
    pub duration_ns: Spread,
}

impl fmt::Display for ElapsedReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = words::sanitized(&self.label);
        let (start, end) = (
            words::short_seconds(self.start_ns),
            words::short_seconds(self.end_ns),
        );
        let duration = self.duration_ns;
        writeln!(f, "===== {label} elapsed time check =====")?;
        writeln!(f, "ELAPSED :: total:   start: {start} sec - end: {end} sec")?;
        writeln!(f, "ELAPSED :: duration: {} sec", words::seconds(duration))?;
        writeln!(
            f,
            "ELAPSED :: duration in minutes : {} mins",
            words::clock(duration)
        )?;
        writeln!(
            f,
            "ELAPSED :: CPU time: thread: {} sec - process: {} sec",
            words::seconds(self.thread_cpu_ns),
            words::seconds(self.process_cpu_ns)
        )
    }
}

impl fmt::Display for ElapsedSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = words::sanitized(&self.label);
        let spread = &self.duration_ns;
        let seconds = |ns: i64| words::seconds(ns.unsigned_abs());
        writeln!(f, "===== {label} elapsed time summary =====")?;
        writeln!(f, "ELAPSED :: calls:  {}", spread.count)?;
        writeln!(f, "ELAPSED :: min:    {} sec", seconds(spread.min))?;
        writeln!(f, "ELAPSED :: median: {} sec", seconds(spread.median))?;
        writeln!(f, "ELAPSED :: max:    {} sec", seconds(spread.max))?;
        writeln!(f, "ELAPSED :: total:  {} sec", seconds(spread.total))
    }
}

impl ElapsedReport {
    pub(in crate::measure) fn json(&self) -> Object {
        Object::new()
            .number("version", 1)
            .text("kind", "elapsed")
            .text("label", &self.label)
            .number("start_ns", self.start_ns)
            .number("end_ns", self.end_ns)
            .number("duration_ns", self.duration_ns)
            .number("thread_cpu_ns", self.thread_cpu_ns)
            .number("process_cpu_ns", self.process_cpu_ns)
    }
}

impl ElapsedSummary {
    pub(in crate::measure) fn json(&self) -> Object {
        Object::new()
            .number("version", 1)
            .text("kind", "elapsed_summary")
            .text("label", &self.label)
            .number("calls", self.duration_ns.count)
            .object("duration_ns", self.duration_ns.json())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_that_of_the_ancestor() {
        let report = ElapsedReport {
            label: "pre_allot_offering".to_owned(),
            start_ns: 8_705_878_000,
            end_ns: 8_724_493_750,
            duration_ns: 18_615_750,
            thread_cpu_ns: 18_000_000,
            process_cpu_ns: 36_000_000,
        };
        let expected = "\
===== pre_allot_offering elapsed time check =====
ELAPSED :: total:   start: 8.705878 sec - end: 8.72449375 sec
ELAPSED :: duration: 0.018615750 sec
ELAPSED :: duration in minutes : 0:00:00.018616 mins
ELAPSED :: CPU time: thread: 0.018000000 sec - process: 0.036000000 sec
";
        assert_eq!(report.to_string(), expected);
    }
}
