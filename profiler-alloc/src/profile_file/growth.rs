//! How tables grow, chunk by chunk, without anybody waiting for a thread that is held up in the
//! middle.
//!
//! A growth is one word, `{chunk, table, place}`. Whoever needs room puts one there or finds one
//! under way, and in either case does all its steps itself. Each step may be done again by any
//! thread, also by one that was held up and comes late:
//!
//! ```text
//! none ─▶ {7, stacks, 2} ─▶ chunk 7 is mapped as the third chunk of the stacks ─▶ done = 8 ─▶ none
//!               ▲ another thread that needs room, in any table, does the same and then has its own turn
//! ```
//! A word that was made from a number of chunks that is no longer right, as other growths ended
//! before it got there, is known by `done`: nothing is done for it.

use crate::lockfree::atomic::{AtomicU64, Ordering};

const NONE: u64 = 0;
const CLOSED: u64 = u64::MAX;
const TABLE_AT: u32 = 24;
const CHUNK_AT: u32 = 32;

/// A chunk that is being added to a table: `{chunk + 1: 32 bits, table: 8, place in the table, in
/// chunks: 24}`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Growth(u64);

impl Growth {
    pub fn new(chunk: u64, table: u8, place: usize) -> Growth {
        Growth((chunk + 1) << CHUNK_AT | u64::from(table) << TABLE_AT | place as u64)
    }

    /// Number of the chunk in the file.
    pub fn chunk(self) -> u64 {
        (self.0 >> CHUNK_AT) - 1
    }

    /// The table it is added to.
    pub fn table(self) -> u8 {
        (self.0 >> TABLE_AT) as u8
    }

    /// Number of the chunk in its table.
    pub fn place(self) -> usize {
        self.0 as usize & ((1 << TABLE_AT) - 1)
    }
}

/// The growth under way, if there is one, and how many have been done.
pub struct Growing {
    word: AtomicU64,
    done: AtomicU64,
}

impl Growing {
    /// After `done` growths.
    pub const fn after(done: u64) -> Growing {
        Growing {
            word: AtomicU64::new(NONE),
            done: AtomicU64::new(done),
        }
    }

    /// Adds a chunk to `table`, unless another thread does. `chunks` says how many it has; `may`
    /// whether the file may have one with that number; `perform` does all steps of a growth, of any
    /// table, and must bear being called again for one that is done. False if there was no chunk to
    /// be had.
    pub fn grow<E>(
        &self,
        table: u8,
        chunks: impl Fn() -> usize,
        may: impl Fn(u64) -> bool,
        perform: impl Fn(Growth) -> Result<(), E>,
    ) -> Result<bool, E> {
        let before = chunks();
        loop {
            // First the number of the chunk: where that is right when the word is there, so is what
            // was read after it.
            let chunk = self.done.load(Ordering::Acquire);
            if chunks() != before {
                return Ok(true);
            }
            if !may(chunk) {
                return Ok(false);
            }
            let ours = Growth::new(chunk, table, before);
            let put =
                (self.word).compare_exchange(NONE, ours.0, Ordering::AcqRel, Ordering::Acquire);
            let growth = match put {
                Ok(_) => ours,
                Err(CLOSED) => return Ok(false),
                Err(other) => Growth(other),
            };
            let result = self.finish(growth, &perform);
            // Fails where another thread has been here first.
            let _ =
                (self.word).compare_exchange(growth.0, NONE, Ordering::AcqRel, Ordering::Relaxed);
            result?;
        }
    }

    /// Ends growth for good. False if one is under way: then nothing happens.
    pub fn close(&self) -> bool {
        self.word
            .compare_exchange(NONE, CLOSED, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    fn finish<E>(
        &self,
        growth: Growth,
        perform: &impl Fn(Growth) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.done.load(Ordering::Acquire) > growth.chunk() {
            return Ok(());
        }
        perform(growth)?;
        self.done.fetch_max(growth.chunk() + 1, Ordering::AcqRel);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_growth_says_what_it_was_made_of() {
        for (chunk, table, place) in [(0, 1, 0), (7, 3, 2), (1 << 20, 9, (1 << 24) - 1)] {
            let growth = Growth::new(chunk, table, place);
            assert_eq!(
                (growth.chunk(), growth.table(), growth.place()),
                (chunk, table, place)
            );
        }
    }
}
