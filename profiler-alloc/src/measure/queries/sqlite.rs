//! Queries of SQLite, whichever library runs them, by SQLite's own trace.
//!
//! SQLite tells when a statement begins, gives a row, and ends. Two of its ways are not so simple:
//!
//! ```text
//! DELETE of two parents, whose children go with them:     begin, begin, begin, end
//!                                                         ^^^^^ counts
//! SELECT after another connection changed the schema:     begin, end, row, row, end
//!                                                              counts           ^^^
//! ```

use core::cell::{Cell, RefCell};
use core::hash::Hasher;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use super::dialect::Dialect;
use super::event::QueryEvent;
use super::model::{Source, hasher};
use super::started::{Paused, Reading, Started};
use super::statement::Facts;
use super::{InstallError, frame, sqlx_threads};
use crate::counters::thread_counts::{self, Untracked};
use crate::ffi::sqlite3::{self, Database, Statement, Trace};

/// Has SQLite itself tell `#[query_profiler]` of every statement, on every connection that the
/// process opens from now on, through whatever library: rusqlite, diesel, sqlx, sea-orm. A
/// connection has one trace; a library that sets its own on it (`Connection::trace` of rusqlite)
/// takes the place of this one.
///
/// # Errors
/// If SQLite does not take it: it is out of memory, or older than 3.14.
pub fn install_sqlite() -> Result<(), InstallError> {
    sqlite3::install(&SEEN).map_err(|code| InstallError {
        message: format!(
            "SQLite did not take the trace (its error {code}); it has to be 3.14 or newer, and built with tracing"
        ),
    })
}

static SEEN: Seen = Seen {
    count: AtomicUsize::new(0),
    running: LazyLock::new(Mutex::default),
};

/// The statements that run inside scopes.
struct Seen {
    /// How many there are: most of the time none, and then there is nothing to look up.
    count: AtomicUsize,
    running: LazyLock<Mutex<HashMap<usize, RunningStatement>>>,
}

struct RunningStatement {
    started: Started,
    rows: u64,
    /// What SQLite had counted when it began.
    before: Counted,
}

/// What SQLite counts of a statement, and of its connection.
#[derive(Clone, Copy)]
struct Counted {
    full_scan_steps: i32,
    changes: i32,
    runs: i32,
    times_prepared_again: i32,
}

impl Counted {
    fn of(statement: &Statement<'_>) -> Counted {
        Counted {
            full_scan_steps: statement.full_scan_steps(),
            changes: statement.changed_so_far(),
            runs: statement.runs(),
            times_prepared_again: statement.times_prepared_again(),
        }
    }
}

/// A statement that has ended without a row. It goes on if SQLite prepares it again.
struct Ended {
    address: usize,
    paused: Paused,
    before: Counted,
}

thread_local! {
    /// The last of the thread.
    static ENDED: RefCell<Option<Ended>> = const { RefCell::new(None) };
}

/// Sets the last one, and gives the one before.
fn replace_ended(ended: Option<Ended>) -> Option<Ended> {
    let replace = |last: &RefCell<Option<Ended>>| {
        let mut last = last.try_borrow_mut().ok()?;
        core::mem::replace(&mut *last, ended)
    };
    ENDED.try_with(replace).ok().flatten()
}

fn has_ended(statement: &Statement<'_>) -> bool {
    let is_same = |last: &RefCell<Option<Ended>>| {
        let last = last.try_borrow().ok()?;
        Some(last.as_ref()?.address == statement.address())
    };
    ENDED.try_with(is_same).ok().flatten().unwrap_or(false)
}

impl Seen {
    fn running(&self) -> MutexGuard<'_, HashMap<usize, RunningStatement>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, address: usize, running: RunningStatement) {
        let mut all = self.running();
        all.insert(address, running);
        self.count.store(all.len(), Ordering::Relaxed);
    }

    fn take(&self, statement: &Statement<'_>) -> Option<RunningStatement> {
        let mut all = self.running();
        let running = all.remove(&statement.address());
        self.count.store(all.len(), Ordering::Relaxed);
        running
    }

    /// True if the statement has begun and not ended, and is at a step of its own: it has begun
    /// once more since.
    fn is_running(&self, statement: &Statement<'_>) -> bool {
        let all = self.running();
        let running = all.get(&statement.address());
        running.is_some_and(|running| statement.runs() > running.before.runs)
    }

    /// True if there may be something to say of a statement that gives a row, or ends.
    fn may_know(&self, statement: &Statement<'_>) -> bool {
        if has_ended(statement) {
            let _untracked = Untracked::begin();
            let ended = replace_ended(None);
            let prepared_again = |ended: &Ended| {
                statement.times_prepared_again() > ended.before.times_prepared_again
            };
            if let Some(ended) = ended.filter(prepared_again)
                && let Some(started) = ended.paused.go_on()
            {
                let (rows, before) = (0, ended.before);
                let running = RunningStatement {
                    started,
                    rows,
                    before,
                };
                self.put(ended.address, running);
            }
        }
        self.count.load(Ordering::Relaxed) > 0
    }
}

