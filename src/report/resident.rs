//! Where the resident memory was: one account that adds up to what the system calls resident.
//!
//! ```text
//! heap in use, as asked for    what is in use, but for what of it was never touched
//! rounding by the allocator    what its blocks take beyond what was asked for
//! free beside blocks in use    on pages that a block in use is on, where all blocks are known
//! kept by the allocator        the rest of the mappings that it has
//! ```
//! So these four add up to what the allocator has resident. A block below 64 KiB is not asked
//! which of its pages are resident: where they would be more than there is, such blocks are
//! not wholly touched, and the first is what is left.

use profiler_alloc_format::account::{KNOWS_PINNED, KNOWS_ROUNDING, TOO_MANY_MAPPINGS};

use super::{Bytes, Granularity, Recording, Sampling, Scope, Stacks};
use crate::defect::Defect;
use crate::profile::{Account, Loss, Profile, Residence};
use crate::source::Sources;
use crate::symbolize::Symbols;

/// The accounts of a recording.
#[derive(Clone, PartialEq, Debug)]
pub struct Resident {
    /// Which program, when, and its exact totals.
    pub recording: Recording,
    /// How it was sampled.
    pub sampling: Sampling,
    /// In the order of time.
    pub accounts: Vec<ResidentAccount>,
    /// The highest that the timeline saw resident, in bytes, and when, in nanoseconds since the
    /// start. It looks more often than accounts are taken.
    pub seen_highest: Option<(u64, u64)>,
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
    /// Whether it is the last one of the recording.
    pub is_last: bool,
    /// Whether it is the one with most resident.
    pub is_highest: bool,
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
    /// Whether it is known what blocks in use pin.
    pub knows_pinned: bool,
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
    /// What is free on pages that a block in use is on, as the allocator cannot give them back;
    /// where it is not known, it is kept.
    Pinned,
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

/// The lines behind the last account: in each, what is live is the figure, and what is allocated
/// the blocks that it is of.
#[derive(Clone, PartialEq, Debug)]
pub struct ResidentLines {
    /// What was asked for and not resident, in large blocks.
    pub untouched: Stacks,
    /// What blocks pin.
    pub pinned: Stacks,
}

impl ResidentLines {
    /// Those of a profile that is not needed any more, by lines of the user's own source.
    pub fn new(profile: Profile, symbols: &Symbols, sources: &mut Sources) -> ResidentLines {
        let mut of = |which| {
            let mut profile = profile.clone();
            profile.keep_residence(which);
            let stacks = Stacks::new(&profile, symbols, sources, Vec::new());
            stacks.restricted(Scope::User, Granularity::Line)
        };
        ResidentLines {
            untouched: of(Residence::Untouched),
            pinned: of(Residence::Pinned),
        }
    }
}

impl PartKind {
    /// Its name in JSON.
    pub fn key(self) -> &'static str {
        match self {
            PartKind::InUse => "heap_in_use",
            PartKind::Rounding => "rounding",
            PartKind::Pinned => "pinned",
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
        let mut accounts: Vec<_> = profile.accounts.iter().map(ResidentAccount::of).collect();
        accounts
            .last_mut()
            .into_iter()
            .for_each(|last| last.is_last = true);
        let highest = accounts.iter_mut().max_by_key(|account| account.resident);
        highest
            .into_iter()
            .for_each(|highest| highest.is_highest = true);
        Resident {
            recording: Recording::of(profile),
            sampling: Sampling::of(profile),
            accounts,
            seen_highest: (profile.timeline.iter())
                .map(|point| (point.resident(), point.time_ns))
                .max_by_key(|&(resident, _)| resident)
                .filter(|&(resident, _)| resident > 0),
            losses: Loss::of(profile),
            defects,
        }
    }

    /// Those of a profile: the account with most resident, and the last one, if it is another.
    pub fn highest_and_last_of(profile: &Profile) -> Vec<ResidentAccount> {
        let resident = Resident::new(profile, Vec::new());
        resident.highest_and_last().into_iter().cloned().collect()
    }

    /// The account with most resident, and the last one, if it is another.
    pub fn highest_and_last(&self) -> Vec<&ResidentAccount> {
        let mut both: Vec<_> = self
            .highest()
            .into_iter()
            .chain(self.accounts.last())
            .collect();
        both.dedup();
        both
    }

    /// The account with most resident.
    pub fn highest(&self) -> Option<&ResidentAccount> {
        self.accounts.iter().find(|account| account.is_highest)
    }

    /// What the timeline saw and no account is near, by a fiftieth of it: bytes, and when, in
    /// nanoseconds since the start.
    pub fn missed(&self) -> Option<(u64, u64)> {
        let highest = self.highest().map_or(0, |account| account.resident);
        let far = |&(seen, _): &(u64, u64)| seen.saturating_sub(highest) > seen / 50;
        self.seen_highest.filter(far)
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
        let free = account.heap - touched - rounding;
        let pinned = account.pinned.min(free);
        let kept = free - pinned;
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
            part(PartKind::Pinned, exact(pinned)),
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
            is_last: false,
            is_highest: false,
            resident: account.resident,
            parts,
            in_use: account.in_use as i64,
            untouched: estimate(in_use - touched, account.untouched_variance),
            swap: account.swap,
            huge: account.huge,
            stacks_mapped: account.stacks_mapped,
            knows_rounding: account.known & KNOWS_ROUNDING != 0,
            knows_pinned: account.known & KNOWS_PINNED != 0,
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
            pinned: 30,
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
            PartKind::Pinned,
            PartKind::Kept,
            PartKind::Recorder,
        ];
        assert_eq!(
            parts.map(|kind| found.part(kind).bytes),
            [400, 50, 30, 220, 50]
        );
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
        assert_eq!((sum(&found), found.part(PartKind::Kept).bytes), (1000, 620));
    }
}
