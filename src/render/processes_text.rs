//! Tests and processes as a table for people.

use std::io::{self, Write};

use super::escape::escape;
use super::format::{bytes, count, seconds};
use super::style::{FAINT, TITLE};
use crate::report::{GrownLine, ProcessRow, Processes};
use crate::units::Count;

/// Lines that grew that are listed.
pub(super) const GROWN: usize = 10;

/// A line for each test or process.
#[derive(Clone, Copy, Debug)]
pub struct ProcessesText {
    /// Rows shown.
    pub top: usize,
}

impl ProcessesText {
    /// Writes `processes`, in the order its rows have, to `out`.
    pub fn processes(&self, processes: &Processes, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{TITLE}{}{TITLE:#}\n", headline(processes))?;
        let has_base = processes.gone.is_some();
        let change = if has_base { "      Change" } else { "" };
        writeln!(
            out,
            "{TITLE}{:>12}{change} {:>12} {:>12} {:>12} {:>10}  {}{TITLE:#}",
            "Peak",
            "Allocated",
            "Live at end",
            "Blocks",
            "Time",
            if processes.are_tests {
                "Test"
            } else {
                "Process"
            }
        )?;
        let mut all: Vec<&ProcessRow> = (processes.rows.iter())
            .filter(|row| !has_base || row.has_changed())
            .collect();
        let rest = all.split_off(self.top.min(all.len()));
        for row in all {
            let figures = &row.figures;
            let change = match has_base {
                true => format!(" {:>11}", changed(row)),
                false => String::new(),
            };
            let (faint, end) = match row.is_last_attempt() {
                true => (String::new(), String::new()),
                false => (format!("{FAINT}"), format!("{FAINT:#}")),
            };
            writeln!(
                out,
                "{faint}{:>12}{change} {:>12} {:>12} {:>12} {:>10}  {}  {}{}{end}",
                bytes(figures.peak),
                bytes(figures.alloc_bytes as i64),
                bytes(figures.live),
                Count(figures.allocs),
                seconds(row.duration_ns),
                escape(&row.of),
                escape(&row.name),
                remarks(row)
            )?;
        }
        for words in feet(processes, &rest, "--top") {
            writeln!(out, "{words}")?;
        }
        if has_base {
            writeln!(
                out,
                "\n{TITLE}Lines that grew, by what they have at the peaks{TITLE:#}"
            )?;
            for line in processes.grown.iter().take(GROWN) {
                let difference = line.change.difference().bytes;
                writeln!(
                    out,
                    "{:>12}  {} -> {}  {}  {}",
                    format!("+{}", bytes(difference)),
                    bytes(line.change.base.bytes),
                    bytes(line.change.new.bytes),
                    escape(&place(line)),
                    escape(&line.function)
                )?;
            }
            writeln!(out, "{}", grown_rest(processes, GROWN))?;
        }
        for defect in &processes.defects {
            writeln!(out, "Note: {}.", escape(&defect.to_string()))?;
        }
        Ok(())
    }
}

/// `346 tests: 36.2 MiB in use at most in one of them, 1.2 GiB allocated in all`.
pub(super) fn headline(processes: &Processes) -> String {
    let tests = processes.rows.iter().filter(|row| row.is_last_attempt());
    let number = count(tests.count() as i64);
    let what = match (processes.are_tests, number.as_str()) {
        (true, "1") => "test",
        (true, _) => "tests",
        (false, "1") => "process",
        (false, _) => "processes",
    };
    let (highest, grown) = processes.highest();
    let grown = grown.map_or(String::new(), |grown| format!(" ({})", signed(grown)));
    let sum = |of: fn(&ProcessRow) -> u64| {
        let rows = processes.rows.iter().filter(|row| row.is_last_attempt());
        rows.map(of).fold(0, u64::saturating_add)
    };
    format!(
        "{number} {what}: peak {} in one of them{grown}, {} in all at one time; {} allocated in {} blocks",
        bytes(highest),
        bytes(processes.recording.peak),
        bytes(sum(|row| row.figures.alloc_bytes) as i64),
        Count(sum(|row| row.figures.allocs))
    )
}

/// What stands below the rows, of which `rest` are not shown.
pub(super) fn feet(processes: &Processes, rest: &[&ProcessRow], option: &str) -> Vec<String> {
    let mut words = Vec::new();
    if !rest.is_empty() {
        let most = rest.iter().map(|row| row.figures.peak).max().unwrap_or(0);
        words.push(format!(
            "Left out: {} more, each with a peak of at most {}; `{option}` shows more.",
            count(rest.len() as i64),
            bytes(most)
        ));
    }
    if processes.are_tests && processes.without_test > 0 {
        words.push(format!(
            "Left out: {} of no test, as the runner is; `--all` shows them.",
            counted(processes.without_test, "process", "processes")
        ));
    }
    let earlier = processes.earlier_attempts();
    if earlier > 0 {
        words.push(format!(
            "Of tests that were tried again, {} did not count.",
            counted(earlier, "earlier attempt", "earlier attempts")
        ));
    }
    if let Some(gone) = processes.gone {
        let new = processes.rows.iter().filter(|row| row.base.is_none());
        let same = processes.rows.iter().filter(|row| !row.has_changed());
        words.push(format!(
            "Against the base: {} new, {} not there any more, {} within 1 % of what they took.",
            count(new.count() as i64),
            count(gone as i64),
            count(same.count() as i64)
        ));
    }
    words
}

/// How the peak changed: `+1.0 MiB`, `new`.
pub(super) fn changed(row: &ProcessRow) -> String {
    match row.base {
        Some(base) => signed(row.figures.peak.saturating_sub(base.peak)),
        None => "new".to_owned(),
    }
}

/// Bytes with their sign, also above zero.
pub(super) fn signed(number: i64) -> String {
    match number {
        0 => "0 B".to_owned(),
        1.. => format!("+{}", bytes(number)),
        _ => bytes(number),
    }
}

/// What is remarkable in a row: which attempt, how many processes.
pub(super) fn remarks(row: &ProcessRow) -> String {
    let mut remarks = String::new();
    let (attempt, attempts) = row.attempt;
    if attempts > 1 {
        remarks += &format!(" (attempt {attempt} of {attempts})");
    }
    if row.processes > 1 {
        remarks += &format!(" ({} processes)", row.processes);
    }
    if row.is_unfinished {
        remarks += " (killed, or still runs)";
    }
    remarks
}

/// Where a line stands.
pub(super) fn place(line: &GrownLine) -> String {
    match line.line {
        Some(number) => format!("{}:{number}", line.file),
        None => line.file.clone(),
    }
}

/// What is said below the lines that grew.
pub(super) fn grown_rest(processes: &Processes, shown: usize) -> String {
    match processes.grown.len() {
        0 => "No line of your own source grew.".to_owned(),
        all if all <= shown => format!("{} grew.", counted(all, "line", "lines")),
        all => format!(
            "{} grew; `memprof diff` of two merged profiles shows all.",
            counted(all, "line", "lines")
        ),
    }
}

fn counted(number: usize, one: &str, many: &str) -> String {
    let what = if number == 1 { one } else { many };
    format!("{} {what}", count(number as i64))
}
