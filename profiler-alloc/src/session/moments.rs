//! The heap at earlier moments: snapshots on the beat and at marks, and which blocks were live at
//! each.

use core::sync::atomic::Ordering;

use profiler_alloc_format::moments::{ALIVE, MAX_NAME_LEN};
use profiler_alloc_format::{AgeCells, Snapshot, StackCells};

use super::Recorder;
use super::cohorts::Full;
use crate::profile_file::snapshots::NoSnapshot;
use crate::sampling::block::Block;
use crate::sampling::generations::{self, Part};
use crate::sampling::weights::Weight;
use crate::session::threads;

/// Times that a mark is tried while another thread takes a snapshot, which takes a microsecond.
const TRIES: usize = 1_000;

impl Recorder {
    /// Takes a snapshot if one is due `now_ns` after the start. To be called at points of the
    /// timeline.
    pub(super) fn snapshot_if_due(&self, now_ns: u64) {
        if self.snapshots.is_due(now_ns) {
            // Another thread that is at it takes this one's too.
            let _ = self.snapshots.take(self.store, now_ns, || self.snapshot());
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
        let taken = (0..TRIES).find_map(|_| match self.snapshots.mark(self.store, make) {
            Err(NoSnapshot::Busy) => {
                std::thread::yield_now();
                None
            }
            done => Some(done),
        });
        let is_taken = taken == Some(Ok(()));
        if is_taken {
            self.add_point(self.clock.now(), threads::process_totals().heap());
        } else {
            self.lose_moment();
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

    /// The generation that blocks are born in which `stack`, which has that number, allocates now.
    /// To be called before what it has live changes.
    #[inline]
    pub(super) fn generation_of(&self, number: u32, stack: &StackCells) -> u32 {
        self.pass(number, stack).map_or(0, |(_, newest)| newest)
    }

    /// A block of `stack` is freed, or a part of it of that weight, and lived until now. To be
    /// called before what the stack has live changes.
    #[inline]
    pub(super) fn pass_free(&self, stack: &StackCells, block: Block, weight: Weight) {
        if let Some((age, newest)) = self.pass(block.stack(), stack)
            && block.birth() < newest
        {
            self.free_older(age, newest, block, weight);
        }
    }

    /// A block of `stack` stands for more or less by `change` from now on, and always did. To be
    /// called before what the stack has live changes.
    pub(super) fn pass_restated(&self, stack: &StackCells, block: Block, change: Weight) {
        if let Some((age, newest)) = self.pass(block.stack(), stack)
            && block.birth() < newest
        {
            generations::change_older(age, change);
            self.add_to_cohort(block, ALIVE, change);
        }
    }

    #[inline]
    fn pass(&self, number: u32, stack: &StackCells) -> Option<(&'static AgeCells, u32)> {
        let header = self.store.header();
        let generation = header.generation.load(Ordering::Acquire) as u32;
        if generation == 0 {
            return None;
        }
        let ages = self.store.ages.get(number as usize);
        let age = ages.or_else(|| self.store.make_age(number as usize))?;
        let further = self.store.further.get(number as usize);
        let count_variance = further.map(|further| &further.live_count_variance);
        let closed = |part| self.add(number, ALIVE, part);
        let newest = generations::pass(age, stack, count_variance, generation, closed);
        Some((age, newest))
    }

    #[cold]
    #[inline(never)]
    fn free_older(&self, age: &AgeCells, newest: u32, block: Block, weight: Weight) {
        self.add_to_cohort(block, newest, weight);
        let less = weight.to(Weight::NOTHING);
        self.add_to_cohort(block, ALIVE, less);
        generations::change_older(age, less);
    }

    fn add_to_cohort(&self, block: Block, last: u32, weight: Weight) {
        let birth = block.birth();
        self.add(block.stack(), last, Part { birth, weight });
    }

    fn add(&self, stack: u32, last: u32, part: Part) {
        let add = || (self.cohorts).add(self.store, &self.snapshots.kept, stack, last, part);
        // With fewer snapshots, most of what is there says the same.
        if add() == Err(Full) && !(self.snapshots.make_room(self.store) && add().is_ok()) {
            self.lose_moment();
        }
    }

    #[cold]
    fn lose_moment(&self) {
        let lost = &self.store.header().lost_moments;
        lost.fetch_add(1, Ordering::Relaxed);
    }
}
