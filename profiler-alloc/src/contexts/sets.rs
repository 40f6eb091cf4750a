//! Contexts that are in force together, at most one of each key: a number for each combination.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use profiler_alloc_format::contexts::{MAX_CONTEXT_SETS, MAX_IN_FORCE};

use super::names::{self, IDS};
use crate::hash::mix;
use crate::lockfree::index::Index;
use crate::lockfree::lazy_slice::LazySlice;

/// A set's number; 0 is the one without contexts.
pub type Id = u32;

/// Contexts, those of lower keys first; 0 is none.
pub type Members = [names::Id; MAX_IN_FORCE];

static SETS: LazySlice<AtomicU32> = LazySlice::new(MAX_CONTEXT_SETS * MAX_IN_FORCE);
static INDEX: Index = Index::new(8);
static COUNT: AtomicU64 = AtomicU64::new(0);
/// By context, the set that has only this one: there is always room for these.
static ALONE: LazySlice<AtomicU32> = LazySlice::new(IDS);
/// Sets that could not be made.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Calls `each` with every context of a set.
#[inline]
pub fn for_each(set: Id, mut each: impl FnMut(names::Id)) {
    let start = set as usize * MAX_IN_FORCE;
    let cells = SETS
        .get()
        .and_then(|sets| sets.get(start..start + MAX_IN_FORCE));
    for cell in cells.unwrap_or_default() {
        match cell.load(Ordering::Relaxed) {
            0 => return,
            context => each(context),
        }
    }
}

/// The contexts of a set.
pub fn members(set: Id) -> Members {
    let start = set as usize * MAX_IN_FORCE;
    let cells = SETS
        .get()
        .and_then(|sets| sets.get(start..start + MAX_IN_FORCE));
    let mut members = [0; MAX_IN_FORCE];
    for (member, cell) in members.iter_mut().zip(cells.unwrap_or_default()) {
        *member = cell.load(Ordering::Relaxed);
    }
    members
}

/// The set that has this context and no other; 0 if the system refuses memory.
pub fn alone(context: names::Id) -> Id {
    let Some(cell) = ALONE.open().and_then(|alone| alone.get(context as usize)) else {
        return 0;
    };
    match cell.load(Ordering::Acquire) {
        0 => {
            let mut members = [0; MAX_IN_FORCE];
            members[0] = context;
            let set = make(members, MAX_CONTEXT_SETS as u64).unwrap_or(0);
            cell.store(set, Ordering::Release);
            set
        }
        known => known,
    }
}

/// The contexts of both, of one key that of `inner`. If there are too many, those of `inner`.
#[inline]
pub fn both(outer: Id, inner: Id) -> Id {
    match (outer, inner) {
        (0, only) | (only, 0) => only,
        _ if outer == inner => inner,
        _ => merge(outer, inner),
    }
}

fn merge(outer: Id, inner: Id) -> Id {
    let (outer, inside) = (members(outer), members(inner));
    let mut merged = [0; MAX_IN_FORCE];
    let mut len = 0;
    let is_inside = |context: &names::Id| {
        let key = names::key_of(*context);
        inside
            .iter()
            .any(|&other| other != 0 && names::key_of(other) == key)
    };
    let shown = outer.into_iter().filter(|context| !is_inside(context));
    for context in shown.chain(inside).filter(|&context| context != 0) {
        match merged.get_mut(len) {
            Some(place) => *place = context,
            None => return lost(inner),
        }
        len += 1;
    }
    merged[..len].sort_unstable_by_key(|&context| names::key_of(context));
    find(merged)
        .or_else(|| make(merged, room_for_combinations()))
        .unwrap_or_else(|| lost(inner))
}

/// Each context may yet need a set of its own.
fn room_for_combinations() -> u64 {
    (MAX_CONTEXT_SETS - IDS) as u64
}

#[cold]
fn lost(inner: Id) -> Id {
    LOST.fetch_add(1, Ordering::Relaxed);
    inner
}

/// How often a set could not be made.
pub fn lost_sets() -> u64 {
    LOST.load(Ordering::Relaxed)
}

fn find(members: Members) -> Option<Id> {
    let is_it = |number: u64| self::members(number as Id) == members;
    Some(INDEX.find(key(&members), is_it)? as Id)
}

#[cold]
fn make(members: Members, most: u64) -> Option<Id> {
    let sets = SETS.open()?;
    let next = |count: u64| (count + 1 < most).then_some(count + 1);
    let taken = COUNT.fetch_update(Ordering::AcqRel, Ordering::Relaxed, next);
    let number = taken.ok()? + 1;
    let start = number as usize * MAX_IN_FORCE;
    for (cell, member) in sets.get(start..)?.iter().zip(members) {
        cell.store(member, Ordering::Relaxed);
    }
    INDEX.insert(key(&members), number);
    // Another thread may have been first.
    find(members)
}

fn key(members: &Members) -> u64 {
    let step = |hash: u64, &member: &names::Id| mix(hash ^ u64::from(member));
    members.iter().fold(0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inner_one_of_a_key_is_in_force() {
        let set = |key: &str, value: &str| alone(names::context(key, value).unwrap());
        let (a, b) = (set("sets route", "/a"), set("sets route", "/b"));
        let acme = set("sets tenant", "acme");
        assert_eq!(both(0, a), a);
        assert_eq!(both(a, 0), a);
        assert_eq!(both(a, b), b);
        let a_of_acme = both(a, acme);
        assert_eq!(both(acme, a), a_of_acme, "whichever came first");
        assert_eq!(both(a_of_acme, b), both(b, acme));
        let of = |set| {
            members(set)
                .into_iter()
                .filter(|&member| member != 0)
                .count()
        };
        assert_eq!([of(0), of(a), of(a_of_acme)], [0, 1, 2]);
    }

    #[test]
    fn of_too_many_at_once_the_innermost_counts() {
        let sets = (0..=MAX_IN_FORCE).map(|n| {
            let key = format!("sets key {n}");
            alone(names::context(&key, "x").unwrap())
        });
        let sets: Vec<Id> = sets.collect();
        let (last, most) = sets.split_last().unwrap();
        let full = most.iter().fold(0, |outer, &inner| both(outer, inner));
        assert!(members(full).iter().all(|&member| member != 0));
        let before = lost_sets();
        assert_eq!(both(full, *last), *last);
        assert_eq!(lost_sets(), before + 1);
    }
}
