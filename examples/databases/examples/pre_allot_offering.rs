//! rusqlite: an offering of shares is allotted to those who have subscribed. `#[query_profiler]`
//! names the query that runs once for each of them, where one would do.
//! `cargo run -p databases --example pre_allot_offering`

#![forbid(unsafe_code)]

use profiler_alloc::queries::install_sqlite;
use profiler_alloc::{ProfilerAlloc, query_profiler};
use rusqlite::{Connection, Result};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

#[query_profiler(limit = 3)]
fn pre_allot_offering(db: &mut Connection, offering: i64) -> Result<i64> {
    let savepoint = db.savepoint_with_name("s4377609600_x5")?;
    let shares = "SELECT shares FROM offerings WHERE id = ?1";
    let mut left: i64 = savepoint.query_row(shares, [offering], |row| row.get(0))?;
    for (subscription, investor, wanted) in subscriptions(&savepoint, offering)? {
        let limit = "SELECT max_shares FROM investors WHERE id = ?1";
        let limit: i64 = savepoint.query_row(limit, [investor], |row| row.get(0))?;
        let given = left.min(wanted).min(limit);
        let allot = "UPDATE subscriptions SET allotted = ?1 WHERE id = ?2";
        savepoint.execute(allot, [given, subscription])?;
        left -= given;
    }
    savepoint.commit()?;
    Ok(left)
}

/// Of each its number, the investor's, and how many shares are wanted.
fn subscriptions(db: &Connection, offering: i64) -> Result<Vec<(i64, i64, i64)>> {
    let sql = "SELECT id, investor, shares FROM subscriptions WHERE offering = ?1";
    let mut select = db.prepare(sql)?;
    let rows = select.query_map([offering], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    rows.collect()
}

/// Allots an offering with five subscriptions.
pub fn main() -> Result<()> {
    install_sqlite().expect("SQLite takes a trace");
    let mut db = Connection::open_in_memory()?;
    db.execute_batch(
        "CREATE TABLE offerings (id INTEGER PRIMARY KEY, shares INTEGER);
         CREATE TABLE investors (id INTEGER PRIMARY KEY, max_shares INTEGER);
         CREATE TABLE subscriptions
             (id INTEGER PRIMARY KEY, offering INTEGER, investor INTEGER, shares INTEGER, allotted INTEGER);
         INSERT INTO offerings VALUES (7, 1000);
         INSERT INTO investors VALUES (1, 100), (2, 200), (3, 300), (4, 400), (5, 500);
         INSERT INTO subscriptions (offering, investor, shares)
             VALUES (7, 1, 150), (7, 2, 150), (7, 3, 350), (7, 4, 350), (7, 5, 550);",
    )?;
    let left = pre_allot_offering(&mut db, 7)?;
    println!("{left} shares are left");
    Ok(())
}
