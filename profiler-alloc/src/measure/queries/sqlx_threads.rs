//! The threads that sqlx runs SQLite on, one for each connection.

use std::thread;

/// What sqlx calls them, unless the program has given them other names.
const NAME: &str = "sqlx-sqlite-worker-";

/// True on one of them.
pub fn is_one() -> bool {
    let thread = thread::current();
    thread.name().is_some_and(|name| name.starts_with(NAME))
}
