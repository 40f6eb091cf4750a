//! The cohorts of a recording: how much each stack had live at which snapshots, in the file.
//!
//! Each is a cell with a key: stack, birth, last snapshot. Cells are added to without a lock. When
//! there is a new one, the next four cells in turn are looked at, as the hand of a clock goes
//! round: those that say nothing of any kept snapshot are taken again, and those that say the same
//! as another are added to it. So nobody waits for a sweep, and by the time that the table has
//! grown by a quarter, all of it was tidied once.
//!
//! ```text
//! kept snapshots  4  8               stack 17
//! born in 5, last seen by 7          says nothing: 5 and 7 both stand for 4
//! born in 5, last seen by 9          is the cohort "born in 4, last seen by 8"
//! ```
//! A cell that all its blocks have left is empty, and may be taken again too. A thread that has
//! found its cell and has not added to it yet, while all others of its blocks are gone, may then
//! add to what has become another's: that takes a thread which is held up just there, and the hand
//! of another to come by.

use profiler_alloc_format::CohortCells;
use profiler_alloc_format::moments::{self, ALIVE};

use crate::lockfree::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::lockfree::cell_index::CellIndex;
use crate::lockfree::serial_set::SerialSet;
use crate::profile_file::store::Store;
use crate::sampling::generations::{Part, add_signed};
use crate::sampling::weights::Weight;

/// Most cells of a recording that was told what to sample: 20 MiB in the file, and an index of 11
/// MiB at most.
pub const MOST: usize = 1 << 19;
/// Most cells of one with a budget: 2.5 MiB in the file, and 2.7 MiB.
pub const MOST_BUDGETED: usize = 1 << 16;
/// Cells that are looked at for each new one.
const STEPS: usize = 4;
/// The same where there is no more room.
const STEPS_WHEN_FULL: usize = 64;
/// Binary places of the number of entries that the index has at first.
const FIRST_BITS: u32 = 12;

/// The key of a cell that is just being given another.
const CLAIMED: u64 = 1;

/// There is no room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

pub struct Cohorts {
    index: CellIndex,
    hand: AtomicUsize,
    most: usize,
}

impl Cohorts {
    pub const fn new(most: usize) -> Cohorts {
        Cohorts {
            index: CellIndex::new(FIRST_BITS),
            hand: AtomicUsize::new(0),
            most,
        }
    }

    /// Adds to the blocks of `stack` that live, or that snapshot `last` saw for the last time.
    pub fn add(
        &self,
        store: &Store,
        kept: &SerialSet,
        stack: u32,
        last: u32,
        part: Part,
    ) -> Result<(), Full> {
        let Part { birth, weight } = part;
        if (weight.bytes, weight.count) == (0, 0) {
            return Ok(());
        }
        let Some(key) = key_now(kept, stack, birth, last) else {
            return Ok(());
        };
        match self.find(store, key) {
            Some(cell) => {
                add_to(cell, weight);
                Ok(())
            }
            None => self.make(store, kept, key, weight),
        }
    }

    /// Bytes of address space of the index.
    pub fn bytes(&self) -> usize {
        self.index.bytes()
    }

