//! Where the resident memory was, at moments of the run.
//!
//! The recorder reads at a slow beat, and when the program ends, what the system says of each
//! mapping (`/proc/self/smaps`), and puts each byte that is resident into one of the parts of an
//! [`Account`]. The parts add up to the sum of the system's own figures:
//!
//! ```text
//! resident  = heap + mapped + stacks + programs + files + shared + other
//!                  + recorder + recorder_file
//! heap      = in_use - untouched + rounding + what the allocator keeps for later
//! ```
//! What it keeps is so not a field: it is what is left of `heap`. Where every block is recorded, it
//! is known which part of that is pinned: on pages that a block in use is on as well, so that the
//! allocator cannot give them back.
//!
//! Accounts stand in the order of their times, and every other one is removed when there is no more
//! room, as in the timeline. Record 0 is the account with most resident so far, once more.

use crate::records::{Field, record};

/// Most accounts in a file, that of record 0 among them.
pub const MAX_ACCOUNTS: usize = 128;
/// Blocks of so many bytes and more are asked, page by page, what of them is resident.
pub const LARGE: u64 = 64 << 10;

/// A bit of [`Account::known`]: `rounding` is known.
pub const KNOWS_ROUNDING: u64 = 1;
/// A bit of [`Account::known`]: there were more mappings than could be told apart; the rest of
/// `heap` is in `mapped`.
pub const TOO_MANY_MAPPINGS: u64 = 2;
/// A bit of [`Account::known`]: `pinned` is known.
pub const KNOWS_PINNED: u64 = 4;

record! {
    /// One account. All parts are bytes that are resident, but where it says otherwise.
    Account, AccountCells, 192 {
        /// How often the record was written, times 2; odd while it is being written, or was when
        /// the program ended.
        turn: u64,
        /// Nanoseconds since the start, plus 1; 0 is no account.
        time_ns: u64,
        /// All that is resident: the sum of the parts.
        resident: u64,
        /// Of the program's memory, in swap: no part of `resident`.
        swap: u64,
        /// The part of `resident` that is in huge pages.
        huge: u64,
        /// Heap in use, as asked for: the exact figure. *Signed.*
        in_use: u64,
        /// The part of `in_use` that is not resident, in blocks of [`LARGE`] bytes and more: never
        /// touched, or in swap.
        untouched: u64,
        /// Variance of `untouched`, as `f64` bits.
        untouched_variance: u64,
        /// What blocks in use take beyond what was asked for, by the allocator's rule for sizes.
        rounding: u64,
        /// Variance of `rounding`, as `f64` bits.
        rounding_variance: u64,
        /// What the allocator has: mappings with blocks in them.
        heap: u64,
        /// Anonymous memory in other mappings: mapped by the program itself.
        mapped: u64,
        /// Stacks of threads.
        stacks: u64,
        /// Bytes of address space of the stacks: not resident, but for `stacks`.
        stacks_mapped: u64,
        /// The program's file and its libraries': code, constants, and data that was changed.
        programs: u64,
        /// Other files, mapped.
        files: u64,
        /// Memory shared with other processes, or in a file of memory alone.
        shared: u64,
        /// The recorder's tables.
        recorder: u64,
        /// The profile, mapped.
        recorder_file: u64,
        /// What the kernel maps: vdso and the like.
        other: u64,
        /// The `KNOWS_*` and other bits.
        known: u64,
        /// Time it took, in nanoseconds.
        cost_ns: u64,
        /// The part of `heap` that is free, on pages that a block in use is on.
        pinned: u64,
        /// Not used.
        reserved: u64,
    }
}

record! {
    /// What of the blocks of the stack with the same number is resident, and what they pin.
    Touched, TouchedCells, 48 {
        /// [`Account::time_ns`] of the account that this is part of; no other's.
        time_ns: u64,
        /// Bytes in blocks of [`LARGE`] bytes and more.
        bytes: u64,
        /// The part of them that is resident.
        resident: u64,
        /// Such blocks, fixed-point.
        count: u64,
        /// Variance of `bytes - resident`, as `f64` bits.
        variance: u64,
        /// What blocks of any size pin: the part of [`Account::pinned`] that is theirs, by their
        /// share of what is in use of each page.
        pinned: u64,
    }
}
