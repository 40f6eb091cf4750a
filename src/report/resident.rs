//! Where the resident memory was: one account that adds up to what the system calls resident.
//!
//! ```text
//! heap in use, as asked for    what is in use, but for what of it was never touched
//! rounding by the allocator    what its blocks take beyond what was asked for
//! kept by the allocator        the rest of the mappings that it has
//! ```
//! So these three add up to what the allocator has resident. A block below 64 KiB is not asked
//! which of its pages are resident: where the three would be more than there is, such blocks are
//! not wholly touched, and the first is what is left.

use profiler_alloc_format::account::{KNOWS_ROUNDING, TOO_MANY_MAPPINGS};

use super::{Bytes, Recording, Sampling};
use crate::defect::Defect;
use crate::profile::{Account, Loss, Profile};

/// The accounts of a recording.
#[derive(Clone, PartialEq, Debug)]
pub struct Resident {
    /// Which program, when, and its exact totals.
    pub recording: Recording,
    /// How it was sampled.
    pub sampling: Sampling,
    /// In the order of time.
    pub accounts: Vec<ResidentAccount>,
    /// What the recorder could not keep.
    pub losses: Vec<Loss>,
    /// What is wrong with the profile.
    pub defects: Vec<Defect>,
}

/// Where the resident memory was at one moment.
#[derive(Clone, PartialEq, Debug)]
pub struct ResidentAccount {
    /// Nanoseconds since the start.
    pub time_ns: u64,
    /// All that was resident, in bytes: the sum of the parts.
    pub resident: u64,
    /// Each part, whether there was any of it or not.
    pub parts: Vec<ResidentPart>,
    /// Heap in use, as asked for, whether it was resident or not; in bytes.
    pub in_use: i64,
    /// The part of it that was not resident: never touched, or in swap.
    pub untouched: Bytes,
    /// Of the program's memory, in swap.
    pub swap: u64,
    /// The part of what was resident that was in huge pages.
    pub huge: u64,
    /// Bytes of address space of the threads' stacks.
    pub stacks_mapped: u64,
    /// Whether the allocator's rounding is known; it is in what it keeps if not.
    pub knows_rounding: bool,
    /// Whether there were too many mappings to tell all apart.
    pub is_cut: bool,
    /// What the account took of the program's time, nanoseconds.
    pub cost_ns: u64,
}

/// A part of what is resident.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ResidentPart {
    /// Which.
    pub kind: PartKind,
    /// Resident bytes.
    pub bytes: Bytes,
}

/// What memory is resident for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PartKind {
    /// Blocks in use, as asked for.
    InUse,
    /// What the allocator's blocks take beyond that.
    Rounding,
    /// What the allocator has otherwise: free blocks, caches, bookkeeping; in a program that has
    /// the crate, also blocks of C code.
    Kept,
    /// Anonymous memory that the program mapped itself.
    Mapped,
    /// Stacks of threads.
    Stacks,
    /// The program and its libraries: code and data.
    Programs,
    /// Other files.
    Files,
    /// Memory shared with other processes.
    Shared,
    /// The recorder: tables and profile.
    Recorder,
    /// What the kernel maps.
    Kernel,
}

impl PartKind {
    /// Its name in JSON.
    pub fn key(self) -> &'static str {
        match self {
            PartKind::InUse => "heap_in_use",
            PartKind::Rounding => "rounding",
            PartKind::Kept => "kept_by_allocator",
            PartKind::Mapped => "mapped",
            PartKind::Stacks => "stacks",
            PartKind::Programs => "programs",
            PartKind::Files => "files",
            PartKind::Shared => "shared",
            PartKind::Recorder => "recorder",
            PartKind::Kernel => "kernel",
        }
    }
}

impl Resident {
    /// The accounts of a profile. `defects` are those of reading it.
    pub fn new(profile: &Profile, defects: Vec<Defect>) -> Resident {
        Resident {
            recording: Recording::of(profile),
            sampling: Sampling::of(profile),
            accounts: profile.accounts.iter().map(ResidentAccount::of).collect(),
            losses: Loss::of(profile),
            defects,
        }
    }

    /// The account with most resident.
    pub fn highest(&self) -> Option<&ResidentAccount> {
        self.accounts.iter().max_by_key(|account| account.resident)
    }

