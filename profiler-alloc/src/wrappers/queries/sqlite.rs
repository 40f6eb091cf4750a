//! Queries of SQLite, whichever library runs them, by SQLite's own trace.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use super::event::Source;
use super::started::{Reading, Started};
use super::{InstallError, frame};
use crate::own_counts::{self, Excused};
use crate::sqlite::{self, Statement, Trace};

/// Has SQLite itself tell `#[query_profiler]` of every statement, on every connection that the process opens from now on,
/// through whatever library: rusqlite, diesel, sqlx, sea-orm. A connection has one trace; a library that sets its own on it
/// (`Connection::trace` of rusqlite) takes the place of this one.
///
/// # Errors
/// If SQLite does not take it: it is out of memory, or older than 3.14.
pub fn install_sqlite() -> Result<(), InstallError> {
    sqlite::install(&SEEN).map_err(|code| InstallError {
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
    running: LazyLock<Mutex<HashMap<usize, Running>>>,
}

struct Running {
    started: Started,
    rows: u64,
    full_scan_steps: i32,
}

impl Seen {
    fn running(&self) -> MutexGuard<'_, HashMap<usize, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, statement: &Statement<'_>) -> Option<Running> {
        let mut all = self.running();
        let running = all.remove(&statement.address());
        self.count.store(all.len(), Ordering::Relaxed);
        running
    }
}

impl Trace for Seen {
    fn begins(&self, statement: &Statement<'_>) {
        if !frame::is_inside() {
            // The address of one that never told its end.
            if self.count.load(Ordering::Relaxed) > 0 {
                let _excused = Excused::begin();
                self.take(statement);
            }
            return;
        }
        let Some(reading) = Reading::now() else {
            return;
        };
        let _excused = Excused::begin();
        let (Some(started), Some(sql)) = (Started::new(reading), statement.sql()) else {
            return;
        };
        let values = statement.has_parameters().then(|| statement.expanded_sql());
        let entry = started.entry(Source::Sqlite, &sql, values.flatten().as_deref());
        started.frame.collection.add(entry);
        let running = Running {
            started,
            rows: 0,
            full_scan_steps: statement.full_scan_steps(),
        };
        let mut all = self.running();
        all.insert(statement.address(), running);
        self.count.store(all.len(), Ordering::Relaxed);
    }

    fn gives_row(&self, statement: &Statement<'_>) {
        if self.count.load(Ordering::Relaxed) == 0 || own_counts::is_excused() {
            return;
        }
        if let Some(running) = self.running().get_mut(&statement.address()) {
            running.rows += 1;
        }
    }

    fn ends(&self, statement: &Statement<'_>) {
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let Some(reading) = Reading::now() else {
            return;
        };
        let _excused = Excused::begin();
        let Some(Running {
            started,
            rows,
            full_scan_steps,
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
        let rows = statement.changes().unwrap_or(rows);
        collection.change(started.id, |entry| {
            entry.elapsed = Some(elapsed);
            entry.rows = Some(rows);
            // A higher layer may have ended before, and seen more.
            entry.allocated = entry.allocated.or(started.allocated(reading));
            entry.full_scan = Some(statement.full_scan_steps() != full_scan_steps);
            entry.plan = plan;
        });
    }
}
