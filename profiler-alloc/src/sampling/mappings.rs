//! What the program has mapped, by address: whole ranges, which may be taken away in parts.
//!
//! A short table, ordered by address, the highest first: the system gives lower and lower ones, so
//! a new mapping mostly comes last. One thread at a time changes it, for less
//! than a microsecond mostly; whoever comes meanwhile lets others run a hundred times at most, and
//! then gives up. A signal's handler that has interrupted the thread which is at it gives up at
//! once: nobody ever waits for who cannot run. Who gives up says so: it is counted.
//!
//! ```text
//! 0x7f40_0000 ─ 0x7f50_0000   sampled: 1 MiB of stack 17
//! 0x7f30_0000 ─ 0x7f40_0000   accessible
//! 0x7f00_0000 ─ 0x7f30_0000   reserved: nobody can read or write it yet
//! ```
//! A sampled mapping stands for so many bytes for each of its own, so each part that is taken away
//! takes its share along.

use core::cell::Cell;

use crate::ffi::thread_local::thread_locals;
use crate::lockfree::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::lockfree::lazy_slice::LazySlice;
use crate::sampling::block::Block;
use crate::sampling::weights::{self, Weight};

/// Most mappings at a time; a system lets a process have 65,530 that it cannot join.
const MOST: usize = 1 << 15;
/// Words of one: start, end, and what is known of it.
const WORDS: usize = 3;
/// Times that the table is tried to be had before other threads are let run, and after.
const TRIES: usize = 200;
const YIELDS: usize = 100;

/// The word of a mapping that is not sampled.
const UNSAMPLED: u64 = 0;
/// The word of address space that is not accessible: of no block.
const RESERVED: u64 = u64::MAX;

/// The table of the process.
#[cfg(feature = "preload")]
pub static MAPPINGS: Mappings = Mappings::new();

/// A range of addresses, and what is known of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    pub start: usize,
    pub end: usize,
    word: u64,
}

/// Which of the ranges are meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    All,
    Accessible,
    Reserved,
}

/// Why nothing was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// Another thread is at it, for too long.
    Busy,
    /// There are too many.
    Full,
}

impl Range {
    pub fn accessible(start: usize, len: usize) -> Range {
        Range {
            start,
            end: start.saturating_add(len),
            word: UNSAMPLED,
        }
    }

    pub fn reserved(start: usize, len: usize) -> Range {
        let word = RESERVED;
        Range {
            word,
            ..Range::accessible(start, len)
        }
    }

    /// *Bytes.*
    pub fn len(&self) -> u64 {
        (self.end - self.start) as u64
    }

    pub fn is_reserved(&self) -> bool {
        self.word == RESERVED
    }

    /// The sample of the mapping that this is or was a part of.
    pub fn sample(&self) -> Option<Block> {
        let is_sampled = !matches!(self.word, UNSAMPLED | RESERVED);
        is_sampled.then(|| Block::of_words(0, self.word))
    }
}

/// The weight of a part of `len` bytes of a block of `size` bytes that was sampled at `interval`.
pub fn part(size: u64, interval: u64, len: u64) -> Weight {
    let whole = weights::weight(size, interval);
    if len >= size {
        return whole;
    }
    let share = len as f64 / size as f64;
    let of = |figure: u64| (figure as f64 * share).round() as u64;
    Weight {
        bytes: of(whole.bytes),
        count: of(whole.count),
        variance: whole.variance * share * share,
        count_variance: whole.count_variance * share * share,
    }
}

thread_locals! {
    /// Its address tells threads apart.
    static WHO: Cell<u8> = const { Cell::new(0) };
}

/// The calling thread; never 0.
fn me() -> usize {
    WHO.try_with(|who| core::ptr::from_ref(who).addr())
        .unwrap_or(1)
}

pub struct Mappings {
    /// The thread that is at it; 0 if none is.
    holder: AtomicUsize,
    count: AtomicUsize,
    /// Of the recording that samples are of.
    generation: AtomicU64,
    words: LazySlice<AtomicU64>,
}

impl Mappings {
    pub const fn new() -> Mappings {
        Mappings {
            holder: AtomicUsize::new(0),
            count: AtomicUsize::new(0),
            generation: AtomicU64::new(0),
            words: LazySlice::new(MOST * WORDS),
        }
    }

    /// The table, if it can be had soon, with the samples of the recording `generation` alone.
    pub fn open(&self, generation: u64) -> Result<OpenMappings<'_>, Refused> {
        let words = self.words.open().ok_or(Refused::Full)?;
        let me = me();
        for times in 0..TRIES + YIELDS {
            let holder = self.holder.load(Ordering::Relaxed);
            if holder == me {
                return Err(Refused::Busy);
            }
            let is_had = holder == 0
                && (self.holder)
                    .compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok();
            if is_had {
                let mut open = OpenMappings {
                    mappings: self,
                    words,
                    count: self.count.load(Ordering::Relaxed),
                };
                open.forget_samples_of_others(generation);
                return Ok(open);
            }
            match times < TRIES {
                true => core::hint::spin_loop(),
                false => std::thread::yield_now(),
            }
        }
        Err(Refused::Busy)
    }

    /// In a forked child, in its only thread: what a thread of the parent was at is not known, so
    /// nothing is. True if there was one.
    pub fn is_lost_by_fork(&self) -> bool {
        let is_lost = self.holder.load(Ordering::Relaxed) != 0;
        if is_lost {
            self.count.store(0, Ordering::Relaxed);
            self.holder.store(0, Ordering::Release);
        }
        is_lost
    }
}

