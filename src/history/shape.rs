//! How figures are kept as JSON text in the tables of a history. A field here is part of the files
//! that exist, so it is added with a default and never removed.

use serde::{Deserialize, Serialize};

use crate::report::{Bytes, CountErrors, Figures, Scope, State};

#[derive(Serialize, Deserialize)]
pub(super) struct SavedFigures {
    mem_usage: Option<i64>,
    increment: SavedBytes,
    allocated: SavedBytes,
    freed: SavedBytes,
    live: SavedBytes,
    at_peak: SavedBytes,
    temporary: SavedBytes,
    reallocated: SavedBytes,
    count: i64,
    freed_count: i64,
    temporary_count: i64,
    reallocated_count: i64,
    live_count: i64,
    at_peak_count: i64,
    #[serde(default)]
    count_errors: SavedCountErrors,
    samples: u64,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct SavedBytes {
    bytes: i64,
    standard_error: f64,
}

#[derive(Default, Serialize, Deserialize)]
struct SavedCountErrors {
    count: f64,
    freed: f64,
    temporary: f64,
    reallocated: f64,
    live: f64,
    at_peak: f64,
}

impl From<Bytes> for SavedBytes {
    fn from(bytes: Bytes) -> Self {
        SavedBytes {
            bytes: bytes.bytes,
            standard_error: bytes.standard_error,
        }
    }
}

impl From<SavedBytes> for Bytes {
    fn from(saved: SavedBytes) -> Self {
        Bytes {
            bytes: saved.bytes,
            standard_error: saved.standard_error,
        }
    }
}

impl From<&Figures> for SavedFigures {
    fn from(figures: &Figures) -> Self {
        let errors = &figures.count_errors;
        SavedFigures {
            mem_usage: figures.mem_usage,
            increment: figures.increment.into(),
            allocated: figures.allocated.into(),
            freed: figures.freed.into(),
            live: figures.live.into(),
            at_peak: figures.at_peak.into(),
            temporary: figures.temporary.into(),
            reallocated: figures.reallocated.into(),
            count: figures.count,
            freed_count: figures.freed_count,
            temporary_count: figures.temporary_count,
            reallocated_count: figures.reallocated_count,
            live_count: figures.live_count,
            at_peak_count: figures.at_peak_count,
            count_errors: SavedCountErrors {
                count: errors.count,
                freed: errors.freed,
                temporary: errors.temporary,
                reallocated: errors.reallocated,
                live: errors.live,
                at_peak: errors.at_peak,
            },
            samples: figures.samples,
        }
    }
}

impl From<SavedFigures> for Figures {
    fn from(saved: SavedFigures) -> Self {
        let errors = &saved.count_errors;
        Figures {
            mem_usage: saved.mem_usage,
            increment: saved.increment.into(),
            allocated: saved.allocated.into(),
            freed: saved.freed.into(),
            live: saved.live.into(),
            at_peak: saved.at_peak.into(),
            temporary: saved.temporary.into(),
            reallocated: saved.reallocated.into(),
            count: saved.count,
            freed_count: saved.freed_count,
            temporary_count: saved.temporary_count,
            reallocated_count: saved.reallocated_count,
            live_count: saved.live_count,
            at_peak_count: saved.at_peak_count,
            count_errors: CountErrors {
                count: errors.count,
                freed: errors.freed,
                temporary: errors.temporary,
                reallocated: errors.reallocated,
                live: errors.live,
                at_peak: errors.at_peak,
            },
            samples: saved.samples,
        }
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SavedState {
    Recording,
    Paused,
    Finished,
    Exited,
}

impl From<State> for SavedState {
    fn from(state: State) -> Self {
        match state {
            State::Recording => SavedState::Recording,
            State::Paused => SavedState::Paused,
            State::Finished => SavedState::Finished,
            State::Exited => SavedState::Exited,
        }
    }
}

impl From<SavedState> for State {
    fn from(saved: SavedState) -> Self {
        match saved {
            SavedState::Recording => State::Recording,
            SavedState::Paused => State::Paused,
            SavedState::Finished => State::Finished,
            SavedState::Exited => State::Exited,
        }
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SavedScope {
    User,
    All,
}

impl From<Scope> for SavedScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::User => SavedScope::User,
            Scope::All => SavedScope::All,
        }
    }
}

impl From<SavedScope> for Scope {
    fn from(saved: SavedScope) -> Self {
        match saved {
            SavedScope::User => Scope::User,
            SavedScope::All => Scope::All,
        }
    }
}
