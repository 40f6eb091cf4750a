//! What a report says about the recording itself: program, sampling, losses.

use profiler_alloc_format::{MODE_ALL, MODE_FIXED};

use super::Killed;
use crate::profile::{Counters, Profile, ShownView, State, Totals};
use crate::units::Count;

/// Which program was recorded, when, and its exact totals.
#[derive(Clone, PartialEq, Debug)]
pub struct Recording {
    /// The program's file name; empty if unknown.
    pub program: String,
    /// Its process number.
    pub pid: u32,
    /// How many processes it is of, and from how many profiles it was merged. `None` of one that
    /// was recorded.
    pub merged: Option<(u64, u64)>,
    /// That of the program that forked it, whose heap it began with.
    pub forked_from: Option<u64>,
    /// Whether the recording ended in order.
    pub state: State,
    /// How the program ended, if it did not end in order and `memprof run` saw it.
    pub killed: Option<Killed>,
    /// The moment whose figures are shown, if they are not those of the whole run.
    pub shown: Option<ShownView>,
    /// Start, nanoseconds since 1970 (UTC).
    pub started_unix_ns: u64,
    /// Nanoseconds from the start to the end, or to the last thing recorded.
    pub duration_ns: u64,
    /// Exact totals of the process.
    pub counters: Counters,
    /// Heap in use when the recording started, in bytes.
    pub heap_at_start: i64,
    /// Heap in use at the end, or as last recorded, in bytes.
    pub heap: i64,
    /// Highest heap in use, in bytes.
    pub peak: i64,
    /// Time of the peak, nanoseconds since the start.
    pub peak_ns: u64,
}

impl Recording {
    pub(super) fn of(profile: &Profile) -> Recording {
        Recording {
            program: profile.program(),
            pid: profile.header.pid,
            merged: (profile.is_merged())
                .then(|| (profile.process_count(), profile.processes.len() as u64)),
            forked_from: Some(profile.header.forked_from).filter(|&pid| pid != 0),
            state: profile.state(),
            killed: Killed::of(profile),
            shown: profile.shown.clone(),
            started_unix_ns: profile.header.started_unix_ns,
            duration_ns: profile.duration_ns(),
            counters: profile.counters(),
            heap_at_start: profile.header.heap_base as i64,
            heap: profile.heap(),
            peak: profile.peak(),
            peak_ns: profile.header.peak_ns,
        }
    }

    /// Which process or processes, in words: `process 42`, `8 processes`, `1 process, 2 profiles`.
    pub fn who(&self) -> String {
        match self.merged {
            None => format!("process {}", self.pid),
            Some((1, 1)) => "1 process".to_owned(),
            Some((processes, files)) if processes == files => {
                format!("{} processes", Count(processes))
            }
            Some((processes, files)) => {
                let s = if processes == 1 { "" } else { "es" };
                format!("{} process{s}, {} profiles", Count(processes), Count(files))
            }
        }
    }
}

/// How the program was sampled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sampling {
    /// `auto`, `all` or `fixed`.
    pub mode: &'static str,
    /// Whether every allocation was recorded.
    pub exact: bool,
    /// Sampling interval at the end, in bytes; 0 is exact.
    pub interval: u64,
    /// Widest sampling interval used, in bytes; 0 is exact.
    pub interval_widest: u64,
    /// Allocations sampled.
    pub alloc_samples: u64,
    /// Frees sampled.
    pub free_samples: u64,
}

impl Sampling {
    pub(super) fn of(profile: &Profile) -> Sampling {
        let header = &profile.header;
        let samples = |of: fn(&Totals) -> u64| {
            let stacks = profile.stacks.iter().map(|stack| of(&stack.totals));
            stacks.fold(of(&profile.unattributed), u64::saturating_add)
        };
        Sampling {
            mode: match header.mode {
                MODE_ALL => "all",
                MODE_FIXED => "fixed",
                _ => "auto",
            },
            exact: profile.is_exact(),
            interval: header.interval,
            interval_widest: header.interval_widest,
            alloc_samples: samples(|totals| totals.alloc_samples),
            free_samples: samples(|totals| totals.free_samples),
        }
    }
}