/// The table, in the hands of one thread until dropped.
pub struct OpenMappings<'a> {
    mappings: &'a Mappings,
    words: &'a [AtomicU64],
    count: usize,
}

impl Drop for OpenMappings<'_> {
    fn drop(&mut self) {
        self.mappings.count.store(self.count, Ordering::Relaxed);
        self.mappings.holder.store(0, Ordering::Release);
    }
}

impl OpenMappings<'_> {
    /// Adds a range, of which nothing is in the table.
    pub fn add(&mut self, range: Range) -> Result<(), Refused> {
        if range.start >= range.end {
            return Ok(());
        }
        let at = self.first_below(range.end);
        self.shift(at, 1)?;
        self.set(at, range);
        Ok(())
    }

    /// Takes one of the ranges out that have a part in `start..end`: that part. `None` if there is
    /// none any more.
    pub fn take(
        &mut self,
        start: usize,
        end: usize,
        which: Which,
    ) -> Result<Option<Range>, Refused> {
        let mut at = self.first_below(end);
        let found = loop {
            match self.get(at) {
                Some(range) if range.end > start => {
                    let is_it = match which {
                        Which::All => true,
                        Which::Accessible => !range.is_reserved(),
                        Which::Reserved => range.is_reserved(),
                    };
                    if is_it {
                        break range;
                    }
                    at += 1;
                }
                _ => return Ok(None),
            }
        };
        let above = Range {
            start: end.max(found.start),
            ..found
        };
        let below = Range {
            end: start.min(found.end),
            ..found
        };
        match (above.start < above.end, below.start < below.end) {
            (false, false) => self.shift(at + 1, -1)?,
            (true, false) => self.set(at, above),
            (false, true) => self.set(at, below),
            (true, true) => {
                self.shift(at + 1, 1)?;
                self.set(at, above);
                self.set(at + 1, below);
            }
        }
        Ok(Some(Range {
            start: start.max(found.start),
            end: end.min(found.end),
            ..found
        }))
    }

    /// Notes the sample of the range that begins at `start`. False if that is gone.
    pub fn note_sample(&mut self, start: usize, block: Block) -> bool {
        let at = self.first_below(start.saturating_add(1));
        let range = self.get(at).filter(|range| range.start == start);
        let Some(range) = range.filter(|range| range.word == UNSAMPLED) else {
            return false;
        };
        let word = block.word();
        self.set(at, Range { word, ..range });
        true
    }

    /// Nothing is mapped.
    #[cfg(feature = "preload")]
    pub fn clear(&mut self) {
        self.count = 0;
    }

    fn forget_samples_of_others(&mut self, generation: u64) {
        let known = &self.mappings.generation;
        if known.load(Ordering::Relaxed) == generation {
            return;
        }
        known.store(generation, Ordering::Relaxed);
        for at in 0..self.count {
            if let Some(range) = self.get(at).filter(|range| !range.is_reserved()) {
                let word = UNSAMPLED;
                self.set(at, Range { word, ..range });
            }
        }
    }

    /// The first range, from the highest on, that begins below `address`.
    fn first_below(&self, address: usize) -> usize {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.word(middle * WORDS) as usize >= address {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low
    }

    /// Moves what is from `at` on by `by` places, 1 or -1.
    fn shift(&mut self, at: usize, by: isize) -> Result<(), Refused> {
        let count = self.count.wrapping_add_signed(by);
        if count > MOST {
            return Err(Refused::Full);
        }
        let moved = at * WORDS..self.count * WORDS;
        let by = by * WORDS as isize;
        let copy = |from: usize| self.set_word(from.wrapping_add_signed(by), self.word(from));
        match by > 0 {
            true => moved.rev().for_each(copy),
            false => moved.for_each(copy),
        }
        self.count = count;
        Ok(())
    }

    fn get(&self, at: usize) -> Option<Range> {
        (at < self.count).then(|| Range {
            start: self.word(at * WORDS) as usize,
            end: self.word(at * WORDS + 1) as usize,
            word: self.word(at * WORDS + 2),
        })
    }

    fn set(&mut self, at: usize, range: Range) {
        for (step, word) in [range.start as u64, range.end as u64, range.word]
            .into_iter()
            .enumerate()
        {
            self.set_word(at * WORDS + step, word);
        }
    }

    fn word(&self, at: usize) -> u64 {
        self.words
            .get(at)
            .map_or(0, |word| word.load(Ordering::Relaxed))
    }

    fn set_word(&self, at: usize, value: u64) {
        if let Some(word) = self.words.get(at) {
            word.store(value, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
