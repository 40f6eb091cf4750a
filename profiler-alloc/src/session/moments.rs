//! Which blocks were live at which moments: what stacks have of older generations, and cohorts.
//!
//! Everything here is to be told before what a stack has live changes: then what it has had since
//! its last change is known for every snapshot in between.

use core::sync::atomic::Ordering;

use profiler_alloc_format::moments::ALIVE;
use profiler_alloc_format::{AgeCells, StackCells};

use super::cohorts::{Cohorts, Full};
use crate::profile_file::snapshots::Snapshots;
use crate::profile_file::store::Store;
use crate::sampling::block::Block;
use crate::sampling::generations::{self, Part};
use crate::sampling::weights::Weight;

/// The moments of a recording.
pub struct Moments {
    pub snapshots: Snapshots,
    cohorts: Cohorts,
}

impl Moments {
    /// With at most so many cohorts.
    pub const fn new(most_cohorts: usize) -> Moments {
        Moments {
            snapshots: Snapshots::new(),
            cohorts: Cohorts::new(most_cohorts),
        }
    }

    /// The generation that blocks are born in which `stack`, which has that number, allocates now.
    #[inline]
    pub fn generation_of(&self, store: &'static Store, number: u32, stack: &StackCells) -> u32 {
        (self.pass(store, number, stack)).map_or(0, |(_, newest)| newest)
    }

    /// A block of `stack` is freed, or a part of it of that weight, and lived until now.
    #[inline]
    pub fn freed(&self, store: &'static Store, stack: &StackCells, block: Block, weight: Weight) {
        // The stack has passed the generation that a block of it was born in.
        if block.birth() != generation(store) {
            self.freed_later(store, stack, block, weight);
        }
    }

    #[cold]
    #[inline(never)]
    fn freed_later(&self, store: &'static Store, stack: &StackCells, block: Block, weight: Weight) {
        if let Some((age, newest)) = self.pass(store, block.stack(), stack)
            && block.birth() < newest
        {
            self.add_to_cohort(store, block, newest, weight);
            let less = weight.to(Weight::NOTHING);
            self.add_to_cohort(store, block, ALIVE, less);
            generations::change_older(age, less);
        }
    }

    /// A block of `stack` stands for more or less by `change`, and always did.
    pub fn restated(
        &self,
        store: &'static Store,
        stack: &StackCells,
        block: Block,
        change: Weight,
    ) {
        if let Some((age, newest)) = self.pass(store, block.stack(), stack)
            && block.birth() < newest
        {
            generations::change_older(age, change);
            self.add_to_cohort(store, block, ALIVE, change);
        }
    }

    /// Bytes of address space beside the file.
    pub fn bytes(&self) -> usize {
        self.cohorts.bytes()
    }

    /// The stack's record and its newest generation. `None` before the first snapshot.
    #[inline]
    fn pass(
        &self,
        store: &'static Store,
        number: u32,
        stack: &StackCells,
    ) -> Option<(&'static AgeCells, u32)> {
        let generation = generation(store);
        if generation == 0 {
            return None;
        }
        let age = store.ages.get(number as usize);
        let age = age.or_else(|| store.make_age(number as usize))?;
        let newest = match generations::newest(age) {
            newest if newest < generation => self.close(store, (number, stack), age, generation),
            // A thread may come late with the number of an older one: the stack is beyond that.
            newest => newest,
        };
        Some((age, newest))
    }

    #[cold]
    #[inline(never)]
    fn close(
        &self,
        store: &Store,
        (number, stack): (u32, &StackCells),
        age: &AgeCells,
        generation: u32,
    ) -> u32 {
        let further = store.further.get(number as usize);
        let count_variance = further.map(|further| &further.live_count_variance);
        let closed = |part| self.add(store, number, ALIVE, part);
        generations::pass(age, stack, count_variance, generation, closed)
    }

    fn add_to_cohort(&self, store: &Store, block: Block, last: u32, weight: Weight) {
        let birth = block.birth();
        self.add(store, block.stack(), last, Part { birth, weight });
    }

    fn add(&self, store: &Store, stack: u32, last: u32, part: Part) {
        let add = || (self.cohorts).add(store, &self.snapshots.kept, stack, last, part);
        if add() != Err(Full) {
            return;
        }
        // With fewer snapshots, most of what is there says the same.
        if !(self.snapshots.make_room(store) && add().is_ok()) {
            lose(store);
        }
    }
}

/// Serial number of the latest snapshot.
#[inline]
fn generation(store: &Store) -> u32 {
    store.header().generation.load(Ordering::Acquire) as u32
}

/// A mark, or a change of a cohort, has no room.
#[cold]
pub fn lose(store: &Store) {
    let lost = &store.header().lost_moments;
    lost.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests;
