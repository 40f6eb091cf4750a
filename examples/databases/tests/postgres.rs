//! Queries of PostgreSQL, through diesel, diesel-async and sqlx, on a server of the test's own.
//! Where PostgreSQL is not installed, nothing is tested, and the test says so;
//! `MEMPROF_TEST_REQUIRE=1` makes that a failure.

#![forbid(unsafe_code)]

mod reports;
mod server;
#[path = "../../../tests/skip/mod.rs"]
mod skip;

use diesel::{Connection as _, PgConnection, RunQueryDsl as _};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use profiler_alloc::queries::{Source, install_diesel, install_sqlx};
use profiler_alloc::{ProfilerAlloc, query_profiler};
use reports::{line_of, one, queries, statements};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection as SqlxConnection;
use tokio::runtime::Builder;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

const FILE: &str = include_str!("postgres.rs");

#[query_profiler(values)]
fn by_diesel(db: &mut PgConnection) {
    use diesel::sql_types::Text;
    db.transaction(|db| {
        for name in ["a", "b"] {
            diesel::sql_query("INSERT INTO t (name) VALUES ($1)")
                .bind::<Text, _>(name)
                .execute(db)?;
        }
        diesel::sql_query("SELECT broken FROM t").execute(db) // fails
    })
    .unwrap_err();
}

#[query_profiler]
async fn by_diesel_async(db: &mut AsyncPgConnection) {
    let first =
        diesel_async::RunQueryDsl::execute(diesel::sql_query("SELECT 1 AS first"), db).await;
    assert_eq!(first.unwrap(), 1);
    let (one, two) = {
        let db: &AsyncPgConnection = db;
        let (mut one, mut two) = (db, db);
        let select =
            || diesel::sql_query("SELECT name, pg_sleep(0.01)::text FROM t WHERE name = 'a'");
        // pipelined
        tokio::join!(
            diesel_async::RunQueryDsl::execute(select(), &mut one),
            diesel_async::RunQueryDsl::execute(select(), &mut two)
        )
    };
    assert_eq!((one.unwrap(), two.unwrap()), (1, 1));
}

#[query_profiler(values)]
async fn by_sqlx(db: &mut SqlxConnection, marker: i32) -> sqlx::Result<()> {
    let mut transaction = db.begin().await?;
    let sql = "INSERT INTO t (name) SELECT 'x' FROM generate_series(1, $1)";
    let inserted = sqlx::query(sql)
        .bind(marker)
        .execute(&mut *transaction)
        .await?;
    assert_eq!(inserted.rows_affected(), marker as u64);
    tokio::task::yield_now().await;
    // short
    let rows = sqlx::query("SELECT id FROM t")
        .fetch_all(&mut *transaction)
        .await?;
    assert!(rows.len() >= marker as usize);
    transaction.rollback().await
}

/// A type of the database, which sqlx has to look up.
struct Mood;

impl sqlx::Type<sqlx::Postgres> for Mood {
    fn type_info() -> sqlx::postgres::PgTypeInfo {
        sqlx::postgres::PgTypeInfo::with_name("mood")
    }
}

impl sqlx::Encode<'_, sqlx::Postgres> for Mood {
    fn encode_by_ref(
        &self,
        buffer: &mut sqlx::postgres::PgArgumentBuffer,
    ) -> Result<sqlx::encode::IsNull, sqlx::error::BoxDynError> {
        sqlx::Encode::<sqlx::Postgres>::encode_by_ref(&"fine", buffer)
    }
}

#[query_profiler]
async fn connects(url: &str) -> sqlx::Result<()> {
    let mut db = SqlxConnection::connect(url).await?;
    let sql = "SELECT 1 FROM moods WHERE mood = $1";
    sqlx::query(sql).bind(Mood).execute(&mut db).await?;
    let mut db = PgConnection::establish(url).unwrap();
    diesel::sql_query("SELECT 2").execute(&mut db).unwrap();
    let mut db = AsyncPgConnection::establish(url).await.unwrap();
    let select = diesel::sql_query("SELECT 3");
    diesel_async::RunQueryDsl::execute(select, &mut db)
        .await
        .unwrap();
    Ok(())
}

