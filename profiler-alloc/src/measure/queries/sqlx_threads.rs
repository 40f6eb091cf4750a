//! The threads that sqlx runs SQLite on, one for each connection.

use std::thread;

/// What sqlx calls them, unless the program has given them other names.
const NAME: &str = "sqlx-sqlite-worker-";

/// True on one of them.
pub fn is_one() -> bool {
    let thread = thread::current();
    thread.name().is_some_and(|name| name.starts_with(NAME))
}

/// True on one of them whose first query this is: sqlx sets a new connection of SQLite up by one
/// text of all the settings.
#[cfg(feature = "sqlx")]
pub fn is_new() -> bool {
    thread_local! {
        static IS_NEW: core::cell::Cell<bool> = const { core::cell::Cell::new(true) };
    }
    IS_NEW.replace(false) && is_one()
}
