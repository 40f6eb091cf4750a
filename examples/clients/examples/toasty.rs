//! toasty tells of each query by an event, with its time and its rows.
//! `cargo run --features toasty --example toasty`

#![forbid(unsafe_code)]

use profiler_alloc::queries::install_sqlx;
use profiler_alloc::{ProfilerAlloc, query_profiler};
use toasty::Db;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

#[derive(Debug, toasty::Model)]
struct User {
    #[key]
    #[auto]
    id: u64,
    name: String,
}

/// An N+1.
#[query_profiler]
async fn names(db: &mut Db, ids: &[u64]) -> toasty::Result<Vec<String>> {
    let mut names = Vec::new();
    for &id in ids {
        names.push(User::get_by_id(db, id).await?.name);
    }
    Ok(names)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    install_sqlx()?;
    let models = toasty::models!(User);
    let mut db = Db::builder()
        .models(models)
        .connect("sqlite::memory:")
        .await?;
    db.push_schema().await?;
    let mut ids = Vec::new();
    for name in ["Ada", "Grace"] {
        ids.push(toasty::create!(User { name: name }).exec(&mut db).await?.id);
    }
    println!("{:?}", names(&mut db, &ids).await?);
    Ok(())
}
