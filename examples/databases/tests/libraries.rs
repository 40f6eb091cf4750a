//! diesel, sqlx and sea-orm, each by its own hook alone: nothing below them tells.

#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "what diesel::table! makes has none")]

#[path = "../examples/queries_diesel_async.rs"]
mod queries_diesel_async;
mod reports;

use std::time::Duration;

use diesel::prelude::*;
use profiler_alloc::queries::{Handle, install_diesel, install_sqlx};
use profiler_alloc::{budget, elapsed_timer, profile, query_profiler, ram_profiler};
use reports::{line_of, one, queries, statements};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use tokio::runtime::{Builder, Runtime};

const FILE: &str = include_str!("libraries.rs");

diesel::table! {
    people (id) {
        id -> Integer,
        name -> Text,
        parent -> Nullable<Integer>,
    }
}

const TABLE: &str =
    "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, parent INTEGER)";

fn diesel_database() -> SqliteConnection {
    reports::keep();
    install_diesel().unwrap();
    let mut db = SqliteConnection::establish(":memory:").unwrap();
    diesel::sql_query(TABLE).execute(&mut db).unwrap();
    db
}

fn add(db: &mut SqliteConnection, id: i32, parent: Option<i32>) -> QueryResult<usize> {
    let name = people::name.eq(format!("person {id}"));
    diesel::insert_into(people::table)
        .values((people::id.eq(id), name, people::parent.eq(parent)))
        .execute(db)
}

#[query_profiler(values)]
fn by_diesel(db: &mut SqliteConnection) {
    add(db, 1, None).unwrap();
    assert!(add(db, 1, None).is_err()); // fails
    let name = db.transaction(|db| {
        let names = people::table.filter(people::id.eq_any([1, 2])); // not this line
        names.select(people::name).first::<String>(db) // asks
    });
    assert_eq!(name.unwrap(), "person 1");
}

#[test]
fn diesel_tells_values_failures_and_heap() {
    by_diesel(&mut diesel_database());
    let report = one("by_diesel");
    let texts: Vec<&str> = report.queries.iter().map(|query| query.text()).collect();
    assert_eq!(texts.len(), 5, "{report}");
    assert!(texts[0].starts_with("INSERT INTO `people`"), "{report}");
    assert!(
        texts[0].ends_with("-- values: [1, \"person 1\", None]"),
        "{report}"
    );
    assert_eq!([texts[2], texts[4]], ["BEGIN", "COMMIT"]);
    let failed: Vec<_> = report.queries.iter().map(|query| query.failed).collect();
    assert_eq!(
        failed,
        [
            Some(false),
            Some(true),
            Some(false),
            Some(false),
            Some(false)
        ]
    );
    assert_eq!(report.findings.failed, [1]);
    assert!(
        report.to_string().contains("CALLED QUERY :: failed\n"),
        "{report}"
    );
    assert_eq!(report.findings.duplicates[0].queries, [0, 1]);
    assert_eq!(report.queries[1].place.line, line_of(FILE, "fails"));
    assert_eq!(report.queries[3].place.line, line_of(FILE, "asks"));
    assert!(
        report.queries[3].allocated.is_some_and(|bytes| bytes >= 8),
        "{report}"
    );
}

/// Children, their children, and so on: one query for each person.
#[profile]
#[ram_profiler(summary)]
#[elapsed_timer(summary)]
#[query_profiler(limit = 3)]
#[budget(max_queries = 100_000)]
fn descendants(db: &mut SqliteConnection, of: i32) -> QueryResult<Vec<String>> {
    // the N+1
    let children: Vec<(i32, String)> = people::table
        .filter(people::parent.eq(of))
        .select((people::id, people::name))
        .load(db)?;
    let mut names = Vec::new();
    for (id, name) in children {
        names.push(name);
        names.extend(descendants(db, id)?);
    }
    Ok(names)
}

#[test]
fn a_deep_recursion_of_an_orm_function_with_all_attributes() {
    const DEPTH: i32 = 3000;
    let deep = || {
        let mut db = diesel_database();
        db.transaction(|db| (1..=DEPTH).try_for_each(|id| add(db, id, Some(id - 1)).map(drop)))
            .unwrap();
        descendants(&mut db, 0).unwrap().len()
    };
    // A test's thread has 2 MiB, which diesel itself needs more of, unoptimized, at such a depth.
    let thread = std::thread::Builder::new().stack_size(256 << 20);
    assert_eq!(thread.spawn(deep).unwrap().join().unwrap(), DEPTH as usize);
    let report = queries("descendants").pop().unwrap();
    assert_eq!((report.count(), report.inner_calls), (3001, 3000));
    let finding = &report.findings.n_plus_one[0];
    assert_eq!(finding.queries.len(), 3001);
    assert_eq!(finding.place.unwrap().line, line_of(FILE, "the N+1") + 1);
    assert!(report.to_string().lines().count() < 50, "{report}");
}

