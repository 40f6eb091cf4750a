//! Events of `tracing` as toasty 0.11, libsql 0.10 and turso 0.8 give them. With the clients
//! themselves: `examples/clients`.

#![forbid(unsafe_code)]

#[allow(dead_code, reason = "part of it is for other tests")]
mod reports;

use profiler_alloc::queries::{Source, install_sqlx};
use profiler_alloc::query_profiler;
use reports::{one, statements};
use tracing::field::display;

#[query_profiler(values)]
fn by_events() {
    let statement = |sql| Some(display(sql));
    tracing::debug!(
        target: "toasty::query", duration_ms = 1.5, rows = Some(2u64), error = None::<tracing::field::DisplayValue<&str>>,
        db.system = display("postgresql"), db.statement = statement("SELECT \"a\" FROM \"t\" WHERE \"b\" = $1"),
        db.params = Some(display("[7]")), "query executed"
    );
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
    tracing::debug!(target: "turso_core::connection", "Starting trigger execution: t");
    tracing::debug!(target: "elsewhere", "Preparing: SELECT 4");
}

#[test]
fn events_of_other_clients_are_queries() {
    reports::keep();
    install_sqlx().unwrap();
    by_events();
    let report = one("by_events");
    let expected = [
        "SELECT \"a\" FROM \"t\" WHERE \"b\" = ?",
        "SELECT ? FROM u",
        "SELECT a FROM t WHERE b = ?",
        "SELECT ?; SELECT ?",
        "SELECT ?",
    ];
    assert_eq!(statements(&report), expected, "{report}");
    let [toasty, failed, libsql, _, turso] = &report.queries[..] else {
        unreachable!("five, as above")
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
    assert!(
        report.to_string().contains("executed time: not told\n"),
        "{report}"
    );
}
