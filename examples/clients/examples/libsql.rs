//! libsql tells of a query when it prepares it: its SQL, and no more.
//! `cargo run --features libsql --example libsql`

#![forbid(unsafe_code)]

use libsql::{Builder, Connection};
use profiler_alloc::queries::install_sqlx;
use profiler_alloc::{ProfilerAlloc, query_profiler};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

/// An N+1.
#[query_profiler]
async fn names(db: &Connection, ids: &[i64]) -> libsql::Result<Vec<String>> {
    let mut names = Vec::new();
    for &id in ids {
        let sql = "SELECT name FROM users WHERE id = ?1";
        let mut rows = db.query(sql, [id]).await?;
        if let Some(row) = rows.next().await? {
            names.push(row.get(0)?);
        }
    }
    Ok(names)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    install_sqlx()?;
    let db = Builder::new_local(":memory:").build().await?.connect()?;
    db.execute("CREATE TABLE users (id INTEGER, name TEXT)", ())
        .await?;
    db.execute("INSERT INTO users VALUES (1, 'Ada'), (2, 'Grace')", ())
        .await?;
    println!("{:?}", names(&db, &[1, 2]).await?);
    Ok(())
}