fn runtime() -> Runtime {
    reports::keep();
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// A pool on one database in memory.
async fn pool() -> SqlitePool {
    // There is one subscriber in a process.
    static LAYER: std::sync::Once = std::sync::Once::new();
    LAYER.call_once(|| install_sqlx().unwrap());
    let options = SqliteConnectOptions::new().in_memory(true);
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None);
    let pool = pool.connect_with(options).await.unwrap();
    sqlx::raw_sql(TABLE).execute(&pool).await.unwrap();
    pool
}

#[query_profiler]
async fn by_sqlx(pool: &SqlitePool, marker: i64) -> Result<Vec<i64>, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    sqlx::query("INSERT INTO people (id, name) VALUES ($1, 'a' || $1)") // inserts
        .bind(marker)
        .execute(&mut *transaction)
        .await?;
    let names: Vec<(i64,)> = sqlx::query_as("SELECT id FROM people WHERE id = $1 OR id = -1")
        .bind(marker)
        .fetch_all(&mut *transaction)
        .await?;
    tokio::time::sleep(Duration::from_millis(1)).await;
    sqlx::query("SELECT 1").fetch_one(&mut *transaction).await?; // short
    transaction.rollback().await?;
    Ok(names.into_iter().map(|(id,)| id).collect())
}

#[test]
fn sqlx_runs_sqlite_on_a_thread_of_its_own_and_each_task_has_its_own_queries() {
    runtime().block_on(async {
        let tasks =
            (0..8).map(|marker| tokio::spawn(async move { by_sqlx(&pool().await, marker).await }));
        for (marker, task) in tasks.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(task.await.unwrap().unwrap(), [marker as i64]);
        }
    });
    let all = queries("by_sqlx");
    assert_eq!(all.len(), 8);
    for report in all {
        let [insert, select, short] = &report.queries[..] else {
            panic!("{report}")
        };
        assert_eq!(
            &*insert.normalised,
            "INSERT INTO people (id, name) VALUES (?, ? || ?)"
        );
        assert_eq!(
            &*select.normalised,
            "SELECT id FROM people WHERE id = ? OR id = ?"
        );
        assert_eq!(&*short.normalised, "SELECT ?");
        assert_eq!([insert.rows, select.rows, short.rows], [Some(1); 3]);
        assert_eq!(insert.place.line, line_of(FILE, "inserts"));
        assert_eq!(short.place.line, line_of(FILE, "short"));
        assert!(insert.elapsed_ns.is_some_and(|ns| ns > 0));
    }
}

#[query_profiler]
async fn changes_and_finds_nothing(pool: &SqlitePool) -> sqlx::Result<()> {
    for sql in [
        "INSERT INTO people (id, name) VALUES (1, 'a'), (2, 'b'), (3, 'c')",
        "SELECT id, name FROM people WHERE id = 999 AND name > 'a'",
        "CREATE INDEX people_by_parent ON people (parent)",
        "PRAGMA user_version = 3",
        "DELETE FROM people WHERE id = 1 RETURNING id",
    ] {
        sqlx::query(sql).fetch_all(pool).await?;
    }
    Ok(())
}

#[test]
fn sqlx_tells_rows_of_the_statement_itself() {
    runtime().block_on(async { changes_and_finds_nothing(&pool().await).await.unwrap() });
    let report = one("changes_and_finds_nothing");
    let rows: Vec<_> = report
        .queries
        .iter()
        .filter_map(|query| query.rows)
        .collect();
    assert_eq!(rows, [3, 0, 0, 0, 1], "{report}");
}

async fn name_of(pool: &SqlitePool, id: i64) -> String {
    let name = sqlx::query_scalar("SELECT name FROM people WHERE id = ?");
    name.bind(id).fetch_one(pool).await.unwrap()
}

