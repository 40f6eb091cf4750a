//! What every view ends in: how it was sampled, what was lost, and what is wrong.

use std::io::{self, Write};

use super::escape::escape;
use super::format::{bytes, size};
use super::killed;
use crate::defect::Defect;
use crate::report::{Cut, Figures, Loss, NOISE, Recording, Sampling, Stacks, State};
use crate::units::Count;

/// Writes the lines to `out`.
pub(super) fn footer(stacks: &Stacks, out: &mut dyn Write) -> io::Result<()> {
    for words in ends(&stacks.recording) {
        writeln!(out, "{words}")?;
    }
    sampling(&stacks.sampling, &stacks.losses, out)?;
    noise(&stacks.sampling, out)?;
    faults(&stacks.unattributed, &stacks.losses, &stacks.defects, out)
}

/// The same lines for pictures.
pub(super) fn footer_lines(stacks: &Stacks) -> Vec<String> {
    let mut text = Vec::new();
    // Writing to memory does not fail.
    let _ = faults(
        &stacks.unattributed,
        &stacks.losses,
        &stacks.defects,
        &mut text,
    );
    let mut lines = Vec::new();
    let _ = sampling(&stacks.sampling, &stacks.losses, &mut lines);
    lines.extend(text);
    let lines = String::from_utf8_lossy(&lines).into_owned();
    let ends = ends(&stacks.recording).into_iter();
    ends.chain(lines.lines().map(str::to_owned)).collect()
}

/// What came before a recording.
pub(super) fn beginning(recording: &Recording) -> String {
    match recording.forked_from {
        Some(parent) => format!("fork from process {parent}"),
        None => "recording".to_owned(),
    }
}

/// What is to be said of a recording that began in the middle of the program, or has no end.
pub(super) fn ends(recording: &Recording) -> Vec<String> {
    let killed = killed::sentence(recording);
    killed.into_iter().chain(but_killed(recording)).collect()
}

/// The same below what has begun with how the program was killed.
pub(super) fn but_killed(recording: &Recording) -> Vec<String> {
    let before = (recording.heap_at_start > 0).then(|| {
        format!(
            "Before the {}: {} were in use, which are in no line but in the heap.",
            beginning(recording),
            bytes(recording.heap_at_start)
        )
    });
    let is_open = recording.state == State::Recording && recording.killed.is_none();
    let open = is_open.then(|| "The program still runs, or was killed.".to_owned());
    before.into_iter().chain(open).collect()
}

/// What was left out of a tree, in words.
pub(super) fn cut_words(cut: Cut, whole: i64) -> Option<String> {
    if cut.parts == 0 {
        return None;
    }
    let share = cut.sum as f64 / whole.max(1) as f64 * 100.0;
    let parts = super::format::count(cut.parts as i64);
    let (parts, are, count) = match cut.parts {
        1 => ("1 smaller part".to_owned(), "is", "counts"),
        _ => (format!("{parts} smaller parts"), "are", "count"),
    };
    Some(format!(
        "{parts}, {share:.1} % of the whole, {are} not shown apart but {count} in what is above."
    ))
}

/// Says how allocations were sampled. Where some of that was lost, the lines are not exact.
pub(super) fn sampling(
    sampling: &Sampling,
    losses: &[Loss],
    out: &mut dyn Write,
) -> io::Result<()> {
    if sampling.exact {
        let words = match losses {
            [] => "Sampling: exact; every allocation was recorded.",
            _ => "Sampling: every allocation was recorded, with losses.",
        };
        return writeln!(out, "{words}");
    }
    let last = match sampling.interval {
        0 => "every allocation".to_owned(),
        interval => format!("one in {}", size(interval)),
    };
    let sparsest = if sampling.interval_widest == sampling.interval {
        String::new()
    } else {
        format!(
            "one in {} at the sparsest, ",
            size(sampling.interval_widest)
        )
    };
    let interval = match sampling.mode {
        // It starts with every allocation, so the interval at the end says little of how much was
        // seen.
        "auto" => format!("auto: every allocation at first, {sparsest}{last} at the end"),
        mode => format!("{mode}: one in {} on average", size(sampling.interval)),
    };
    writeln!(
        out,
        "Sampling: {interval}; {} allocations and {} frees sampled.",
        Count(sampling.alloc_samples),
        Count(sampling.free_samples),
    )
}

/// Says what the mark `~` means; nothing where no figure can have it.
pub(super) fn noise(sampling: &Sampling, out: &mut dyn Write) -> io::Result<()> {
    if sampling.exact {
        return Ok(());
    }
    let percent = NOISE * 100.0;
    writeln!(
        out,
        "`~` marks figures whose standard error is above {percent:.0} %."
    )
}

/// What was lost or is wrong; nothing if all is well.
pub(super) fn faults(
    unattributed: &Figures,
    losses: &[Loss],
    defects: &[Defect],
    out: &mut dyn Write,
) -> io::Result<()> {
    if unattributed.allocated.bytes != 0 {
        let lost = bytes(unattributed.allocated.bytes);
        writeln!(
            out,
            "Not attributed: {lost} allocated without a known stack."
        )?;
    }
    for loss in losses {
        writeln!(out, "Lost: {} {}.", Count(loss.count), loss.what)?;
    }
    for defect in defects {
        writeln!(out, "Note: {}.", escape(&defect.to_string()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Counters;

    #[test]
    fn says_what_was_there_before() {
        let recording = |heap_at_start, forked_from, state| {
            let recording = Recording {
                program: "shop".to_owned(),
                pid: 7,
                merged: None,
                forked_from,
                state,
                killed: None,
                shown: None,
                started_unix_ns: 0,
                duration_ns: 0,
                counters: Counters::default(),
                heap_at_start,
                heap: 0,
                peak: 0,
                peak_ns: 0,
            };
            ends(&recording)
        };
        assert_eq!(recording(0, None, State::Exited), Vec::<String>::new());
        let said = recording(3 << 20, None, State::Recording);
        insta::assert_snapshot!(said.join("\n"), @r"
        Before the recording: 3.0 MiB were in use, which are in no line but in the heap.
        The program still runs, or was killed.
        ");
        let said = recording(3 << 20, Some(4711), State::Exited);
        insta::assert_snapshot!(said.join("\n"), @"Before the fork from process 4711: 3.0 MiB were in use, which are in no line but in the heap.");
    }
}
