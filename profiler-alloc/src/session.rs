//! One recording: everything the slow path does once the thread has its slot and the operation is
//! counted.
//!
//! ```text
//! allocated ─▶ due for a sample? ─▶ stack ─▶ add to its totals ─▶ track ┐
//! freeing   ─▶ was it sampled?   ─▶ stack ─▶ add to both stacks' totals ┼─▶ update: heap, peak,
//! nothing sampled ──────────────────────────────────────────────────────┘   timeline, thresholds
//! ```
//! Never: is called on the fast path.

mod account;
pub mod attach;
mod capture;
mod clock;
mod cohorts;
pub mod context_counts;
pub mod context_watch;
pub mod control_page;
mod file_contexts;
mod file_heaps;
mod for_children;
pub mod fork;
pub mod forked;
mod further;
mod heaps;
mod housekeeping;
pub mod line_tables;
#[cfg(feature = "preload")]
pub mod mapped;
mod marks;
mod moments;
mod ownership;
mod remembered;
mod samples;
mod schedule;
pub mod settings;
pub mod span_layer;
mod spans;
pub mod start;
mod test_process;
pub mod thread_exit;
pub mod threads;

use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use profiler_alloc_format::ThreadCells;

use self::capture::Capture;
use self::clock::Clock;
use self::file_contexts::FileContexts;
use self::file_heaps::FileHeaps;
use self::for_children::ForChildren;
use self::moments::Moments;
use self::ownership::Ownership;
use crate::counters::totals::Totals;
use crate::ffi::memory;
use crate::ffi::os::Statm;
use crate::ffi::residence::Smaps;
use crate::lockfree::active::Active;
use crate::lockfree::slot_pool::{self, SlotPool};
use crate::profile_file::accounts::Accounts;
use crate::profile_file::store::Store;
use crate::profile_file::timeline::Timeline;
use crate::sampling::filter::Filter;
use crate::sampling::live_blocks;
use crate::sampling::overhead::OverheadBudget;
use crate::sampling::sampled_blocks::SampledBlocks;
use crate::sampling::thinning::Thinning;

static RECORDING: Active<Recorder> = Active::new();
/// Recordings started so far.
static STARTED: AtomicU64 = AtomicU64::new(0);

/// A recording and all its state. Lives until the process ends, as threads may be inside it when it
/// stops.
pub struct Recorder {
    pub store: &'static Store,
    /// Number of this recording in the process, from 1.
    pub generation: u64,
    /// The recording before this one.
    pub previous: Option<&'static Recorder>,
    pub slot_pool: SlotPool,
    pub overhead: OverheadBudget,
    pub paused: AtomicBool,
    clock: Clock,
    ownership: Ownership,
    /// The sampled blocks; says nothing of any other once the recording is about to end.
    pub sampled: SampledBlocks,
    thinning: Thinning,
    capture: &'static Capture,
    contexts: FileContexts,
    heaps: FileHeaps,
    /// Every block is sampled, from the beginning to the end.
    takes_all: bool,
    timeline: Timeline,
    accounts: Accounts,
    smaps: Smaps,
    moments: Moments,
    statm: Statm,
    output: &'static CStr,
    /// What forked children begin their own recordings with.
    for_children: Option<ForChildren>,
}

impl core::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Recorder")
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// The active recording.
#[inline]
pub fn current() -> Option<&'static Recorder> {
    RECORDING.current()
}

/// The recording started last, active or not.
pub fn latest() -> Option<&'static Recorder> {
    RECORDING.latest()
}

/// The recording with this number.
pub fn with_generation(generation: u64) -> Option<&'static Recorder> {
    let mut recorder = latest();
    while let Some(each) = recorder {
        if each.generation == generation {
            return recorder;
        }
        recorder = each.previous;
    }
    None
}