#[query_profiler]
async fn at_once(pool: &SqlitePool) {
    let tasks = (1..=4).map(|id| {
        let pool = pool.clone();
        tokio::spawn(Handle::current().carry(async move { name_of(&pool, id).await }))
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap(); // waits
    }
}

#[test]
fn a_pool_sets_its_connections_up_apart_from_the_queries_of_the_program() {
    runtime().block_on(async {
        drop(pool().await);
        let options = SqlitePoolOptions::new().max_connections(4);
        let pool = options
            .connect("sqlite:file:at_once?mode=memory&cache=shared")
            .await
            .unwrap();
        sqlx::raw_sql(TABLE).execute(&pool).await.unwrap();
        let people = "INSERT INTO people (id, name) VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')";
        sqlx::query(people).execute(&pool).await.unwrap();
        // Held, so that the others have to be opened.
        let held = pool.acquire().await.unwrap();
        at_once(&pool).await;
        drop(held);
        at_once(&pool).await;
    });
    let reports = queries("at_once");
    let select = "SELECT name FROM people WHERE id = ?";
    for report in &reports {
        assert_eq!(statements(report), [select; 4], "{report}");
        assert_eq!(report.findings.n_plus_one[0].queries, [0, 1, 2, 3]);
    }
    let settings: Vec<_> = reports[0]
        .of_libraries
        .iter()
        .map(|query| &*query.normalised)
        .collect();
    assert!(!settings.is_empty(), "{}", reports[0]);
    assert!(
        settings
            .iter()
            .all(|sql| *sql == "PRAGMA foreign_keys = ON"),
        "{settings:?}"
    );
}

#[query_profiler]
async fn hands_on(pool: &SqlitePool) {
    let with = Handle::current().carry(ask(pool.clone(), "SELECT 'with' AS handle, 1"));
    let without = ask(pool.clone(), "SELECT 'without' AS handle");
    tokio::spawn(with).await.unwrap();
    tokio::spawn(without).await.unwrap();
}

async fn ask(pool: SqlitePool, sql: &'static str) {
    sqlx::query(sql).fetch_all(&pool).await.unwrap();
}

#[test]
fn a_spawned_task_is_handed_the_scope() {
    runtime().block_on(async { hands_on(&pool().await).await });
    assert_eq!(statements(&one("hands_on")), ["SELECT ? AS handle, ?"]);
}

#[query_profiler]
async fn panics(pool: &SqlitePool) {
    ask(pool.clone(), "SELECT 1").await;
    panic!("in the middle");
}

#[test]
fn diesel_async_runs_sqlite_on_other_threads_in_the_scope() {
    reports::keep();
    queries_diesel_async::main().unwrap();
    let report = one("title_of");
    let select = "SELECT `books`.`title` FROM `books` WHERE (`books`.`id` = ?) LIMIT ?";
    assert_eq!(statements(&report), [select], "{report}");
    assert!(
        report.queries[0].text().contains("-- values: [I32(1)"),
        "{report}"
    );
}

#[test]
fn an_async_panic_reports_too() {
    runtime().block_on(async {
        let pool = pool().await;
        assert!(
            tokio::spawn(async move { panics(&pool).await })
                .await
                .is_err()
        );
    });
    assert_eq!(one("panics").count(), 1);
}

#[query_profiler(values)]
async fn by_sea_orm(db: &DatabaseConnection) {
    let statement =
        |sql: &str, id: i32| Statement::from_sql_and_values(DbBackend::Sqlite, sql, [id.into()]);
    for id in [3, 4] {
        let select = statement("SELECT * FROM people WHERE id = ?", id);
        db.query_all_raw(select).await.unwrap(); // asks sea-orm
    }
    let wrong = statement("INSERT INTO people (id) VALUES (?)", 1);
    assert!(db.execute_raw(wrong).await.is_err());
}

#[test]
fn sea_orm_tells_by_its_callback() {
    runtime().block_on(async {
        let mut options = sea_orm::ConnectOptions::new("sqlite::memory:");
        // Then sqlx does not tell.
        options.sqlx_logging(false);
        let mut db = Database::connect(options).await.unwrap();
        db.execute_unprepared(TABLE).await.unwrap();
        profiler_alloc::install_sea_orm!(db);
        by_sea_orm(&db).await;
    });
    let report = one("by_sea_orm");
    assert_eq!(report.findings.n_plus_one[0].queries, [0, 1]);
    assert_eq!(
        report.findings.n_plus_one[0].place.unwrap().line,
        line_of(FILE, "asks sea-orm")
    );
    assert!(report.findings.duplicates.is_empty(), "{report}");
    assert_eq!(
        report.queries[0].text(),
        "SELECT * FROM people WHERE id = ? -- values: [Int(Some(3))]"
    );
    assert_eq!(report.findings.failed, [2]);
    assert_eq!(report.count(), 3);
}
