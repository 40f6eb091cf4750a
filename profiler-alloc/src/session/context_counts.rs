//! What threads allocate and free while contexts are in force, exactly.
//!
//! Each thread notes its counts whenever its contexts change, and at the end of every slow path;
//! the difference is added to each context in force. So the counts lag behind by what a thread
//! does between two slow paths: 64 KiB at most, and nothing of its own for the thread that asks.
//!
//! ```text
//! enter "/orders"   the thread has allocated 1,000 bytes so far
//! leave             it has allocated 5,000: 4,000 for "/orders"
//! ```
//! A recording keeps them in its file, where a killed program leaves them; else they are kept in
//! memory. The sum over all of these is what the process did.

use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering};

use profiler_alloc_format::contexts::{SHARD_LEN, SHARDS, Shard, entry_class};
use profiler_alloc_format::{ContextCells, ThreadCells};

use super::{Recorder, context_watch};
use crate::contexts::in_force;
use crate::contexts::names::{self, IDS};
use crate::contexts::sets;
use crate::counters::own_work;
use crate::counters::slot;
use crate::counters::thread_counts::{self, ThreadCounts};
use crate::ffi::thread_local::thread_locals;
use crate::lockfree::lazy_slice::LazySlice;
use crate::session;

/// While nothing is recorded.
static PRIVATE: LazySlice<ContextCells> = LazySlice::new(IDS);

thread_locals! {
    /// The counts of the thread up to which everything is attributed to contexts.
    static ATTRIBUTED: Cell<ThreadCounts> = const { Cell::new(ThreadCounts::NONE) };
}

/// Contexts that the calling thread has entered, to be left by the same thread.
#[derive(Debug)]
pub struct ContextEntry {
    set: sets::Id,
    allocated: u64,
}

impl ContextEntry {
    /// These contexts come into force, beside those that are.
    #[inline]
    pub fn enter(set: sets::Id) -> ContextEntry {
        let now = attribute_until_now();
        in_force::enter(set);
        if context_watch::is_on() {
            context_watch::entered();
        }
        let allocated = now.allocated;
        ContextEntry { set, allocated }
    }

    /// They are no longer in force; gives how much was allocated meanwhile. *Bytes.*
    #[inline]
    pub fn leave(self) -> u64 {
        let now = attribute_until_now();
        in_force::leave(self.set);
        now.allocated.wrapping_sub(self.allocated)
    }
}

/// An entry of these contexts is over, in which so much was allocated. *Bytes.*
#[inline]
pub fn count_entry(set: sets::Id, allocated: u64) {
    let home = home();
    let class = entry_class(allocated);
    for_each(home, set, |cells| {
        add(cells, Shard::Entries, 1);
        let one = 1 << (32 * (class % 2));
        cells.entries[class / 2].fetch_add(one, Ordering::Relaxed);
        if cells.most.load(Ordering::Relaxed) < allocated {
            cells.most.fetch_max(allocated, Ordering::Relaxed);
        }
    });
}

/// Everything that the calling thread has done since its contexts last changed is attributed to
/// them.
pub fn bring_up_to_date() {
    if in_force::all() != 0 {
        attribute_until_now();
    }
}

/// The same at the end of a slow path, if it is so much that others want to know of it.
#[inline]
pub fn bring_up_to_date_now_and_then(cells: &ThreadCells) {
    if in_force::all() != 0 {
        bring_up_to_date_if_much(cells);
    }
}

/// Apart, so that a slow path outside of all contexts saves no registers for it.
#[inline(never)]
fn bring_up_to_date_if_much(cells: &ThreadCells) {
    if context_watch::is_on() || is_much(cells) {
        attribute_until_now();
    }
}

fn is_much(cells: &ThreadCells) -> bool {
    let (allocated, freed) = thread_counts::bytes_with(cells);
    let before = ATTRIBUTED.try_with(Cell::get).unwrap_or(ThreadCounts::NONE);
    allocated.wrapping_sub(before.allocated) >= slot::STEP
        || freed.wrapping_sub(before.freed) >= slot::STEP
}

