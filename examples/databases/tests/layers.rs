//! All hooks at once: a query that several layers see is one query. And a web server, whose
//! requests run beside each other.

#![forbid(unsafe_code)]

mod reports;

use std::collections::BTreeSet;
use std::hint::black_box;
use std::sync::Once;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use diesel::prelude::*;
use profiler_alloc::measure::{QueryReport, Report};
use profiler_alloc::queries::{Source, install_diesel, install_sqlite, sqlx_layer};
use profiler_alloc::{ProfilerAlloc, elapsed_timer, profile, query_profiler, ram_profiler};
use reports::{line_of, one, statements};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::layer::SubscriberExt;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

const FILE: &str = include_str!("layers.rs");

fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        reports::keep();
        install_sqlite().unwrap();
        install_diesel().unwrap();
        let subscriber = tracing_subscriber::registry().with(sqlx_layer());
        tracing::subscriber::set_global_default(subscriber).unwrap();
        let again = profiler_alloc::queries::install_sqlx().unwrap_err();
        assert!(
            again
                .to_string()
                .contains("add profiler_alloc::queries::sqlx_layer()")
        );
    });
}

fn runtime() -> Runtime {
    install();
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

fn sources(report: &QueryReport) -> BTreeSet<&str> {
    report
        .queries
        .iter()
        .map(|query| query.source.name())
        .collect()
}

#[query_profiler(values)]
fn by_diesel(db: &mut SqliteConnection) {
    let insert = "INSERT INTO t VALUES (1)";
    diesel::sql_query(insert).execute(db).unwrap();
    assert!(diesel::sql_query(insert).execute(db).is_err());
    diesel::connection::SimpleConnection::batch_execute(db, "SELECT 1; SELECT 'two'").unwrap();
    diesel::sql_query("SELECT id FROM t WHERE id = ?")
        .bind::<diesel::sql_types::Integer, _>(7)
        .execute(db)
        .unwrap();
}

#[test]
fn sqlite_and_diesel_see_one_query() {
    install();
    let mut db = SqliteConnection::establish(":memory:").unwrap();
    diesel::sql_query("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        .execute(&mut db)
        .unwrap();
    by_diesel(&mut db);
    let report = one("by_diesel");
    let insert = "INSERT INTO t VALUES (?)";
    let expected = [
        insert,
        insert,
        "SELECT ?",
        "SELECT ?",
        "SELECT id FROM t WHERE id = ?",
    ];
    assert_eq!(statements(&report), expected, "{report}");
    assert_eq!(sources(&report), BTreeSet::from(["sqlite"]));
    // What only diesel knows, and what only SQLite knows.
    assert_eq!(report.findings.failed, [1]);
    assert_eq!(report.queries[0].rows, Some(1));
    assert_eq!(report.queries[4].text(), "SELECT id FROM t WHERE id = 7");
}

#[query_profiler]
async fn by_sea_orm(db: &DatabaseConnection) {
    // First: sqlx's thread tells of what cannot be prepared after it has answered, but before the
    // next statement.
    assert!(
        db.execute_unprepared("SELECT * FROM nowhere")
            .await
            .is_err()
    );
    let select = "SELECT one FROM (SELECT 1 AS one) WHERE 1 = ?";
    for id in [1, 2] {
        let select = Statement::from_sql_and_values(DbBackend::Sqlite, select, [id.into()]);
        db.query_all_raw(select).await.unwrap(); // asks
    }
}

#[test]
fn sqlite_sqlx_and_sea_orm_see_one_query() {
    runtime().block_on(async {
        let mut db = Database::connect("sqlite::memory:").await.unwrap();
        profiler_alloc::install_sea_orm!(db);
        by_sea_orm(&db).await;
    });
    let report = one("by_sea_orm");
    let select = "SELECT one FROM (SELECT ? AS one) WHERE ? = ?";
    // What cannot be prepared never ran: the upper layers alone tell of it.
    let expected = ["SELECT * FROM nowhere", select, select];
    assert_eq!(statements(&report), expected, "{report}");
    assert_eq!(report.queries[1].source, Source::Sqlite);
    assert_eq!(
        [report.queries[1].rows, report.queries[2].rows],
        [Some(1), Some(0)]
    );
    assert_eq!(
        report.findings.n_plus_one[0].place.unwrap().line,
        line_of(FILE, "asks")
    );
    assert_eq!(report.queries[1].failed, Some(false), "sea-orm has told");
}

#[query_profiler]
async fn opens_connections(pool: &SqlitePool) {
    let select = |id: i64| sqlx::query("SELECT ? + 1").bind(id).fetch_one(pool);
    let (a, b, c) = tokio::join!(select(1), select(2), select(3));
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    sqlx::query("PRAGMA cache_size = 100")
        .execute(pool)
        .await
        .unwrap();
}

#[test]
fn a_new_connection_of_a_pool_is_set_up_apart_from_the_queries_of_the_program() {
    runtime().block_on(async {
        let pool = SqlitePoolOptions::new().max_connections(3);
        let pool = pool.connect_lazy("sqlite::memory:").unwrap();
        opens_connections(&pool).await;
    });
    let report = one("opens_connections");
    let select = "SELECT ? + ?";
    let expected = [select, select, select, "PRAGMA cache_size = ?"];
    assert_eq!(statements(&report), expected, "{report}");
    assert_eq!(sources(&report), BTreeSet::from(["sqlite"]));
    assert!(report.findings.n_plus_one.is_empty(), "{report}");
    assert_eq!(report.of_libraries.len(), 3, "{report}");
    let is_setting =
        |query: &profiler_alloc::measure::Query| &*query.normalised == "PRAGMA foreign_keys = ON";
    assert!(report.of_libraries.iter().all(is_setting), "{report}");
}

const REQUESTS: usize = 64;

/// 128 KiB.
const UNIT: u32 = 17;

/// Allocates `number` times 128 KiB of its own, and asks `number` times, in several stretches.
#[profile]
#[ram_profiler]
#[elapsed_timer]
#[query_profiler(values)]
async fn page(State(pool): State<SqlitePool>, Path(number): Path<usize>) -> String {
    let own = black_box(vec![1u8; number << UNIT]); // own
    let mut sum = 0;
    for index in 0..number {
        let sql = "SELECT ?1 + ?2 AS sum";
        let query = sqlx::query_as(sql).bind(number as i64).bind(index as i64);
        let (number,): (i64,) = query.fetch_one(&pool).await.unwrap(); // in the handler
        sum += number;
        tokio::task::yield_now().await;
    }
    drop(own);
    format!("{sum} by {number}")
}

async fn get_page(address: std::net::SocketAddr, number: usize) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request =
        format!("GET /page/{number} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let sum = number * number + number * (number - 1) / 2;
    assert!(
        answer.ends_with(&format!("\r\n\r\n{sum} by {number}")),
        "{answer}"
    );
}

#[test]
fn each_of_64_concurrent_requests_has_its_own_queries_and_bytes() {
    runtime().block_on(async {
        let pool = SqlitePoolOptions::new().max_connections(4);
        let pool = pool.connect("sqlite::memory:").await.unwrap();
        // Opened here, or a request would open them, and run the queries for that.
        let (a, b) = tokio::join!(pool.acquire(), pool.acquire());
        let (c, d) = tokio::join!(pool.acquire(), pool.acquire());
        drop((a, b, c, d));
        let app = Router::new()
            .route("/page/{number}", get(page))
            .with_state(pool);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async { axum::serve(listener, app).await });
        let clients: Vec<_> = (1..=REQUESTS)
            .map(|number| tokio::spawn(get_page(address, number)))
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        server.abort();
    });
    let (mut asked, mut memory, mut times) = (BTreeSet::new(), Vec::new(), 0);
    for report in reports::take("page") {
        match report {
            Report::Query(report) => {
                let number = report.queries.len();
                for (index, query) in report.queries.iter().enumerate() {
                    assert_eq!(query.text(), format!("SELECT {number} + {index} AS sum"));
                    assert_eq!(query.place.line, line_of(FILE, "in the handler"));
                    assert!(query.elapsed_ns.is_some() && query.rows == Some(1));
                }
                assert!(asked.insert(number), "two reports of {number} queries");
            }
            Report::Ram(report) => memory.push(report.heap.unwrap()),
            Report::Elapsed(_) => times += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        (asked.len(), memory.len(), times),
        (REQUESTS, REQUESTS, REQUESTS)
    );
    assert_eq!((asked.first(), asked.last()), (Some(&1), Some(&REQUESTS)));
    // Each request's peak of its own memory is what it took, and what sqlx needs for a query.
    let mut peaks: Vec<i64> = memory.iter().map(|heap| heap.own_peak).collect();
    peaks.sort_unstable();
    for (number, peak) in (1..).zip(peaks) {
        let more = peak - (number << UNIT);
        assert!(
            (0..1 << UNIT).contains(&more),
            "request {number}: {more} bytes more"
        );
    }
    let table = profiler_alloc::measure::profiles();
    let table = table
        .iter()
        .find(|table| table.function.ends_with("::page"))
        .unwrap();
    let own = table
        .lines
        .iter()
        .find(|line| line.number == line_of(FILE, "own"))
        .unwrap();
    assert_eq!(
        own.increment,
        Some((1..=REQUESTS as i64).sum::<i64>() << UNIT)
    );
}
