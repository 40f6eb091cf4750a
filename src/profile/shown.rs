//! Which moment the figures of a profile have become those of.

use std::fmt;

use super::counters::Counters;
use crate::units::Seconds;

/// A moment that is looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShownMoment {
    /// Its name: `peak`, `end`, or that of a mark. `None` of one that the clock made.
    pub name: Option<String>,
    /// Nanoseconds since the start.
    pub time_ns: u64,
    /// Heap in use then, in bytes.
    pub heap: i64,
}

impl fmt::Display for ShownMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = Seconds(self.time_ns);
        match self.name.as_deref() {
            Some(name @ ("peak" | "end")) => write!(f, "the {name} ({time})"),
            Some(mark) => write!(f, "the mark {mark} ({time})"),
            None => write!(f, "{time}"),
        }
    }
}

/// What the figures of a profile have become: those of a moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShownView {
    /// They are what was live then.
    pub at: ShownMoment,
    /// Of what was allocated after it.
    pub since: Option<ShownMoment>,
    /// What the process, or the heap that was chosen, had done by then, or between the two.
    pub counters: Counters,
}

impl ShownView {
    /// From the moment after which blocks were allocated, or the start, to the one at which they
    /// were live, in nanoseconds.
    pub fn span_ns(&self) -> u64 {
        let since = self.since.as_ref().map_or(0, |since| since.time_ns);
        self.at.time_ns.saturating_sub(since)
    }
}

impl fmt::Display for ShownView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.since {
            None => write!(f, "what was live at {}", self.at),
            Some(since) => write!(
                f,
                "what was allocated after {since} and live at {}",
                self.at
            ),
        }
    }
}
