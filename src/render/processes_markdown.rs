//! Tests and processes as Markdown, short enough for a comment on a pull request.

use std::io::{self, Write};

use super::format::bytes;
use super::processes_text::{changed, feet, grown_rest, headline, place, remarks};
use crate::report::{ProcessRow, Processes};
use crate::units::Count;

/// Rows and lines of a comment: with all that stands around them it stays below 60 lines.
const GROWN: usize = 10;
const DEFECTS: usize = 5;
/// Characters of a name.
const LONGEST: usize = 100;

/// A table for a comment.
#[derive(Clone, Copy, Debug)]
pub struct ProcessesMarkdown {
    /// Rows shown, 25 at most.
    pub top: usize,
}

impl ProcessesMarkdown {
    /// Most rows.
    pub const ROWS: usize = 25;

    /// Writes `processes` to `out`; with a base, the rows that changed.
    pub fn processes(&self, processes: &Processes, out: &mut dyn Write) -> io::Result<()> {
        let has_base = processes.gone.is_some();
        let top = self.top.min(Self::ROWS);
        writeln!(out, "### memprof: {}\n", headline(processes))?;
        let mut all: Vec<&ProcessRow> = (processes.rows.iter())
            .filter(|row| !has_base || row.has_changed())
            .collect();
        let shown: Vec<&ProcessRow> = all.iter().copied().take(top).collect();
        if !shown.is_empty() {
            let what = if processes.are_tests {
                "Test"
            } else {
                "Process"
            };
            let (head, line) = match has_base {
                true => ("Peak | Change", "--: | --:"),
                false => ("Peak", "--:"),
            };
            writeln!(
                out,
                "| {what} | {head} | Allocated | Live at end | Blocks |"
            )?;
            writeln!(out, "| :-- | {line} | --: | --: | --: |")?;
        }
        for row in &shown {
            let peak = bytes(row.figures.peak);
            let peak = match has_base {
                true => format!("{peak} | {}", changed(row)),
                false => peak,
            };
            writeln!(
                out,
                "| {} {}{} | {peak} | {} | {} | {} |",
                code(&row.of),
                code(&row.name),
                remarks(row),
                bytes(row.figures.alloc_bytes as i64),
                bytes(row.figures.live),
                Count(row.figures.allocs)
            )?;
        }
        if has_base && !processes.grown.is_empty() {
            writeln!(out, "\n| Line that grew | Base | Now | Change |")?;
            writeln!(out, "| :-- | --: | --: | --: |")?;
            for line in processes.grown.iter().take(GROWN) {
                writeln!(
                    out,
                    "| {} {} | {} | {} | +{} |",
                    code(&place(line)),
                    code(&line.function),
                    bytes(line.change.base.bytes),
                    bytes(line.change.new.bytes),
                    bytes(line.change.difference().bytes)
                )?;
            }
        }
        let grown = has_base.then(|| grown_rest(processes, GROWN)).into_iter();
        let rest: Vec<&ProcessRow> = all.split_off(shown.len());
        let feet = grown.chain(feet(processes, &rest, "memprof tests"));
        let notes = processes
            .defects
            .iter()
            .map(|defect| format!("Note: {defect}."));
        let rest = processes.defects.len().saturating_sub(DEFECTS);
        let rest =
            (rest > 0).then(|| format!("Note: {rest} notes more; `memprof tests` has them."));
        let mut is_first = true;
        for words in feet.chain(notes.take(DEFECTS)).chain(rest) {
            let gap = if std::mem::take(&mut is_first) {
                "\n"
            } else {
                ""
            };
            writeln!(out, "{gap}- {}", plain(&words))?;
        }
        Ok(())
    }
}

/// `text` as code in the cell of a table. There, a bar ends the cell even in code.
fn code(text: &str) -> String {
    let mut cut: String = text.chars().take(LONGEST).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    let safe: String = cut
        .chars()
        .map(|char| {
            if char.is_control() || char == '`' {
                '?'
            } else {
                char
            }
        })
        .collect();
    format!("`{}`", safe.replace('|', "\\|"))
}

/// `text` with what Markdown and HTML would read as their own escaped.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '<' => plain.push_str("&lt;"),
            '&' => plain.push_str("&amp;"),
            '*' | '_' | '[' | ']' | '\\' | '|' | '@' | '#' => plain.extend(['\\', char]),
            char if char.is_control() => plain.push('?'),
            char => plain.push(char),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defect::Defect;
    use crate::profile::{Merger, builder::Builder, parse};
    use crate::report::ProcessSort;

    /// Tests of these names; each has a peak of a KiB more than the one before.
    fn processes(names: &[&str]) -> Processes {
        let mut merger = Merger::default();
        for (pid, name) in (1..).zip(names) {
            let mut builder = Builder::new();
            let header = &mut builder.header;
            (header.pid, header.run_id) = (pid, 7);
            header.peak = u64::from(pid) << 10;
            (header.test_phase, header.test_attempt) = (2, 1);
            header.test_name_len = name.len() as u32;
            (header.test_binary_at, header.test_binary_len) = (header.test_name_len, 4);
            builder.strings.extend_from_slice(name.as_bytes());
            builder.strings.extend_from_slice(b"shop");
            let (profile, _) = parse("x".as_ref(), builder.to_input()).unwrap();
            merger.add(format!("{pid}.memprof"), profile, &[], true);
        }
        let (profile, _) = merger.finish();
        let mut processes = Processes::new(&profile, false, Vec::new());
        processes.sort(ProcessSort::Peak);
        processes
    }

    fn markdown(processes: &Processes) -> String {
        let mut out = Vec::new();
        let view = ProcessesMarkdown { top: usize::MAX };
        view.processes(processes, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn however_many_tests_there_are_it_is_a_comment() {
        let names: Vec<String> = (0..300).map(|number| format!("test_{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut many = processes(&names);
        let note = Defect::PointsDropped { points: 1 };
        many.defects = vec![note; 40];
        let text = markdown(&many);
        assert!(text.lines().count() < 60, "{text}");
        assert!(text.contains("Left out: 275 more, each with a peak of at most 275.0 KiB"));
        assert!(text.contains("Note: 35 notes more"), "{text}");
    }

    #[test]
    fn names_stay_names() {
        let text = markdown(&processes(&["a|b`c`\n# d", "<img src=x>", "@someone"]));
        insta::assert_snapshot!(text, @r"
        ### memprof: 3 tests: peak 3.0 KiB in one of them, 3.0 KiB in all at one time; 0 B allocated in 0 blocks

        | Test | Peak | Allocated | Live at end | Blocks |
        | :-- | --: | --: | --: | --: |
        | `shop` `@someone` | 3.0 KiB | 0 B | 0 B | 0 |
        | `shop` `<img src=x>` | 2.0 KiB | 0 B | 0 B | 0 |
        | `shop` `a\|b?c??# d` | 1.0 KiB | 0 B | 0 B | 0 |
        ");
    }
}
