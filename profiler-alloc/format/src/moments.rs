//! The heap at earlier moments: snapshots, and the cohorts of blocks by which it is known what each
//! stack had live at each of them.
//!
//! Snapshots have serial numbers: 1, 2, 3, …. The time between two is a *generation*: a block that
//! is allocated after snapshot `g` and before snapshot `g + 1` is born in generation `g`, the first
//! ones in generation 0. When it is freed, the latest snapshot is the *last* that saw it. So it was
//! live at snapshot `s` if `birth < s <= last`. A block that is freed in the generation it was born
//! in was live at no snapshot, and is in no record here.
//!
//! ```text
//! snapshots       1       2       3      now
//! generation   0  │   1   │   2   │   3
//! block A      ├──┼───────┼────┤  │          birth 0, last 2: live at 1 and 2
//! block B         │   ├───┼───────┼──────    birth 1, alive: live at 2, 3 and now
//! block C         │   ├──┤│       │          birth 1, last 1: in no record
//! ```
//! Blocks of one stack with the same birth and the same last snapshot are a [`Cohort`]. Those that
//! still live have [`ALIVE`] for their last one. What a stack has live of its *newest* generation,
//! the one in which it changed last, is in no cohort yet: it is what the [`Stack`](crate::Stack)
//! has live without what its [`Age`] says that older ones have.
//!
//! # Thinning
//!
//! Few snapshots are kept: when there are [`MOST_ON_BEAT`] that the clock made, every other one is
//! dropped, and the time between two doubles. Marks are kept for ever, up to [`MOST_MARKS`]. The
//! dropped ones leave serial numbers of which there is no record. A birth stands for the latest
//! kept snapshot up to it, and so does a last one: two cohorts that are the same in this sense may
//! be one, and one whose birth and last snapshot are the same in this sense may be gone. Whoever
//! reads adds up all records that a kept snapshot was in; a record's sums may be below zero.
//!
//! # How many serial numbers there are
//!
//! With the first snapshots 134 ms apart, a day has 64 + 32 × log2(86,400 s / 8.6 s) = 489 of them,
//! and 64 marks at most. In 500 years there are 1,114: [`LAST_SERIAL`], which 11 bits hold, is
//! never reached. If it were, there would be no more snapshots.
//!
//! ```
//! use profiler_alloc_format::moments::{ALIVE, key, parts, split, tagged};
//!
//! assert_eq!(parts(key(17, 3, ALIVE)), Some((17, 3, ALIVE)));
//! assert_eq!(parts(0), None, "no record yet");
//! assert_eq!(split(tagged(5, -300)), (5, -300));
//! ```

use crate::records::{Field, record};

/// Binary places of a serial number.
pub const SERIAL_BITS: u32 = 11;
/// In place of the last snapshot of a block that is not freed.
pub const ALIVE: u32 = (1 << SERIAL_BITS) - 1;
/// The highest serial number that a snapshot may have.
pub const LAST_SERIAL: u32 = ALIVE - 1;
/// Snapshots on the beat that are kept at most; half of them after a thinning.
pub const MOST_ON_BEAT: usize = 64;
/// Marks that are kept at most.
pub const MOST_MARKS: usize = 64;
/// Nanoseconds from one snapshot on the beat to the next, at first.
pub const FIRST_BEAT_NS: u64 = 1 << crate::TICK_BITS;
/// Bytes of a mark's name that are kept.
pub const MAX_NAME_LEN: usize = 128;

/// [`Snapshot::flags`]: the program or its user asked for it, and gave it a name.
pub const MARK: u32 = 1;

/// A bit of [`Cohort::key`] that no record lacks.
const USED: u64 = 1 << 63;
const STACK_AT: u32 = 2 * SERIAL_BITS;
const STACK_BITS: u32 = 32;
const SERIAL: u64 = (1 << SERIAL_BITS) - 1;

