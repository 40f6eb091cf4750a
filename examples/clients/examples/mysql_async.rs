//! mysql_async tells of each query by a span, if its feature `tracing` is on. It needs a server of
//! MySQL or MariaDB: `cargo run --features mysql_async --example mysql_async
//! mysql://user:password@127.0.0.1:3306/database`

#![forbid(unsafe_code)]

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Pool};
use profiler_alloc::queries::install_sqlx;
use profiler_alloc::{ProfilerAlloc, query_profiler};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

/// An N+1.
#[query_profiler]
async fn names(db: &mut Conn, ids: &[i64]) -> mysql_async::Result<Vec<String>> {
    let mut names = Vec::new();
    for &id in ids {
        let sql = "SELECT name FROM users WHERE id = ?";
        names.extend(db.exec_first::<String, _, _>(sql, (id,)).await?);
    }
    Ok(names)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    install_sqlx()?;
    let url = std::env::args().nth(1).ok_or("the URL of a database is missing")?;
    let pool = Pool::new(url.as_str());
    let mut db = pool.get_conn().await?;
    db.query_drop("CREATE TEMPORARY TABLE users (id INTEGER, name TEXT)").await?;
    db.query_drop("INSERT INTO users VALUES (1, 'Ada'), (2, 'Grace')").await?;
    println!("{:?}", names(&mut db, &[1, 2]).await?);
    drop(db);
    pool.disconnect().await?;
    Ok(())
}
