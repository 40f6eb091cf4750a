//! The shapes of JSON that several views share; `docs/json.md` describes them. The model may change
//! without them.

use serde::Serialize;

use crate::defect::Defect;
use crate::report::{
    Basis, DeathBy, Killed, Loss, Recording, Sampling, Scope, ShownMoment, ShownView, State,
};

#[derive(Serialize)]
pub(crate) struct RecordingShape<'a> {
    program: &'a str,
    pid: u32,
    processes: u64,
    profiles: u64,
    state: &'static str,
    /// Null if it was not, or nobody saw it.
    killed: Option<KilledShape>,
    /// Absent where the figures are those of the whole run.
    #[serde(skip_serializing_if = "Option::is_none")]
    moment: Option<MomentShape<'a>>,
    started_unix_ns: u64,
    duration_ns: u64,
    counters: CountersShape,
    forked_from: Option<u64>,
    heap_at_start: i64,
    heap: i64,
    peak: i64,
    peak_ns: u64,
}

/// The figures are what was live at a moment, of what was allocated since another.
#[derive(Serialize)]
struct MomentShape<'a> {
    at: MomentOfShape<'a>,
    since: Option<MomentOfShape<'a>>,
}

#[derive(Serialize)]
struct MomentOfShape<'a> {
    /// Of a mark, `peak` or `end`; null of a moment that has none.
    name: Option<&'a str>,
    time_ns: u64,
    heap: i64,
}

impl<'a> MomentShape<'a> {
    fn of(shown: &'a ShownView) -> Self {
        MomentShape {
            at: MomentOfShape::of(&shown.at),
            since: shown.since.as_ref().map(MomentOfShape::of),
        }
    }
}

impl<'a> MomentOfShape<'a> {
    fn of(moment: &'a ShownMoment) -> Self {
        MomentOfShape {
            name: moment.name.as_deref(),
            time_ns: moment.time_ns,
            heap: moment.heap,
        }
    }
}

#[derive(Serialize)]
struct KilledShape {
    oom_killer: bool,
    signal: u32,
    at_ns: u64,
    unseen_ns: u64,
    memory_limit: Option<u64>,
    rss: Option<u64>,
    growth_per_second: Option<i64>,
}

impl KilledShape {
    fn of(killed: &Killed) -> KilledShape {
        let (oom_killer, signal) = match killed.death.by {
            DeathBy::OomKiller => (true, 9),
            DeathBy::Signal(signal) => (false, signal),
        };
        KilledShape {
            oom_killer,
            signal,
            at_ns: killed.death.at_ns,
            unseen_ns: killed.unseen_ns,
            memory_limit: killed.death.memory_limit,
            rss: killed.rss,
            growth_per_second: killed.growth,
        }
    }
}

#[derive(Serialize)]
struct CountersShape {
    allocs: u64,
    frees: u64,
    reallocs: u64,
    alloc_bytes: u64,
    freed_bytes: u64,
}

#[derive(Serialize)]
pub(crate) struct SamplingShape {
    mode: &'static str,
    exact: bool,
    interval: u64,
    interval_widest: u64,
    alloc_samples: u64,
    free_samples: u64,
}

#[derive(Serialize)]
pub(crate) struct LossShape {
    count: u64,
    what: &'static str,
}

impl<'a> RecordingShape<'a> {
    pub(crate) fn of(recording: &'a Recording) -> Self {
        let counters = &recording.counters;
        RecordingShape {
            moment: recording.shown.as_ref().map(MomentShape::of),
            program: &recording.program,
            pid: recording.pid,
            processes: recording.merged.map_or(1, |(processes, _)| processes),
            profiles: recording.merged.map_or(1, |(_, profiles)| profiles),
            state: match recording.state {
                State::Recording => "recording",
                State::Paused => "paused",
                State::Finished => "finished",
                State::Exited => "exited",
            },
            killed: recording.killed.as_ref().map(KilledShape::of),
            started_unix_ns: recording.started_unix_ns,
            duration_ns: recording.duration_ns,
            counters: CountersShape {
                allocs: counters.allocs,
                frees: counters.frees,
                reallocs: counters.reallocs,
                alloc_bytes: counters.alloc_bytes,
                freed_bytes: counters.freed_bytes,
            },
            forked_from: recording.forked_from,
            heap_at_start: recording.heap_at_start,
            heap: recording.heap,
            peak: recording.peak,
            peak_ns: recording.peak_ns,
        }
    }
}

impl SamplingShape {
    pub(crate) fn of(sampling: &Sampling) -> Self {
        SamplingShape {
            mode: sampling.mode,
            exact: sampling.exact,
            interval: sampling.interval,
            interval_widest: sampling.interval_widest,
            alloc_samples: sampling.alloc_samples,
            free_samples: sampling.free_samples,
        }
    }
}

pub(crate) fn losses(losses: &[Loss]) -> Vec<LossShape> {
    let shape = |loss: &Loss| LossShape {
        count: loss.count,
        what: loss.what,
    };
    losses.iter().map(shape).collect()
}

pub(crate) fn defects(defects: &[Defect]) -> Vec<String> {
    defects.iter().map(ToString::to_string).collect()
}

pub(super) fn basis(basis: Basis) -> &'static str {
    match basis {
        Basis::Stacks => "stacks",
        Basis::Counters => "counters",
    }
}

pub(super) fn scope(scope: Scope) -> &'static str {
    match scope {
        Scope::User => "user",
        Scope::All => "all",
    }
}