/// [`Cohort::key`] of the blocks of stack `stack` that were born in generation `birth` and live at
/// snapshot `last` for the last time.
pub const fn key(stack: u32, birth: u32, last: u32) -> u64 {
    USED | (stack as u64) << STACK_AT
        | (birth as u64 & SERIAL) << SERIAL_BITS
        | (last as u64 & SERIAL)
}

/// Stack, birth and last snapshot of a key; `None` of a record that is being made.
pub const fn parts(key: u64) -> Option<(u32, u32, u32)> {
    if key & USED == 0 {
        return None;
    }
    let stack = (key >> STACK_AT) & ((1 << STACK_BITS) - 1);
    let birth = (key >> SERIAL_BITS) & SERIAL;
    Some((stack as u32, birth as u32, (key & SERIAL) as u32))
}

const VALUE_BITS: u32 = u64::BITS - SERIAL_BITS;

/// A generation and a signed sum in one word: see [`Age`].
pub const fn tagged(generation: u32, sum: i64) -> u64 {
    (generation as u64) << VALUE_BITS | (sum as u64) & ((1 << VALUE_BITS) - 1)
}

/// The generation and the sum of a word. The sum keeps 53 bits: 4 PiB, or 64 thousand million
/// blocks.
pub const fn split(word: u64) -> (u32, i64) {
    let sum = (word << SERIAL_BITS) as i64 >> SERIAL_BITS;
    ((word >> VALUE_BITS) as u32, sum)
}

record! {
    /// A moment of which it is known what each stack had live. A record whose `serial` is 0 is
    /// being made, or was dropped.
    Snapshot, SnapshotCells, 72 {
        /// Its number.
        serial: u32,
        /// [`MARK`], or 0.
        flags: u32,
        /// Nanoseconds since the start, plus 1.
        time_ns: u64,
        /// Heap in use, bytes. *Signed.*
        heap: u64,
        /// Calls of `alloc` and its like since the start.
        allocs: u64,
        /// Calls of `dealloc`.
        frees: u64,
        /// Calls of `realloc`.
        reallocs: u64,
        /// Bytes allocated since the start.
        alloc_bytes: u64,
        /// Bytes freed.
        freed_bytes: u64,
        /// Offset of a mark's name in [`Table::Strings`](crate::Table::Strings).
        name_at: u32,
        /// Bytes of it.
        name_len: u32,
    }
}

record! {
    /// The part of a stack's live blocks that are older than the stack's newest generation, by the
    /// number of the stack. A stack without a record has its newest generation in 0, and nothing
    /// older.
    Age, AgeCells, 32 {
        /// The stack's newest generation, in the upper 11 bits, and the bytes of older ones, a
        /// signed number: see [`tagged`].
        bytes: u64,
        /// The same of blocks, fixed-point.
        count: u64,
        /// Variance of the bytes, as `f64` bits.
        variance: u64,
        /// Variance of the count, as `f64` bits.
        count_variance: u64,
    }
}

record! {
    /// Blocks of one stack, of one birth, that were freed in one generation, or live.
    Cohort, CohortCells, 40 {
        /// Which: see [`key`].
        key: u64,
        /// Bytes. *Signed.*
        bytes: u64,
        /// Blocks, fixed-point. *Signed.*
        count: u64,
        /// Variance of the bytes, as `f64` bits.
        variance: u64,
        /// Variance of the count, as `f64` bits.
        count_variance: u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_what_it_was_made_of() {
        for key_parts in [(0, 0, 0), ((1 << 17) - 1, LAST_SERIAL, ALIVE), (5, 0, 7)] {
            let (stack, birth, last) = key_parts;
            assert_eq!(parts(key(stack, birth, last)), Some(key_parts));
        }
        assert_eq!(parts(1), None);
    }

    #[test]
    fn a_word_holds_a_generation_and_a_sum() {
        for word in [(0, 0), (LAST_SERIAL, 1 << 51), (3, -1), (1, -(1 << 52))] {
            assert_eq!(split(tagged(word.0, word.1)), word);
        }
    }
}
