//! Contexts that a budget watches: the highest that what they hold has come to.
//!
//! What a context holds is what was allocated while it was in force minus what was freed then, by
//! all threads together, since the watch began. It is looked at whenever the counts of a context
//! grow: see [`context_counts`](super::context_counts). While a context is watched, each thread that
//! enters any takes the slow path at every operation until it has left it, so that these are exact;
//! one that was inside already comes to it after 64 KiB at most.

use core::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use crate::contexts::in_force;
use crate::contexts::names;
use crate::contexts::sets;
use crate::counters::open_scopes;

/// Contexts that can be watched at once.
const MOST: usize = 32;

static WATCHED: [Watched; MOST] = [const { Watched::new() }; MOST];
/// How many are, so that nobody looks where there is nothing to be seen.
static COUNT: AtomicU32 = AtomicU32::new(0);

struct Watched {
    /// The context; 0 if the place is free.
    context: AtomicU32,
    /// What it held when the watch began, or [`i64::MAX`] before that is known. *Bytes.*
    before: AtomicI64,
    /// Most above that. *Bytes.*
    highest: AtomicI64,
}

impl Watched {
    const fn new() -> Watched {
        Watched {
            context: AtomicU32::new(0),
            before: AtomicI64::new(i64::MAX),
            highest: AtomicI64::new(0),
        }
    }
}

/// A context that is watched until this is dropped.
#[derive(Debug)]
pub struct WatchedContext(usize);

impl WatchedContext {
    /// Watches a context, which holds so much after [`begin_at`](Self::begin_at). `None` if too
    /// many are watched already.
    pub fn take(context: names::Id) -> Option<WatchedContext> {
        let place = WATCHED.iter().position(|watched| {
            let place = &watched.context;
            let taken = place.compare_exchange(0, context, Ordering::Acquire, Ordering::Relaxed);
            taken.is_ok()
        })?;
        COUNT.fetch_add(1, Ordering::Relaxed);
        Some(WatchedContext(place))
    }

    /// The context holds `held` now, and is watched from now on. *Bytes.*
    pub fn begin_at(&self, held: i64) {
        let watched = &WATCHED[self.0];
        watched.highest.store(0, Ordering::Relaxed);
        watched.before.store(held, Ordering::Relaxed);
    }

    /// The most that it has held above that. *Bytes.*
    pub fn highest(&self) -> i64 {
        WATCHED[self.0].highest.load(Ordering::Relaxed)
    }
}

impl Drop for WatchedContext {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, Ordering::Relaxed);
        let watched = &WATCHED[self.0];
        watched.before.store(i64::MAX, Ordering::Relaxed);
        watched.context.store(0, Ordering::Release);
    }
}

/// Whether any context is.
#[inline]
pub fn is_on() -> bool {
    COUNT.load(Ordering::Relaxed) != 0
}

/// Whether the calling thread is to take the slow path at every operation: inside an open scope,
/// and while contexts are in force and some context is watched.
#[inline]
pub fn wants_every_operation() -> bool {
    open_scopes::is_open() || (is_on() && in_force::all() != 0)
}

/// The calling thread has entered a context while some context is watched.
#[cold]
pub fn entered() {
    open_scopes::want_every_operation();
}

/// The counts of these contexts have grown; `held` says to what. *Bytes.*
#[cold]
pub fn look_at(set: sets::Id, held: impl Fn(names::Id) -> i64) {
    sets::for_each(set, |context| {
        let of_it = |watched: &&Watched| watched.context.load(Ordering::Relaxed) == context;
        for watched in WATCHED.iter().filter(of_it) {
            let before = watched.before.load(Ordering::Relaxed);
            let above = held(context).saturating_sub(before);
            watched.highest.fetch_max(above, Ordering::Relaxed);
        }
    });
}
