//! sea-orm: its connection tells, which needs no feature.
//! `cargo run -p databases --example queries_sea_orm`

#![forbid(unsafe_code)]

use profiler_alloc::{ProfilerAlloc, query_profiler};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, Statement};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

#[query_profiler]
async fn names(db: &DatabaseConnection, ids: &[i32]) -> Result<Vec<String>, DbErr> {
    let mut names = Vec::new();
    for &id in ids {
        let sql = "SELECT 'name ' || ? AS name";
        let select = Statement::from_sql_and_values(DbBackend::Sqlite, sql, [id.into()]);
        let row = db.query_one_raw(select).await?;
        let row = row.ok_or_else(|| DbErr::RecordNotFound(id.to_string()))?;
        names.push(row.try_get("", "name")?);
    }
    Ok(names)
}

#[tokio::main]
async fn main() -> Result<(), DbErr> {
    let mut db = Database::connect("sqlite::memory:").await?;
    profiler_alloc::install_sea_orm!(db);
    println!("{:?}", names(&db, &[1, 2, 3]).await?);
    Ok(())
}
