//! What one scope did to the heap, over all stretches in which it ran.

use crate::counters::births;
use crate::counters::course::Course;
use crate::counters::open_scopes::{ProcessPeak, ThreadCourse};
use crate::counters::thread_counts::ThreadCounts;

use super::scope::Scope;

/// Counts of one scope.
#[derive(Default, Debug)]
pub(super) struct ScopeCounter {
    /// Its number; 0 before it first runs.
    scope: u32,
    counts: ThreadCounts,
    course: Course,
    process_peak: Option<i64>,
    running: Option<RunningScope>,
}

#[derive(Debug)]
struct RunningScope {
    before: ThreadCounts,
    thread: ThreadCourse,
    process: Option<ProcessPeak>,
}

impl ScopeCounter {
    /// What the scope's own threads have counted inside it so far.
    pub fn counts(&self) -> ThreadCounts {
        self.counts
    }

    /// The most that the scope held of what it took itself. *Bytes.*
    pub fn peak(&self) -> i64 {
        self.course.rise()
    }

    /// What the scope took itself and has not given back. *Bytes.*
    pub fn left(&self) -> i64 {
        self.course.left()
    }

    /// The highest heap of the whole process while the scope ran; `None` if too many scopes were
    /// open to tell. *Bytes.*
    pub fn process_peak(&self) -> Option<i64> {
        self.process_peak
    }
}

impl Scope for ScopeCounter {
    fn resume(&mut self) {
        if self.scope == 0 {
            self.scope = births::next_scope();
        }
        self.running = Some(RunningScope {
            before: ThreadCounts::now(),
            thread: ThreadCourse::open(self.scope),
            process: ProcessPeak::open(),
        });
    }

    fn pause(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        self.course = self.course.then(running.thread.close());
        let process = running.process.map(ProcessPeak::close);
        self.process_peak = self.process_peak.max(process);
        let change = ThreadCounts::now().since(running.before);
        self.counts.allocated = self.counts.allocated.wrapping_add(change.allocated);
        self.counts.freed = self.counts.freed.wrapping_add(change.freed);
        self.counts.allocations = self.counts.allocations.wrapping_add(change.allocations);
    }
}
