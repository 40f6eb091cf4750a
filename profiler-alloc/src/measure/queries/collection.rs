//! The queries of one scope, while it runs.
//!
//! Several layers may see one query: SQLite itself, sqlx above it, sea-orm above that. The lowest
//! layer that sees it makes the entry; a higher one finds it there, adds what only it knows, and
//! makes none of its own. Of several with the same SQL it takes the oldest that it has not found
//! yet: layers tell of queries in the order in which they ran, but how long after is up to the
//! system, so no clock can decide.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::dialect::Dialect;
use super::model::{Caller, CollectOptions, OpenedAt};
use super::normal::{Normal, normalise};
use crate::measure::report::query::Query;

/// Queries kept; what is more is counted.
const KEPT: usize = 1 << 16;

/// One query, as far as it has come.
#[derive(Clone, Debug)]
pub struct Entry {
    /// In the order in which queries begin.
    pub id: u64,
    pub query: Query,
    pub dialect: Dialect,
    /// A library runs it for itself.
    pub is_of_library: bool,
    /// The highest layer that has found it.
    pub merged_by: u8,
}

/// The queries of one scope.
#[derive(Debug)]
pub struct Collection {
    site: OpenedAt,
    /// What it wants, and the scopes around it want.
    pub wanted: CollectOptions,
    parent: Option<Arc<Collection>>,
    /// Where the scope around it has opened it.
    pub caller: Option<Caller>,
    state: Mutex<State>,
}

#[derive(Default, Debug)]
struct State {
    entries: Vec<Entry>,
    /// Queries beyond those that are kept.
    lost: u64,
    /// Calls inside a call of the same function.
    inner_calls: u64,
    is_closed: bool,
}

/// What a scope has collected.
#[derive(Default, Debug)]
pub struct Collected {
    pub queries: Vec<Query>,
    /// Those that libraries run for themselves.
    pub of_libraries: Vec<Query>,
    pub lost: u64,
    pub inner_calls: u64,
}

/// A number for each query, in the order in which they begin.
pub fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Collection {
    pub fn new(
        site: OpenedAt,
        wanted: CollectOptions,
        parent: Option<Arc<Collection>>,
        caller: Option<Caller>,
    ) -> Collection {
        let around = parent
            .as_ref()
            .map_or(CollectOptions::default(), |p| p.wanted);
        Collection {
            site,
            wanted: wanted.or(around),
            parent,
            caller,
            state: Mutex::default(),
        }
    }

    /// This collection, or one around it, if it was opened at `site`.
    pub fn of_site(self: &Arc<Self>, site: OpenedAt) -> Option<Arc<Collection>> {
        let mut next = Some(self);
        while let Some(collection) = next {
            if collection.site == site && !collection.state().is_closed {
                collection.state().inner_calls += 1;
                return Some(Arc::clone(collection));
            }
            next = collection.parent.as_ref();
        }
        None
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A query has begun.
    #[cfg(feature = "sqlite")]
    pub fn add(&self, entry: Entry) {
        let mut state = self.state();
        if !state.is_closed {
            state.push(entry);
        }
    }

    /// Changes an entry, which may be in a collection around this one by now.
    #[cfg(feature = "sqlite")]
    pub fn change(&self, id: u64, change: impl FnOnce(&mut Entry)) {
        let mut state = self.state();
        if let Some(entry) = state.entries.iter_mut().rev().find(|entry| entry.id == id) {
            return change(entry);
        }
        drop(state);
        if let Some(parent) = &self.parent {
            parent.change(id, change);
        }
    }

    /// A layer has seen a query: adds to the entry of a lower layer, or makes one.
    pub fn add_or_merge(&self, entry: Entry, sql: &str) {
        let mut state = self.state();
        if state.is_closed {
            return;
        }
        let layer = entry.query.source.layer().unwrap_or(0);
        if layer == 0 {
            return state.push(entry);
        }
        let is_below = |other: &Entry| {
            other.merged_by < layer
                && other
                    .query
                    .source
                    .layer()
                    .is_some_and(|below| below < layer)
        };
        let mut again = Again::new(sql);
        let mut below = state.entries.iter_mut().filter(|other| is_below(other));
        let same = below.find(|other| match other.dialect == entry.dialect {
            true => other.query.shape == entry.query.shape,
            false => other.query.shape == again.read_as(other.dialect).shape,
        });
        if let Some(same) = same {
            return same.learn(entry);
        }
        // Several statements that were given as one text.
        let mut has_found = false;
        for part in state.entries.iter_mut().filter(|other| is_below(other)) {
            let has_part = match part.dialect == entry.dialect {
                true => entry.query.normalised.contains(&*part.query.normalised),
                false => again
                    .read_as(part.dialect)
                    .text
                    .contains(&*part.query.normalised),
            };
            if has_part {
                part.merged_by = layer;
                has_found = true;
            }
        }
        if !has_found {
            state.push(entry);
        }
    }

    /// The end of the scope: what it has collected, which the scope around it gets too.
    pub fn close(&self) -> Collected {
        let (mut entries, lost, inner_calls) = {
            let mut state = self.state();
            state.is_closed = true;
            let entries = core::mem::take(&mut state.entries);
            (entries, state.lost, state.inner_calls)
        };
        entries.sort_by_key(|entry| entry.id);
        let (of_libraries, of_program): (Vec<_>, Vec<_>) =
            entries.iter().partition(|entry| entry.is_of_library);
        let queries = of_program
            .into_iter()
            .map(|entry| entry.query.clone())
            .collect();
        let of_libraries = of_libraries
            .into_iter()
            .map(|entry| entry.query.clone())
            .collect();
        if let Some(parent) = &self.parent {
            let mut parent = parent.state();
            if !parent.is_closed {
                entries.into_iter().for_each(|entry| parent.push(entry));
                parent.lost += lost;
            }
        }
        Collected {
            queries,
            of_libraries,
            lost,
            inner_calls,
        }
    }
}

/// SQL as another layer reads it, which knows more of its dialect, or less.
struct Again<'a> {
    sql: &'a str,
    read: Option<(Dialect, Normal)>,
}

impl<'a> Again<'a> {
    fn new(sql: &'a str) -> Again<'a> {
        Again { sql, read: None }
    }

    fn read_as(&mut self, dialect: Dialect) -> &Normal {
        let known = self.read.take().filter(|(known, _)| *known == dialect);
        let read = known.unwrap_or_else(|| (dialect, normalise(self.sql, dialect)));
        &self.read.insert(read).1
    }
}

impl State {
    fn push(&mut self, entry: Entry) {
        if self.entries.len() < KEPT {
            self.entries.push(entry);
        } else {
            self.lost += 1;
        }
    }
}

impl Entry {
    /// What a higher layer knows of the same query.
    fn learn(&mut self, higher: Entry) {
        self.merged_by = higher.query.source.layer().unwrap_or(0);
        self.is_of_library |= higher.is_of_library;
        let (own, other) = (&mut self.query, higher.query);
        own.elapsed_ns = own.elapsed_ns.or(other.elapsed_ns);
        own.rows = own.rows.or(other.rows);
        own.failed = own.failed.or(other.failed);
        // Of the two, the higher one sees more of what the query took.
        own.allocated = other.allocated.or(own.allocated);
        own.key = own.key.or(other.key);
        if !self.dialect.is_known() && higher.dialect.is_known() {
            self.dialect = higher.dialect;
            own.normalised = other.normalised;
            own.shape = other.shape;
            own.facts = other.facts;
            own.page = other.page;
        }
    }
}