thread_local! {
    /// SQLite has told of nothing on the thread yet but of settings.
    static IS_NEW: Cell<bool> = const { Cell::new(true) };
}

/// Whether a library runs a statement for itself: a virtual table, while SQLite prepares the first
/// statement that uses it, or sqlx, which sets a new connection up on a new thread.
fn is_of_library(facts: Facts, sql: &str) -> bool {
    let is_setting = facts.is_pragma && sql.trim_end().ends_with(';');
    let is_new = IS_NEW.replace(IS_NEW.get() && is_setting);
    facts.is_of_virtual_table || (is_new && is_setting && sqlx_threads::is_one())
}

/// The database that it asks, as a number.
fn database(statement: &Statement<'_>) -> Option<u64> {
    match statement.database() {
        Database::File(path) => {
            let mut hasher = hasher();
            hasher.write(path.to_bytes());
            Some(hasher.finish())
        }
        Database::Shared => None,
        Database::OfConnection(address) => Some(address as u64),
    }
}

impl Trace for Seen {
    fn begins(&self, statement: &Statement<'_>) {
        if !frame::is_inside() {
            IS_NEW.set(false);
            // The address of one that never told its end.
            if self.count.load(Ordering::Relaxed) > 0 {
                let _untracked = Untracked::begin();
                self.take(statement);
            }
            return;
        }
        let Some(reading) = Reading::now() else {
            return;
        };
        let _untracked = Untracked::begin();
        if self.count.load(Ordering::Relaxed) > 0 && self.is_running(statement) {
            return;
        }
        drop(replace_ended(None));
        let (Some(started), Some(sql)) = (Started::new(reading), statement.sql()) else {
            return;
        };
        let values = statement.has_parameters().then(|| statement.expanded_sql());
        let event = QueryEvent {
            values: values.flatten().map(Cow::Owned),
            is_expanded: true,
            database: database(statement),
            dialect: Dialect::Sqlite,
            ..started.event(Source::Sqlite, &*sql)
        };
        let mut entry = event.entry(&started.frame);
        entry.is_of_library = is_of_library(entry.query.facts, &sql);
        started.frame.collection.add(entry);
        let before = Counted::of(statement);
        let running = RunningStatement {
            started,
            rows: 0,
            before,
        };
        self.put(statement.address(), running);
    }

    fn gives_row(&self, statement: &Statement<'_>) {
        if thread_counts::is_untracked() || !self.may_know(statement) {
            return;
        }
        if let Some(running) = self.running().get_mut(&statement.address()) {
            running.rows += 1;
        }
    }

    fn ends(&self, statement: &Statement<'_>) {
        let Some(reading) = Reading::now() else {
            return;
        };
        if !self.may_know(statement) {
            return;
        }
        let _untracked = Untracked::begin();
        let Some(RunningStatement {
            started,
            rows,
            before,
        }) = self.take(statement)
        else {
            return;
        };
        let elapsed = started.elapsed(reading);
        let collection = &started.frame.collection;
        let plan_from = collection.wanted.plan_from_ns;
        let plan = match plan_from.is_some_and(|from| elapsed.as_nanos() >= from.into()) {
            true => statement.plan(),
            false => Vec::new(),
        };
        let changes = statement.changes(before.changes);
        collection.change(started.id, |entry| {
            let query = &mut entry.query;
            query.elapsed_ns = Some(elapsed.as_nanos() as u64);
            // What a virtual table writes into its own tables when it is made is nobody's row.
            let makes = |sql: &str| {
                sql.get(..6)
                    .is_some_and(|word| word.eq_ignore_ascii_case("CREATE"))
            };
            query.rows = match makes(&query.normalised) {
                true => Some(0),
                false => Some(changes.unwrap_or(rows)),
            };
            // A higher layer may have ended before, and seen more.
            query.allocated = query.allocated.or(started.allocated(reading));
            // `DROP INDEX` steps through the table of the schema, as it always has to.
            let has_stepped = statement.full_scan_steps() != before.full_scan_steps;
            query.full_scan = Some(has_stepped && !query.facts.alters_schema);
            query.plan = plan;
        });
        if rows == 0 {
            let ended = Ended {
                address: statement.address(),
                paused: started.pause(),
                before,
            };
            drop(replace_ended(Some(ended)));
        }
    }
}