    /// The account at `time_ns` after the start, or the last one before.
    pub fn at(&self, time_ns: u64) -> Option<&ResidentAccount> {
        let before = |account: &&ResidentAccount| account.time_ns <= time_ns;
        self.accounts.iter().rev().find(before)
    }
}

impl ResidentAccount {
    fn of(account: &Account) -> ResidentAccount {
        let error = |bits: u64| f64::from_bits(bits).max(0.0).sqrt();
        let estimate = |bytes: u64, variance: u64| Bytes {
            bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
            standard_error: error(variance),
        };
        let exact = |bytes: u64| estimate(bytes, 0);
        let in_use = (account.in_use as i64).max(0) as u64;
        let large = account.untouched.min(in_use);
        let touched = (in_use - large).min(account.heap);
        // More than the allocator has cannot be resident: small blocks are untouched too.
        let rounding = account.rounding.min(account.heap - touched);
        let kept = account.heap - touched - rounding;
        let errors = [account.untouched_variance, account.rounding_variance].map(error);
        let both = (errors[0].powi(2) + errors[1].powi(2)).sqrt();
        let part = |kind, bytes| ResidentPart { kind, bytes };
        let parts = vec![
            part(
                PartKind::InUse,
                estimate(touched, account.untouched_variance),
            ),
            part(
                PartKind::Rounding,
                estimate(rounding, account.rounding_variance),
            ),
            part(
                PartKind::Kept,
                Bytes {
                    standard_error: both,
                    ..exact(kept)
                },
            ),
            part(PartKind::Mapped, exact(account.mapped)),
            part(PartKind::Stacks, exact(account.stacks)),
            part(PartKind::Programs, exact(account.programs)),
            part(PartKind::Files, exact(account.files)),
            part(PartKind::Shared, exact(account.shared)),
            part(
                PartKind::Recorder,
                exact(account.recorder.saturating_add(account.recorder_file)),
            ),
            part(PartKind::Kernel, exact(account.other)),
        ];
        ResidentAccount {
            time_ns: account.time_ns,
            resident: account.resident,
            parts,
            in_use: account.in_use as i64,
            untouched: estimate(in_use - touched, account.untouched_variance),
            swap: account.swap,
            huge: account.huge,
            stacks_mapped: account.stacks_mapped,
            knows_rounding: account.known & KNOWS_ROUNDING != 0,
            is_cut: account.known & TOO_MANY_MAPPINGS != 0,
            cost_ns: account.cost_ns,
        }
    }

    /// What a part had.
    pub fn part(&self, kind: PartKind) -> Bytes {
        let part = self.parts.iter().find(|part| part.kind == kind);
        part.map_or_else(Bytes::default, |part| part.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account {
            resident: 1000,
            in_use: 500,
            untouched: 100,
            rounding: 50,
            heap: 700,
            mapped: 100,
            programs: 150,
            recorder: 20,
            recorder_file: 30,
            known: KNOWS_ROUNDING,
            ..Account::empty()
        }
    }

    fn sum(account: &ResidentAccount) -> i64 {
        account.parts.iter().map(|part| part.bytes.bytes).sum()
    }

    #[test]
    fn the_parts_add_up() {
        let found = ResidentAccount::of(&account());
        assert_eq!(sum(&found), 1000);
        let parts = [
            PartKind::InUse,
            PartKind::Rounding,
            PartKind::Kept,
            PartKind::Recorder,
        ];
        assert_eq!(parts.map(|kind| found.part(kind).bytes), [400, 50, 250, 50]);
        assert_eq!(found.untouched.bytes, 100);
    }

    /// `xz -9` asks for 673 MiB and touches 2: what is in use is no more than what the allocator
    /// has, and no part is below nothing.
    #[test]
    fn small_blocks_may_be_untouched_too() {
        let found = ResidentAccount::of(&Account {
            in_use: 5000,
            ..account()
        });
        assert_eq!(sum(&found), 1000);
        assert!(found.parts.iter().all(|part| part.bytes.bytes >= 0));
        assert_eq!(found.part(PartKind::InUse).bytes, 700);
        assert_eq!(found.untouched.bytes, 4300);
        let found = ResidentAccount::of(&Account {
            in_use: -7i64 as u64,
            ..account()
        });
        assert_eq!((sum(&found), found.part(PartKind::Kept).bytes), (1000, 650));
    }
}
