//! diesel-async over SQLite: it runs each statement on a thread of tokio's, which is handed the
//! scope. `cargo run -p databases --example queries_diesel_async`

#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "what diesel::table! makes has none")]

use std::error::Error;
use std::pin::Pin;

use diesel::prelude::*;
use diesel_async::sync_connection_wrapper::{SpawnBlocking, SyncConnectionWrapper};
use diesel_async::{AsyncConnection, RunQueryDsl};
use profiler_alloc::queries::{Handle, install_diesel};
use profiler_alloc::{ProfilerAlloc, query_profiler};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

diesel::table! {
    books (id) {
        id -> Integer,
        title -> Text,
    }
}

type Db = SyncConnectionWrapper<SqliteConnection, InScope>;

/// Statements belong to the scope of the task that asks for them.
struct InScope;

impl SpawnBlocking for InScope {
    fn spawn_blocking<'a, R: Send + 'static>(
        &mut self,
        task: impl FnOnce() -> R + Send + 'static,
    ) -> Pin<Box<dyn Future<Output = Result<R, Box<dyn Error + Send + Sync>>> + Send + 'a>> {
        let scope = Handle::current();
        let thread = tokio::task::spawn_blocking(move || scope.run(task));
        Box::pin(async move { Ok(thread.await?) })
    }

    fn get_runtime() -> InScope {
        InScope
    }
}

#[query_profiler(values)]
async fn title_of(db: &mut Db, id: i32) -> QueryResult<String> {
    books::table.find(id).select(books::title).first(db).await
}

#[tokio::main]
pub async fn main() -> Result<(), Box<dyn Error>> {
    install_diesel()?;
    let mut db = Db::establish(":memory:").await?;
    for sql in [
        "CREATE TABLE books (id INTEGER PRIMARY KEY, title TEXT NOT NULL)",
        "INSERT INTO books VALUES (1, 'Final')",
    ] {
        diesel::sql_query(sql).execute(&mut db).await?;
    }
    assert_eq!(title_of(&mut db, 1).await?, "Final");
    Ok(())
}
