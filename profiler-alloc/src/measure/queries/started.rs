//! A query that has begun and not ended, for hooks that report both moments.

use std::borrow::Cow;
use std::sync::Arc;
#[cfg(feature = "sqlite")]
use std::sync::Weak;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use super::collection;
use super::event::QueryEvent;
use super::frame::{self, Frame};
use super::model::Place;
use super::model::Source;
use super::model::StatementRun;
use crate::counters::thread_counts::{self, ThreadCounts};
use crate::measure::installed;

/// What stands at one moment in one thread, read before memprof does any work of its own.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    at: Instant,
    thread: ThreadId,
    counts: ThreadCounts,
}

impl Reading {
    /// `None` while memprof works for itself: then queries are those of the program's output, which
    /// belong to nobody.
    pub fn now() -> Option<Reading> {
        let is_untracked = thread_counts::is_untracked();
        (!is_untracked).then(|| Reading {
            counts: ThreadCounts::now(),
            at: Instant::now(),
            thread: thread::current().id(),
        })
    }
}

/// A query between its start and its end.
#[derive(Debug)]
pub struct Started {
    pub frame: Arc<Frame>,
    pub id: u64,
    place: (Place, StatementRun),
    reading: Reading,
}

impl Started {
    /// In the scope of the calling thread.
    pub fn new(reading: Reading) -> Option<Started> {
        Some(Started::in_scope(frame::current()?, reading))
    }

    /// In the scope of that frame.
    pub fn in_scope(frame: Arc<Frame>, reading: Reading) -> Started {
        Started {
            id: collection::next_id(),
            place: (frame.place(), frame.statement()),
            frame,
            reading,
        }
    }

    /// How long it has taken.
    pub fn elapsed(&self, end: Reading) -> Duration {
        end.at.saturating_duration_since(self.reading.at)
    }

    /// What the thread has allocated since; `None` if the query went on on another.
    pub fn allocated(&self, end: Reading) -> Option<u64> {
        let is_known = self.reading.thread == end.thread && installed::is_heap_counted();
        is_known.then(|| end.counts.since(self.reading.counts).allocated)
    }

    /// The query, as far as it is known when it begins.
    pub fn event<'a>(&self, source: Source, sql: impl Into<Cow<'a, str>>) -> QueryEvent<'a> {
        QueryEvent {
            id: Some(self.id),
            place: Some(self.place),
            ..QueryEvent::new(source, sql)
        }
    }

    /// The query when it is over.
    #[cfg(feature = "diesel")]
    pub fn ended<'a>(&self, end: Reading, source: Source, sql: &'a str) -> QueryEvent<'a> {
        QueryEvent {
            elapsed: Some(self.elapsed(end)),
            allocated: self.allocated(end),
            ..self.event(source, sql)
        }
    }

    /// It is over, and may go on. Its scope does not wait for that.
    #[cfg(feature = "sqlite")]
    pub fn pause(self) -> Paused {
        Paused {
            frame: Arc::downgrade(&self.frame),
            id: self.id,
            place: self.place,
            reading: self.reading,
        }
    }
}

/// A query that was over, and may go on.
#[cfg(feature = "sqlite")]
#[derive(Debug)]
pub struct Paused {
    frame: Weak<Frame>,
    id: u64,
    place: (Place, StatementRun),
    reading: Reading,
}

#[cfg(feature = "sqlite")]
impl Paused {
    /// `None` if its scope is over.
    pub fn go_on(self) -> Option<Started> {
        Some(Started {
            frame: self.frame.upgrade()?,
            id: self.id,
            place: self.place,
            reading: self.reading,
        })
    }
}
