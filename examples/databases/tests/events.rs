//! What clients tell `tracing` of their queries, as it was recorded from sqlx 0.9.0, toasty 0.11.0,
//! libsql 0.10.0, turso 0.8.3, and mysql_async 0.37.1 with MariaDB 10.11. With clients themselves:
//! `examples/clients`.

#![forbid(unsafe_code)]

#[allow(dead_code, reason = "part of it is for other tests")]
mod reports;

use std::sync::Once;
use std::thread;
use std::time::Duration;

use profiler_alloc::queries::{Source, install_sqlx};
use profiler_alloc::query_profiler;
use reports::{one, statements};
use tracing::field::{DisplayValue, Empty, display};

fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        reports::keep();
        install_sqlx().unwrap();
    });
}

/// sqlx asks before it tells.
fn sqlx(summary: &str, statement: &str) {
    assert!(tracing::enabled!(target: "sqlx::query", tracing::Level::DEBUG));
    tracing::debug!(
        target: "sqlx::query", summary, db.statement = statement, rows_affected = 0u64, rows_returned = 3u64,
        elapsed = ?Duration::from_micros(1500), elapsed_secs = 0.0015
    );
}

#[query_profiler(values)]
fn by_events() {
    let statement = |sql| Some(display(sql));
    // On a task of its own, in a span of the one that asked.
    let span =
        tracing::debug_span!(target: "toasty::query", "query", stmt.kind = "query", model = Empty);
    span.record("model", "User");
    let told = thread::spawn(move || {
        let _inside = span.entered();
        tracing::debug!(
            target: "toasty::query", duration_ms = 1.5, rows = Some(2u64), error = None::<DisplayValue<&str>>,
            db.system = display("postgresql"), db.statement = statement("SELECT \"a\" FROM \"t\" WHERE \"b\" = $1"),
            db.params = Some(display("[7]")), "query executed"
        );
    });
    told.join().unwrap();
    tracing::warn!(
        target: "toasty::query", duration_ms = 2000.0, error = Some(display("no such table: u")),
        db.system = display("sqlite"), db.statement = statement("SELECT 'secret' FROM u"), "query failed"
    );
    tracing::debug!(
        target: "toasty::query", duration_ms = 1.0, db.system = display("dynamodb"),
        db.operation = display("get_by_key"), "query executed"
    );
    tracing::trace!(target: "libsql::connection", "preparing `SELECT a FROM t WHERE b = 'secret'`");
    tracing::trace!(target: "libsql::connection", "executing batch `SELECT 1; SELECT 2`");
    tracing::trace!(target: "libsql::connection", "starting deferred transaction");
    tracing::debug!(target: "turso_core::connection", "Preparing: SELECT 3");
    // What it asks for itself when it has made a table.
    tracing::debug!(
        target: "turso_core::connection",
        "Preparing: SELECT * FROM sqlite_schema WHERE tbl_name = 'secret' AND type != 'trigger'"
    );
    tracing::debug!(target: "turso_core::connection", "Starting trigger execution: t");
    tracing::debug!(target: "elsewhere", "Preparing: SELECT 4");
    sqlx(
        "SELECT a",
        "\n\nSELECT\n  a,\n  b\nFROM\n  t\nWHERE\n  b = 'secret'\n",
    );
    sqlx("SELECT a FROM t", "");
}

#[test]
fn events_of_other_clients_are_queries() {
    install();
    by_events();
    let report = one("by_events");
    let expected = [
        "SELECT \"a\" FROM \"t\" WHERE \"b\" = ?",
        "SELECT ? FROM u",
        "SELECT a FROM t WHERE b = ?",
        "SELECT ?; SELECT ?",
        "SELECT ?",
        "SELECT a, b FROM t WHERE b = ?",
        "SELECT a FROM t",
    ];
    assert_eq!(statements(&report), expected, "{report}");
    assert_eq!(report.of_libraries.len(), 1, "{report}");
    let [toasty, failed, libsql, _, turso, sqlx, _] = &report.queries[..] else {
        unreachable!("seven, as above")
    };
    assert_eq!(toasty.source, Source::Toasty);
    assert_eq!(
        (toasty.elapsed_ns, toasty.rows, toasty.failed),
        (Some(1_500_000), Some(2), Some(false))
    );
    assert!(toasty.text().ends_with("WHERE \"b\" = $1 -- values: [7]"));
    assert_eq!(
        (failed.failed, report.findings.slow.as_slice()),
        (Some(true), &[1][..])
    );
    assert_eq!(
        (libsql.source, turso.source),
        (Source::Other("libsql"), Source::Other("turso"))
    );
    assert_eq!(
        (sqlx.source, sqlx.elapsed_ns, sqlx.rows, sqlx.failed),
        (Source::Sqlx, Some(1_500_000), Some(3), None)
    );
    assert!(
        report.to_string().contains("executed time: not told\n"),
        "{report}"
    );
}

