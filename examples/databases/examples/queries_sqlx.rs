//! sqlx: tasks run beside each other, and a spawned one is handed the scope. SQLite itself tells
//! here, on the thread that sqlx runs it on; of PostgreSQL the layer alone would.
//! `cargo run -p databases --example queries_sqlx`

#![forbid(unsafe_code)]

use profiler_alloc::queries::{Handle, install_sqlite, install_sqlx};
use profiler_alloc::{ProfilerAlloc, query_profiler};
use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

#[query_profiler]
async fn totals(pool: &SqlitePool) -> sqlx::Result<(i64, i64)> {
    let count = count(pool.clone());
    // Without the handle, the task's query would be nobody's.
    let count = tokio::spawn(Handle::current().carry(count));
    let (sum,) = sqlx::query_as("SELECT sum(size) FROM files")
        .fetch_one(pool)
        .await?;
    Ok((sum, count.await.expect("it does not panic")?))
}

async fn count(pool: SqlitePool) -> sqlx::Result<i64> {
    let (count,) = sqlx::query_as("SELECT count(*) FROM files")
        .fetch_one(&pool)
        .await?;
    Ok(count)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    install_sqlite()?;
    install_sqlx()?;
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect("sqlite::memory:").await?;
    sqlx::raw_sql("CREATE TABLE files (size INTEGER); INSERT INTO files VALUES (1), (2), (3)")
        .execute(&pool)
        .await?;
    let (sum, count) = totals(&pool).await?;
    println!("{count} files, {sum} bytes");
    Ok(())
}
