//! The last moments of a program that was killed, in words.

use super::escape::escape;
use super::format;
use crate::report::{DeathBy, Killed, Recording, Summary};

/// A line that holds less than this part of the heap is not named, in percent.
const LEAST_SHARE: f64 = 5.0;
/// A context that holds less than this part is not named, in percent.
const LEAST_CONTEXT_SHARE: f64 = 20.0;
/// Lines that are named.
const LINES: usize = 3;

/// The last sentence of a run: how a program was killed, and what held its heap.
#[derive(Clone, Copy, Debug)]
pub struct LastWords;

impl LastWords {
    /// `app (process 42) was killed by …; 71 % of the heap at src/cache.rs:88 (app::insert)`.
    /// `None` if the program was not killed, or nobody saw it.
    pub fn of(self, summary: &Summary) -> Option<String> {
        let recording = &summary.recording;
        let killed = recording.killed.as_ref()?;
        let program = match recording.program.as_str() {
            "" => "the program",
            program => program,
        };
        let mut text = format!(
            "{} (process {}) was {}",
            escape(program),
            recording.pid,
            how(recording, killed)
        );
        for (at, (share, place)) in held(summary).into_iter().enumerate() {
            let of = if at == 0 { " of the heap" } else { "" };
            text += &format!("; {share:.0} %{of} {place}");
        }
        Some(text)
    }
}

/// A sentence about a program that was killed. `None` if it was not, or nobody saw it.
pub(super) fn sentence(recording: &Recording) -> Option<String> {
    let killed = recording.killed.as_ref()?;
    Some(format!("The program was {}.", how(recording, killed)))
}

/// By what a program was killed: `killed by the OOM killer`.
pub(super) fn by(killed: &Killed) -> String {
    match killed.death.by {
        DeathBy::OomKiller => "killed by the OOM killer".to_owned(),
        DeathBy::Signal(number) => match signal_name(number) {
            Some(name) => format!("ended by {name} (signal {number})"),
            None => format!("ended by signal {number}"),
        },
    }
}

fn how(recording: &Recording, killed: &Killed) -> String {
    let mut text = format!(
        "{} {} after its last figures: heap {}",
        by(killed),
        format::seconds(killed.unseen_ns),
        format::bytes(recording.heap)
    );
    for (name, in_use) in &killed.other_heaps {
        text += &format!(", {} in the heap {}", format::bytes(*in_use), escape(name));
    }
    if let Some(rss) = killed.rss {
        text += &format!(", RSS {}", format::size(rss));
    }
    match (killed.death.by, killed.death.memory_limit) {
        (_, Some(limit)) => {
            text += &format!(" of the {} its control group may have", format::size(limit));
        }
        (DeathBy::OomKiller, None) => text += ", and the machine had no more",
        _ => {}
    }
    if let Some(growth) = killed.growth {
        let (verb, by) = match growth {
            ..0 => ("shrank", growth.saturating_neg()),
            _ => ("grew", growth),
        };
        text += &format!(
            "; the heap {verb} by {}/s in the last second",
            format::bytes(by)
        );
    }
    text
}

/// What holds most of the heap, and which part of it, in percent: lines, then contexts.
fn held(summary: &Summary) -> Vec<(f64, String)> {
    let heap = summary.recording.heap.max(1) as f64;
    let share = |bytes: i64| bytes as f64 / heap * 100.0;
    let lines = summary.lines.iter().map(|line| {
        let number = line.line.map(|number| format!(":{number}"));
        let place = format!("{}{}", line.file, number.unwrap_or_default());
        let place = format!("at {} ({})", escape(&place), escape(&line.function));
        (share(line.figures.live.bytes), place)
    });
    let mut lines: Vec<(f64, String)> = lines.filter(|(share, _)| *share >= LEAST_SHARE).collect();
    lines.sort_by(|a, b| b.0.total_cmp(&a.0));
    lines.truncate(LINES);
    let contexts = summary.contexts.iter().filter_map(|key| {
        let of = |bytes: i64, value: &str| {
            let text = format!("in {}={}", escape(&key.key), escape(value));
            (share(bytes), text)
        };
        let rows = (key.rows.iter()).map(|row| of(row.figures.live.bytes, &row.context.value));
        rows.max_by(|a, b| a.0.total_cmp(&b.0))
    });
    let contexts = contexts.filter(|(share, _)| *share >= LEAST_CONTEXT_SHARE);
    lines.into_iter().chain(contexts).collect()
}

/// The name of a signal that ends programs, on Linux.
fn signal_name(number: u32) -> Option<&'static str> {
    Some(match number {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return None,
    })
}