#[test]
fn what_libraries_ask_of_a_new_connection_is_apart() {
    let Some(server) = server::Server::start() else {
        return;
    };
    reports::keep();
    install();
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut db = SqlxConnection::connect(&server.url()).await.unwrap();
        let types = "CREATE TYPE mood AS ENUM ('fine'); CREATE TABLE moods (mood mood)";
        sqlx::raw_sql(types).execute(&mut db).await.unwrap();
        connects(&server.url()).await.unwrap();
    });
    let report = one("connects");
    let expected = ["SELECT ? FROM moods WHERE mood = ?", "SELECT ?", "SELECT ?"];
    assert_eq!(statements(&report), expected, "{report}");
    // sqlx looks the type up; diesel-async sets what diesel sets before it tells of anything.
    let own: Vec<&str> = report
        .of_libraries
        .iter()
        .map(|query| &*query.normalised)
        .collect();
    assert!(own[0].starts_with("SELECT pg_type.oid, "), "{own:?}");
    let settings = ["SET TIME ZONE ?", "SET CLIENT_ENCODING TO ?"];
    assert_eq!(own[1..], settings, "{own:?}");
}

fn install() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        install_diesel().unwrap();
        install_sqlx().unwrap();
    });
}

#[test]
fn queries_of_postgres() {
    let Some(server) = server::Server::start() else {
        return;
    };
    reports::keep();
    install();
    let mut db = PgConnection::establish(&server.url()).unwrap();
    diesel::sql_query("CREATE TABLE t (id serial PRIMARY KEY, name text)")
        .execute(&mut db)
        .unwrap();
    diesel::sql_query("INSERT INTO t (name) VALUES ('a')")
        .execute(&mut db)
        .unwrap();

    by_diesel(&mut db);
    let report = one("by_diesel");
    let insert = "INSERT INTO t (name) VALUES (?)";
    let expected = ["BEGIN", insert, insert, "SELECT broken FROM t", "ROLLBACK"];
    assert_eq!(statements(&report), expected);
    assert_eq!(
        report.queries[1].text(),
        "INSERT INTO t (name) VALUES ($1) -- values: [\"a\"]"
    );
    assert_eq!(report.findings.failed, [3]);
    assert_eq!(report.queries[3].place.line, line_of(FILE, "fails"));
    assert!(report.findings.duplicates.is_empty() && report.findings.similar.len() == 1);
    assert!(
        report
            .queries
            .iter()
            .all(|query| query.source == Source::Diesel && query.allocated.is_some())
    );

    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut db = AsyncPgConnection::establish(&server.url()).await.unwrap();
        db.batch_execute("SELECT 0").await.unwrap();
        by_diesel_async(&mut db).await;
    });
    let report = one("by_diesel_async");
    assert_eq!(report.count(), 3, "{report}");
    assert_eq!(report.findings.similar[0].queries, [1, 2]);
    assert!(
        report.queries[1..]
            .iter()
            .all(|query| query.elapsed_ns.unwrap() > 5_000_000),
        "{report}"
    );
    assert_eq!(report.queries[2].place.line, line_of(FILE, "pipelined") + 1);

    runtime.block_on(async {
        let tasks = (1..=8).map(|marker| {
            let url = server.url();
            tokio::spawn(async move {
                let mut db = SqlxConnection::connect(&url).await.unwrap();
                by_sqlx(&mut db, marker).await.unwrap();
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    });
    let mut reports = queries("by_sqlx");
    assert_eq!(reports.len(), 8);
    reports.sort_by_key(|report| {
        report
            .queries
            .iter()
            .find_map(|query| query.rows.filter(|&rows| rows > 0))
    });
    for (report, marker) in reports.iter().zip(1..) {
        let find = |start: &str| {
            report
                .queries
                .iter()
                .find(|query| query.normalised.starts_with(start))
        };
        assert_eq!(find("INSERT").unwrap().rows, Some(marker), "{report}");
        assert_eq!(
            find("SELECT").unwrap().place.line,
            line_of(FILE, "short") + 1
        );
        let is_own = |query: &profiler_alloc::measure::Query| query.source == Source::Sqlx;
        assert!(
            report.count() <= 4 && report.queries.iter().all(is_own),
            "{report}"
        );
    }
}