/// What mysql_async tells of each command, on a connection of that number.
mod mysql {
    use super::*;

    fn fail(error: &str) {
        tracing::warn!(target: "mysql_async::conn::routines::exec", error = %error);
    }

    pub fn query(connection: u32, sql: &str) {
        let span = tracing::info_span!(
            target: "mysql_async::conn::routines::query", "mysql_async::query",
            mysql_async.connection.id = connection, mysql_async.query.sql = Empty
        );
        span.record("mysql_async.query.sql", sql);
        span.in_scope(|| {});
    }

    pub fn connect(connection: u32) {
        let pool =
            tracing::debug_span!(target: "mysql_async::conn::pool::futures::get_conn", "get_conn");
        pool.in_scope(|| {
            let span = tracing::trace_span!(
                target: "mysql_async::conn::routines::query", "mysql_async::query",
                mysql_async.connection.id = connection, mysql_async.query.sql = Empty
            );
            span.record(
                "mysql_async.query.sql",
                "SELECT @@max_allowed_packet,@@wait_timeout,@@socket",
            );
        });
    }

    pub fn prepare(connection: u32, statement: Option<u32>, sql: &str) {
        let span = tracing::info_span!(
            target: "mysql_async::conn::routines::prepare", "mysql_async::prepare",
            mysql_async.connection.id = connection, mysql_async.statement.id = Empty, mysql_async.query.sql = Empty
        );
        span.record("mysql_async.query.sql", sql);
        span.in_scope(|| match statement {
            Some(statement) => {
                tracing::Span::current().record("mysql_async.statement.id", statement);
            }
            None => tracing::error!(
                target: "mysql_async::conn::routines::prepare",
                error = %"Server error: `ERROR 1146 (42S02): Table 't.nowhere' doesn't exist'"
            ),
        });
    }

    pub fn execute(connection: u32, statement: u32, values: &str, error: Option<&str>) {
        let span = tracing::info_span!(
            target: "mysql_async::conn::routines::exec", "mysql_async::exec",
            mysql_async.connection.id = connection, mysql_async.statement.id = statement,
            mysql_async.query.params = Empty
        );
        span.in_scope(|| {
            tracing::Span::current().record("mysql_async.query.params", values);
            error.into_iter().for_each(fail);
        });
    }
}

#[query_profiler(values)]
fn by_spans() {
    mysql::connect(8);
    mysql::query(4, "SELECT id FROM users WHERE name <> \"secret\"");
    for values in ["1, ", "2, ", "2, "] {
        mysql::execute(4, 2, values, None);
    }
    mysql::prepare(8, Some(2), "INSERT INTO users VALUES (?, ?)");
    let error = "Server error: `ERROR 1062 (23000): Duplicate entry '1' for key 'PRIMARY''";
    mysql::execute(8, 2, "1, 'Ada', ", Some(error));
    mysql::prepare(8, None, "SELECT nothing FROM nowhere WHERE a = ?");
    mysql::execute(9, 7, "", None);
    mysql::execute(9, 8, "", None);
}

#[test]
fn spans_of_queries_are_queries_and_what_is_prepared_before_the_scope_is_known() {
    install();
    mysql::prepare(4, Some(2), "SELECT name FROM users WHERE id = ?");
    mysql::execute(4, 2, "9, ", None);
    by_spans();
    let report = one("by_spans");
    let select = "SELECT name FROM users WHERE id = ?";
    let expected = [
        "SELECT id FROM users WHERE name <> ?",
        select,
        select,
        select,
        "INSERT INTO users VALUES (?, …)",
        "SELECT nothing FROM nowhere WHERE a = ?",
        "EXECUTE statement_7_of_connection_9",
        "EXECUTE statement_8_of_connection_9",
    ];
    assert_eq!(statements(&report), expected, "{report}");
    assert_eq!(report.of_libraries.len(), 1, "{report}");
    let failed: Vec<_> = report
        .queries
        .iter()
        .map(|query| query.failed == Some(true))
        .collect();
    assert_eq!(
        failed,
        [false, false, false, false, true, true, false, false]
    );
    let source = Source::Other("mysql_async");
    assert!(
        report
            .queries
            .iter()
            .all(|query| query.source == source && query.elapsed_ns.is_some())
    );
    assert_eq!(
        report.queries[4].text(),
        "INSERT INTO users VALUES (?, ?) -- values: 1, 'Ada'"
    );
    let found = &report.findings;
    assert_eq!(found.duplicates[0].queries, [2, 3], "{report}");
    assert_eq!(found.n_plus_one[0].queries, [1, 2, 3], "{report}");
}
