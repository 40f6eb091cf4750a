//! Snapshots of a recording: on the beat, and at marks.

use profiler_alloc_format::Snapshot;
use profiler_alloc_format::moments::MAX_NAME_LEN;

use super::Recorder;
use super::moments;
use crate::profile_file::snapshots::NoSnapshot;
use crate::session::threads;

/// Times that a mark is tried while another thread takes a snapshot, which takes a microsecond.
const TRIES: usize = 1_000;

impl Recorder {
    /// Takes a snapshot if one is due `now_ns` after the start. To be called at points of the
    /// timeline.
    pub(super) fn snapshot_if_due(&self, now_ns: u64) {
        let snapshots = &self.moments.snapshots;
        if snapshots.is_due(now_ns) {
            // Another thread that is at it takes this one's too.
            let _ = snapshots.take(self.store, now_ns, || self.snapshot());
        }
    }

    /// Keeps the heap as it is now, under a name. False, and counted as a loss, if there are too
    /// many marks.
    pub fn mark(&self, name: &[u8]) -> bool {
        let name = &name[..name.len().min(MAX_NAME_LEN)];
        let make = || {
            let (name_at, name_len) = self.store.add_string(name).unwrap_or_default();
            Snapshot {
                name_at,
                name_len,
                ..self.snapshot()
            }
        };
        let snapshots = &self.moments.snapshots;
        let taken = (0..TRIES).find_map(|_| match snapshots.mark(self.store, make) {
            Err(NoSnapshot::Busy) => {
                std::thread::yield_now();
                None
            }
            done => Some(done),
        });
        let is_taken = taken == Some(Ok(()));
        match is_taken {
            true => self.add_point(self.clock.now(), threads::process_totals().heap()),
            false => moments::lose(self.store),
        }
        is_taken
    }

    fn snapshot(&self) -> Snapshot {
        let totals = self.totals();
        Snapshot {
            time_ns: self.clock.now().saturating_add(1),
            heap: threads::process_totals().heap() as u64,
            allocs: totals.allocs,
            frees: totals.frees,
            reallocs: totals.reallocs,
            alloc_bytes: totals.alloc_bytes,
            freed_bytes: totals.freed_bytes,
            ..Snapshot::empty()
        }
    }
}
