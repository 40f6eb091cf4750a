//! What one scope did to the heap, over all stretches in which it ran.

use crate::own_counts::OwnCounts;
use crate::watch::{ProcessPeak, ThreadPeak};

use super::scope::Scope;

/// Counts of one scope.
#[derive(Default, Debug)]
pub(super) struct Meter {
    counts: OwnCounts,
    peak: i64,
    process_peak: Option<i64>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    before: OwnCounts,
    thread: ThreadPeak,
    process: Option<ProcessPeak>,
}

impl Meter {
    /// What the scope's own threads have counted inside it so far.
    pub fn counts(&self) -> OwnCounts {
        self.counts
    }

    /// The most that the scope held of what it took itself. *Bytes.*
    pub fn peak(&self) -> i64 {
        self.peak
    }

    /// The highest heap of the whole process while the scope ran; `None` if too many scopes were open to tell. *Bytes.*
    pub fn process_peak(&self) -> Option<i64> {
        self.process_peak
    }
}

impl Scope for Meter {
    fn resume(&mut self) {
        self.running = Some(Running {
            before: OwnCounts::now(),
            thread: ThreadPeak::open(),
            process: ProcessPeak::open(),
        });
    }

    fn pause(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        self.peak = self
            .peak
            .max(self.counts.net().wrapping_add(running.thread.close()));
        let process = running.process.map(ProcessPeak::close);
        self.process_peak = self.process_peak.max(process);
        let change = OwnCounts::now().since(running.before);
        self.counts.allocated = self.counts.allocated.wrapping_add(change.allocated);
        self.counts.freed = self.counts.freed.wrapping_add(change.freed);
        self.counts.allocations = self.counts.allocations.wrapping_add(change.allocations);
    }
}