    fn find(&self, store: &Store, key: u64) -> Option<&'static CohortCells> {
        let cell = self.index.find(key, |number| key_of(store, number))?;
        store.cohorts.get(cell as usize)
    }

    #[cold]
    fn make(&self, store: &Store, kept: &SerialSet, key: u64, weight: Weight) -> Result<(), Full> {
        let number = self.place(store, kept).ok_or(Full)?;
        let cell = store.cohorts.get(number as usize).ok_or(Full)?;
        // Filled before it can be found: a cell that is empty may be taken.
        add_to(cell, weight);
        cell.key.store(key, Ordering::Release);
        // Whoever reads adds it up, even if it is not found again.
        self.index.insert(key, number, |cell| key_of(store, cell));
        Ok(())
    }

    /// The number of a claimed cell, which is empty.
    fn place(&self, store: &Store, kept: &SerialSet) -> Option<u32> {
        let count = &store.header().cohort_count;
        self.tidy(store, kept, STEPS)
            .or_else(|| {
                let has_room = (count.load(Ordering::Relaxed) as usize) < self.most;
                let taken = has_room.then(|| store.take(&store.cohorts, count))??;
                let cell = store.cohorts.get(taken)?;
                cell.key.store(CLAIMED, Ordering::Relaxed);
                Some(taken as u32)
            })
            .or_else(|| self.tidy(store, kept, STEPS_WHEN_FULL))
    }

    /// Looks at the next cells: gives the first that could be claimed.
    fn tidy(&self, store: &Store, kept: &SerialSet, steps: usize) -> Option<u32> {
        let count = store.header().cohort_count.load(Ordering::Relaxed) as usize;
        (0..steps.min(count)).find_map(|_| {
            let number = self.hand.fetch_add(1, Ordering::Relaxed) % count;
            self.tidy_one(store, kept, number as u32)
                .then_some(number as u32)
        })
    }

    /// True if the cell is claimed, and empty.
    fn tidy_one(&self, store: &Store, kept: &SerialSet, number: u32) -> bool {
        let Some(cell) = store.cohorts.get(number as usize) else {
            return false;
        };
        let key = cell.key.load(Ordering::Acquire);
        let Some((stack, birth, last)) = moments::parts(key) else {
            return false;
        };
        let now = key_now(kept, stack, birth, last);
        if now == Some(key) {
            return is_empty(cell) && claim(cell, key) && self.stays_empty(cell, key);
        }
        let Some(now) = now else {
            if claim(cell, key) {
                empty(cell);
                return true;
            }
            return false;
        };
        match self.find(store, now) {
            Some(other) => {
                if !claim(cell, key) {
                    return false;
                }
                add_to(other, empty(cell));
                true
            }
            None => {
                let is_renamed = cell
                    .key
                    .compare_exchange(key, now, Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok();
                if is_renamed {
                    self.index.insert(now, number, |cell| key_of(store, cell));
                }
                false
            }
        }
    }

    /// Gives a claimed cell back if something was added to it meanwhile.
    fn stays_empty(&self, cell: &CohortCells, key: u64) -> bool {
        if is_empty(cell) {
            empty(cell);
            return true;
        }
        cell.key.store(key, Ordering::Release);
        false
    }
}

/// The key that a cohort has while these snapshots are kept; `None` if it was live at none.
fn key_now(kept: &SerialSet, stack: u32, birth: u32, last: u32) -> Option<u64> {
    let birth = kept.latest(birth);
    let last = match last {
        ALIVE => ALIVE,
        last => kept.latest(last),
    };
    (birth < last).then(|| moments::key(stack, birth, last))
}

fn key_of(store: &Store, number: u32) -> u64 {
    let cell = store.cohorts.get(number as usize);
    cell.map_or(0, |cell| cell.key.load(Ordering::Acquire))
}

fn claim(cell: &CohortCells, key: u64) -> bool {
    cell.key
        .compare_exchange(key, CLAIMED, Ordering::AcqRel, Ordering::Relaxed)
        .is_ok()
}

fn add_to(cell: &CohortCells, weight: Weight) {
    cell.bytes.fetch_add(weight.bytes, Ordering::Relaxed);
    cell.count.fetch_add(weight.count, Ordering::Relaxed);
    add_signed(&cell.variance, weight.variance);
    add_signed(&cell.count_variance, weight.count_variance);
}

fn is_empty(cell: &CohortCells) -> bool {
    let load = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
    load(&cell.bytes) == 0 && load(&cell.count) == 0
}

/// Takes out what a claimed cell has.
fn empty(cell: &CohortCells) -> Weight {
    let take = |cell: &AtomicU64| cell.swap(0, Ordering::Relaxed);
    Weight {
        bytes: take(&cell.bytes),
        count: take(&cell.count),
        variance: f64::from_bits(take(&cell.variance)),
        count_variance: f64::from_bits(take(&cell.count_variance)),
    }
}
