//! diesel: its own hook tells values, failures and heap.
//! `cargo run -p databases --example queries_diesel`

#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "what diesel::table! makes has none")]

use diesel::prelude::*;
use profiler_alloc::queries::install_diesel;
use profiler_alloc::{ProfilerAlloc, query_profiler};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

diesel::table! {
    books (id) {
        id -> Integer,
        title -> Text,
    }
}

#[query_profiler(values)]
fn rename(db: &mut SqliteConnection, id: i32, title: &str) -> QueryResult<usize> {
    db.transaction(|db| {
        let old: String = books::table.find(id).select(books::title).first(db)?;
        if old == title {
            return Ok(0);
        }
        let book = diesel::update(books::table.find(id));
        book.set(books::title.eq(title)).execute(db)
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    install_diesel()?;
    let mut db = SqliteConnection::establish(":memory:")?;
    diesel::sql_query("CREATE TABLE books (id INTEGER PRIMARY KEY, title TEXT NOT NULL)")
        .execute(&mut db)?;
    diesel::sql_query("INSERT INTO books VALUES (1, 'Draft')").execute(&mut db)?;
    rename(&mut db, 1, "Final")?;
    Ok(())
}
