//! What `#[query_profiler]` adds to a query of SQLite: `cargo bench -p databases`. Prints
//! microseconds for each.

use std::time::Instant;

use profiler_alloc::measure::{Output, set_output};
use profiler_alloc::queries::install_sqlite;
use profiler_alloc::{ProfilerAlloc, query_profiler};
use rusqlite::Connection;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

const QUERIES: i64 = 10_000;

fn database() -> Connection {
    let db = Connection::open_in_memory().expect("a database in memory");
    let sql = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
        INSERT INTO t SELECT i, 'name ' || i FROM n;";
    db.execute_batch(sql).expect("SQL");
    db
}

/// The least of several tries.
fn us_each(work: impl Fn()) -> f64 {
    let tries = (0..7).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed().as_nanos() as f64 / 1000.0 / QUERIES as f64
    });
    tries.fold(f64::INFINITY, f64::min)
}

fn ask(db: &Connection) {
    let sql = "SELECT name FROM t WHERE id = ?1";
    for id in 0..QUERIES {
        let mut select = db.prepare_cached(sql).expect("SQL");
        let name = select.query_row([id % 1000 + 1], |row| row.get::<_, String>(0));
        assert!(name.is_ok());
    }
}

#[query_profiler(summary)]
fn ask_inside(db: &Connection) {
    ask(db);
}

fn main() {
    set_output(Output::writer(std::io::sink()));
    let plain = database();
    install_sqlite().expect("SQLite takes a trace");
    let traced = database();
    println!(
        "a query                           {:6.2} us",
        us_each(|| ask(&plain))
    );
    println!(
        "with the hook, outside of scopes  {:6.2} us",
        us_each(|| ask(&traced))
    );
    println!(
        "with the hook, inside of a scope  {:6.2} us",
        us_each(|| ask_inside(&traced))
    );
}