/// Activates a recording. Every thread joins it at its next operation: a block that is sampled from
/// now on may be freed by any of them. `force_slow_path_everywhere` sends the threads that only
/// count down the slow path.
pub fn activate(recorder: &'static Recorder, force_slow_path_everywhere: impl FnOnce()) {
    RECORDING.activate(recorder, force_slow_path_everywhere);
    STARTED.fetch_add(1, Ordering::Release);
}

/// Leaves no recording active.
pub fn deactivate() {
    RECORDING.deactivate();
}

/// Sets the thresholds of a thread that only counts.
pub fn set_thresholds(cells: &ThreadCells, alloc_next: u64, free_next: u64) {
    RECORDING.set_thresholds(cells, alloc_next, free_next);
}

/// A word that changes when a recording starts.
pub fn started() -> &'static AtomicU64 {
    &STARTED
}

impl Recorder {
    /// A recorder on a fresh file, which knows no modules yet. `None` if the system refuses memory.
    pub fn new(
        store: &'static Store,
        output: &'static CStr,
        (clock, capture): (Clock, &'static Capture),
        (overhead, accounts): (OverheadBudget, Accounts),
        for_children: Option<ForChildren>,
    ) -> Option<&'static Recorder> {
        let previous = latest();
        let takes_all =
            !overhead.is_flexible() && store.header().interval.load(Ordering::Relaxed) == 0;
        let (filter, overhead) = match takes_all {
            true => (Filter::closed()?, overhead),
            false => {
                let filter = Filter::new()?;
                (filter, overhead.asking(filter))
            }
        };
        let moments = Moments::new(match overhead.is_flexible() {
            true => cohorts::MOST_BUDGETED,
            false => cohorts::MOST,
        });
        memory::leak(Recorder {
            generation: previous.map_or(1, |recorder| recorder.generation + 1),
            previous,
            slot_pool: SlotPool::new(),
            overhead,
            paused: AtomicBool::new(false),
            clock,
            ownership: Ownership::claim()?,
            sampled: SampledBlocks::new(filter, live_blocks::FIRST_BUCKETS),
            thinning: Thinning::new(),
            capture,
            contexts: FileContexts::new(),
            heaps: FileHeaps::new(),
            takes_all,
            timeline: Timeline::new(),
            accounts,
            smaps: Smaps::open(),
            moments,
            statm: Statm::open(),
            output,
            for_children,
            store,
        })
    }

    /// Records every module that is loaded now, and what other heaps have in use. To be called
    /// once, before the recorder is active.
    pub fn note_beginning(&self) {
        self.capture.note_modules(self.store);
        self.note_heaps();
    }

    /// False in a forked child, which must not touch the parent's file.
    #[inline]
    pub fn is_ours(&self) -> bool {
        self.ownership.is_ours()
    }

    /// The word to poll, and the value it holds while this recording is active; a forked child
    /// reads 0.
    pub fn active_word(&self) -> (&'static AtomicU64, u64) {
        self.ownership.active_word()
    }

    /// From now on nobody is to write what the file says of functions.
    fn end(&self) {
        self.ownership.end();
    }

    /// Path of the file.
    pub fn path(&self) -> &[u8] {
        self.output.to_bytes()
    }

    /// Exact counts of this recording.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.for_each_thread(&mut |cells| totals.add(cells));
        totals
    }

    pub fn for_each_thread(&self, visit: &mut impl FnMut(&ThreadCells)) {
        let count = self.store.header().thread_count.load(Ordering::Acquire) as usize;
        (0..count)
            .filter_map(|at| self.store.threads.get(at))
            .for_each(visit);
    }

    /// A record for a thread that joins.
    pub fn take_thread(&'static self) -> Option<(u32, &'static ThreadCells)> {
        let header = self.store.header();
        let count = header.thread_count.load(Ordering::Acquire) as usize;
        let taken = self.slot_pool.take(count, |at| self.store.threads.get(at));
        taken.or_else(|| {
            let at = self.store.take(&self.store.threads, &header.thread_count)?;
            let cells = self.store.threads.get(at)?;
            slot_pool::claim(cells);
            Some((at as u32, cells))
        })
    }
}
