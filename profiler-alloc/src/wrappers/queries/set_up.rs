//! Queries that the program does not have: libraries run them for themselves, once for each connection or so, and which
//! query of the program comes first decides where.

use core::cell::Cell;
use std::thread;

use super::statement::Facts;

/// What sqlx calls the threads that it runs SQLite on, one for each connection.
const SQLX_THREADS: &str = "sqlx-sqlite-worker-";

#[cfg(any(feature = "sqlite", feature = "sqlx"))]
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

/// Whether sqlx asks this for itself: what a type of PostgreSQL is that the program has named, or a column's table.
#[cfg(feature = "sqlx")]
pub fn is_lookup_of_sqlx(sql: &str) -> bool {
    let is_of_types = sql.contains(") lookup_inner(original_name, lookup_oid)");
    is_of_types || sql.contains("ON lookup.table_oid = attrelid AND lookup.attribute_num = attnum")
}

/// Whether diesel-async sets this on a new connection: what diesel itself sets before it tells of anything.
#[cfg(feature = "diesel")]
pub fn is_setting_of_diesel(sql: &str) -> bool {
    const SETTINGS: [&str; 6] = [
        "SET TIME ZONE 'UTC'",
        "SET CLIENT_ENCODING TO 'UTF8'",
        "SET time_zone = '+00:00'",
        "SET character_set_client = 'utf8mb4'",
        "SET character_set_connection = 'utf8mb4'",
        "SET character_set_results = 'utf8mb4'",
    ];
    let sql = sql.trim_end().trim_end_matches(';');
    SETTINGS.contains(&sql)
}

/// Whether what sqlx tells of, now, is what it sets a new connection up with: one text of all the settings.
#[cfg(feature = "sqlx")]
pub fn is_first_of_sqlx() -> bool {
    IS_NEW_TO_SQLX.replace(false) && is_sqlx_thread()
}
