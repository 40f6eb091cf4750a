//! Queries that the program does not have: libraries run them for themselves, once for each connection or so, and which
//! query of the program comes first decides where.

use core::cell::Cell;
use std::thread;

use super::statement::Facts;

/// What sqlx calls the threads that it runs SQLite on, one for each connection.
const SQLX_THREADS: &str = "sqlx-sqlite-worker-";

thread_local! {
    /// SQLite has told of nothing on the thread yet but of `PRAGMA`.
    static IS_NEW: Cell<bool> = const { Cell::new(true) };
    /// sqlx has told of nothing on the thread yet.
    static IS_NEW_TO_SQLX: Cell<bool> = const { Cell::new(true) };
}

/// True on a thread that sqlx runs SQLite on, unless the program has given it another name.
pub fn is_sqlx_thread() -> bool {
    thread::current()
        .name()
        .is_some_and(|name| name.starts_with(SQLX_THREADS))
}

/// Whether a statement that SQLite tells of is run by a library for itself: by a virtual table, as long as SQLite prepares
/// the first statement that uses it, or by sqlx, which sets a new connection up.
#[cfg(feature = "sqlite")]
pub fn is_of_sqlite(facts: Facts, sql: &str) -> bool {
    let is_setting = facts.is_pragma && sql.trim_end().ends_with(';');
    let is_new = IS_NEW.replace(IS_NEW.get() && is_setting);
    facts.is_of_virtual_table || (is_new && is_setting && is_sqlx_thread())
}

/// SQLite tells of a statement outside of all scopes.
#[cfg(feature = "sqlite")]
pub fn sqlite_begins_outside() {
    IS_NEW.set(false);
}

/// Whether what sqlx tells of, now, is what it sets a new connection up with: one text of all the settings.
#[cfg(feature = "sqlx")]
pub fn is_first_of_sqlx() -> bool {
    IS_NEW_TO_SQLX.replace(false) && is_sqlx_thread()
}