/// The same, whether there are any or not; gives the thread's counts.
#[inline]
fn attribute_until_now() -> ThreadCounts {
    let now = ThreadCounts::now();
    let before = ATTRIBUTED
        .try_with(|counts| counts.replace(now))
        .unwrap_or(now);
    let set = in_force::all();
    if set != 0 && now != before {
        attribute(set, now.since(before));
    }
    now
}

#[cold]
fn attribute(set: sets::Id, done: ThreadCounts) {
    for_each(home(), set, |cells| {
        for (word, by) in [
            (Shard::AllocBytes, done.allocated),
            (Shard::Allocs, done.allocations),
            (Shard::FreedBytes, done.freed),
            (Shard::Frees, done.frees),
        ] {
            if by != 0 {
                add(cells, word, by);
            }
        }
    });
    if context_watch::is_on() {
        context_watch::look_at(set, |context| sum(context).held());
    }
}

/// The recording whose file the calling thread counts in, as long as that is under way.
#[inline]
fn home() -> Option<&'static Recorder> {
    let generation = own_work::of_program().generation.load(Ordering::Relaxed);
    session::current().filter(|recorder| recorder.generation == generation && recorder.is_ours())
}

#[inline]
fn for_each(home: Option<&'static Recorder>, set: sets::Id, mut count: impl FnMut(&ContextCells)) {
    sets::for_each(set, |context| {
        let in_file = home.and_then(|home| home.contexts.context(home.store, context));
        let private = || PRIVATE.open()?.get(context as usize);
        if let Some(cells) = in_file.or_else(private) {
            count(cells);
        }
    });
}

/// Threads seldom meet in one part.
#[inline]
fn add(cells: &ContextCells, word: Shard, by: u64) {
    let shard = slot::number() as usize % SHARDS;
    let counter: &AtomicU64 = &cells.counts[shard * SHARD_LEN + word as usize];
    counter.fetch_add(by, Ordering::Relaxed);
}

/// What was done while a context was in force, as far as it is attributed. Both may wrap.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ContextCounts {
    /// *Bytes.*
    pub allocated: u64,
    /// Blocks.
    pub allocations: u64,
    /// *Bytes.*
    pub freed: u64,
}

impl ContextCounts {
    /// Allocated minus freed. *Bytes.*
    pub fn held(&self) -> i64 {
        self.allocated.wrapping_sub(self.freed) as i64
    }

    /// What was done since these were `before`.
    pub fn since(&self, before: ContextCounts) -> ContextCounts {
        ContextCounts {
            allocated: self.allocated.wrapping_sub(before.allocated),
            allocations: self.allocations.wrapping_sub(before.allocations),
            freed: self.freed.wrapping_sub(before.freed),
        }
    }
}

/// What is known of a context altogether.
pub fn sum(context: names::Id) -> ContextCounts {
    let mut sum = ContextCounts::default();
    for_each_count(context, |cells| {
        for part in cells.counts.chunks_exact(SHARD_LEN) {
            for (sum, word) in [
                (&mut sum.allocated, Shard::AllocBytes),
                (&mut sum.allocations, Shard::Allocs),
                (&mut sum.freed, Shard::FreedBytes),
            ] {
                *sum = sum.wrapping_add(part[word as usize].load(Ordering::Relaxed));
            }
        }
    });
    sum
}

/// Calls `visit` with what is known of a context: in memory, and in the file of each recording.
pub fn for_each_count(context: names::Id, mut visit: impl FnMut(&ContextCells)) {
    if let Some(cells) = PRIVATE
        .get()
        .and_then(|private| private.get(context as usize))
    {
        visit(cells);
    }
    let mut recorder = session::latest();
    while let Some(each) = recorder {
        if let Some(cells) = each.contexts.known(each.store, context) {
            visit(cells);
        }
        recorder = each.previous;
    }
}
