//! Queries of SQLite through rusqlite: what a report says of each, and of all.

#![forbid(unsafe_code)]

mod reports;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use profiler_alloc::measure::{Budget, QueryProfiler};
use profiler_alloc::queries::{Handle, install_sqlite};
use profiler_alloc::{
    ProfilerAlloc, assert_num_queries, budget, elapsed_timer, profile, query_profiler, ram_profiler,
};
use reports::{line_of, one, queries, statements};
use rusqlite::Connection;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

const FILE: &str = include_str!("sqlite.rs");

/// A database with 100 rows in table `t`: (id, name).
fn database() -> Connection {
    reports::keep();
    install_sqlite().unwrap();
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, size INTEGER);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
         INSERT INTO t SELECT i, 'name ' || i, i % 10 FROM n;",
    )
    .unwrap();
    db
}

fn name_of(db: &Connection, id: i64) -> String {
    let mut statement = db
        .prepare_cached("SELECT name FROM t WHERE id = ?1")
        .unwrap();
    statement.query_row([id], |row| row.get(0)).unwrap()
}

#[query_profiler]
fn tells_all(db: &mut Connection) -> rusqlite::Result<()> {
    let transaction = db.transaction()?; // begin
    let changed = transaction.execute(
        "UPDATE t SET size = size + 1 WHERE id <= ?1", // not the first line
        [7],
    )?;
    assert_eq!(changed, 7);
    {
        let mut names = transaction.prepare("SELECT name FROM t WHERE size > 3")?;
        let names = names.query_map([], |row| row.get(0))?;
        let names: Vec<String> = names.collect::<Result<_, _>>()?; // collect
        assert!(names.len() > 50);
    }
    transaction.rollback() // rollback
}

#[test]
fn every_statement_has_its_time_its_rows_its_line_and_its_heap() {
    let mut db = database();
    tells_all(&mut db).unwrap();
    let report = one("tells_all");
    assert_eq!(
        statements(&report),
        [
            "BEGIN DEFERRED",
            "UPDATE t SET size = size + ? WHERE id <= ?",
            "SELECT name FROM t WHERE size > ?",
            "ROLLBACK",
        ]
    );
    let lines: Vec<u32> = report
        .queries
        .iter()
        .map(|query| query.place.line)
        .collect();
    let expected = [
        line_of(FILE, "begin"),
        line_of(FILE, "not the first line") - 1,
        line_of(FILE, "collect"),
        line_of(FILE, "rollback"),
    ];
    assert_eq!(lines, expected);
    let [_, update, select, _] = &report.queries[..] else {
        unreachable!()
    };
    assert!(select.place.is_exact && select.place.file.ends_with("tests/sqlite.rs"));
    assert_eq!((update.rows, select.rows), (Some(7), Some(61)));
    assert_eq!(
        (update.full_scan, select.full_scan),
        (Some(false), Some(true))
    );
    // The names, of 6 or 7 bytes, and the list they are put into.
    let heap = select.allocated.unwrap();
    assert!((6 * 61..20_000).contains(&heap), "{heap}");
    assert!(
        report
            .queries
            .iter()
            .all(|query| query.elapsed_ns.is_some_and(|ns| ns > 0))
    );
    assert_eq!(report.findings.full_scans, [2]);
    let times: Vec<u64> = report
        .queries
        .iter()
        .filter_map(|query| query.elapsed_ns)
        .collect();
    assert_eq!(report.total_ns(), times.iter().sum::<u64>());
    assert!(report.queries.iter().all(|query| query.sql.is_none()));
}

#[query_profiler(values)]
fn shows_values(db: &Connection) {
    name_of(db, 7);
    db.execute("DELETE FROM t WHERE name = 'none'", []).unwrap();
}

#[query_profiler]
fn hides_values(db: &Connection) {
    shows_values(db);
}

#[test]
fn values_are_hidden_unless_asked_for() {
    hides_values(&database());
    let (inner, outer) = (one("shows_values"), one("hides_values"));
    let shown: Vec<_> = inner.queries.iter().map(|query| query.text()).collect();
    assert_eq!(
        shown,
        [
            "SELECT name FROM t WHERE id = 7",
            "DELETE FROM t WHERE name = 'none'"
        ]
    );
    assert_eq!(
        statements(&outer),
        [
            "SELECT name FROM t WHERE id = ?",
            "DELETE FROM t WHERE name = ?"
        ]
    );
    let (text, json) = (
        outer.to_string(),
        profiler_alloc::measure::Report::Query(outer).to_json(),
    );
    assert!(
        !text.contains("none") && !json.contains("none"),
        "{text}{json}"
    );
}

#[query_profiler(values)]
fn again_and_again(db: &Connection) {
    for id in [1, 2, 3, 3] {
        name_of(db, id); // in the loop
    }
    name_of(db, 3);
    db.query_row("SELECT 1 -- one", [], |_| Ok(())).unwrap();
    db.query_row("SELECT 1 -- one", [], |_| Ok(())).unwrap();
}

#[test]
fn the_same_queries_are_found() {
    again_and_again(&database());
    let report = one("again_and_again");
    let found = &report.findings;
    let groups = |findings: &[profiler_alloc::measure::Finding]| -> Vec<Vec<usize>> {
        findings
            .iter()
            .map(|finding| finding.queries.clone())
            .collect()
    };
    assert_eq!(groups(&found.duplicates), [vec![2, 3, 4], vec![5, 6]]);
    assert_eq!(groups(&found.similar), [vec![0, 1, 2, 3, 4], vec![5, 6]]);
    assert_eq!(groups(&found.n_plus_one), [vec![0, 1, 2, 3]]);
    let place = found.n_plus_one[0].place.unwrap();
    assert_eq!(place.line, line_of(FILE, "in the loop"));
    let text = report.to_string();
    let line = format!(
        "tests/sqlite.rs:{}: SELECT name FROM t WHERE id = ?",
        place.line
    );
    assert!(
        text.contains("QUERIES :: N+1: 3\nQUERIES ::   4 times from"),
        "{text}"
    );
    assert!(text.contains(&line), "{text}");
}

#[query_profiler(slow = "0ns", explain)]
fn explains(db: &Connection) {
    name_of(db, 1);
    db.query_row("SELECT count(*) FROM t WHERE size = 3", [], |_| Ok(()))
        .unwrap();
}

#[query_profiler(slow = "1 min", explain)]
fn has_nothing_to_explain(db: &Connection) {
    name_of(db, 1);
}

#[test]
fn slow_queries_are_explained() {
    let db = database();
    explains(&db);
    has_nothing_to_explain(&db);
    let report = one("explains");
    assert_eq!(report.findings.slow, [0, 1]);
    assert!(report.queries[0].plan[0].starts_with("SEARCH t USING INTEGER PRIMARY KEY"));
    assert_eq!(report.queries[1].plan, ["SCAN t"]);
    assert!(
        report
            .to_string()
            .contains("CALLED QUERY :: plan: SCAN t\n")
    );
    let quick = one("has_nothing_to_explain");
    assert!(quick.findings.slow.is_empty() && quick.queries[0].plan.is_empty());
}

#[query_profiler]
fn has_triggers(db: &Connection) {
    db.execute("INSERT INTO t (id, name) VALUES (1000, 'x')", [])
        .unwrap();
    db.query_row("-- a comment first\nSELECT 1", [], |_| Ok(()))
        .unwrap();
}

#[test]
fn steps_of_triggers_are_no_queries_and_comments_do_no_harm() {
    let db = database();
    db.execute_batch(
        "CREATE TABLE log (id);
         CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.id); END;",
    )
    .unwrap();
    has_triggers(&db);
    assert_eq!(
        statements(&one("has_triggers")),
        ["INSERT INTO t(id, name) VALUES (?, …)", "SELECT ?"]
            .map(|sql| sql.replace("t(id", "t (id"))
    );
}

#[query_profiler]
fn panics(db: &Connection) {
    name_of(db, 1);
    panic!("in the middle");
}

#[test]
fn a_panic_reports_too() {
    let db = database();
    assert!(catch_unwind(AssertUnwindSafe(|| panics(&db))).is_err());
    assert_eq!(statements(&one("panics")).len(), 1);
}

#[query_profiler]
fn nested(db: &Connection) {
    name_of(db, 1);
    nested_inside(db); // calls
    name_of(db, 2);
}

#[query_profiler]
fn nested_inside(db: &Connection) {
    db.execute_batch("SAVEPOINT a; RELEASE a").unwrap();
}

#[test]
fn an_outer_scope_has_the_queries_of_an_inner_one_too() {
    nested(&database());
    assert_eq!(
        statements(&one("nested_inside")),
        ["SAVEPOINT a", "RELEASE a"]
    );
    let outer = one("nested");
    assert_eq!(
        statements(&outer)[1..3],
        ["SAVEPOINT a", "RELEASE a"],
        "in the order in which they ran"
    );
    assert_eq!(outer.count(), 4);
    assert!(outer.queries[1].place.line > line_of(FILE, "calls"));
}

#[profile]
#[query_profiler]
#[budget(max_queries = 100_000)]
#[ram_profiler(summary)]
#[elapsed_timer(summary)]
fn recurses(db: &Connection, depth: i64) -> i64 {
    let here = name_of(db, depth % 100 + 1).len() as i64; // recursion
    match depth {
        0 => here,
        _ => here + recurses(db, depth - 1),
    }
}

#[test]
fn a_deep_recursion_is_one_report() {
    let depth = 10_000;
    let deep = move || recurses(&database(), depth);
    let thread = thread::Builder::new()
        .stack_size(1 << 30)
        .spawn(deep)
        .unwrap();
    thread.join().unwrap();
    let report = one("recurses");
    assert_eq!((report.count(), report.inner_calls), (10_001, 10_000));
    let finding = &report.findings.n_plus_one[0];
    assert_eq!(finding.queries.len(), 10_001);
    assert_eq!(finding.place.unwrap().line, line_of(FILE, "recursion"));
}

#[query_profiler(summary)]
fn summed_up(db: &Connection, ids: std::ops::Range<i64>) {
    ids.for_each(|id| drop(name_of(db, id)));
}

#[test]
fn many_calls_are_summed_up() {
    let db = database();
    summed_up(&db, 1..2);
    summed_up(&db, 1..4);
    profiler_alloc::measure::report();
    let Some(profiler_alloc::measure::Report::QuerySummary(summary)) =
        reports::take("summed_up").pop()
    else {
        panic!("no summary");
    };
    assert_eq!(
        (
            summary.queries.count,
            summary.queries.max,
            summary.queries.total
        ),
        (2, 3, 4)
    );
    assert_eq!(summary.calls_with_n_plus_one, 1);
    assert_eq!(
        summary.statements,
        [("SELECT name FROM t WHERE id = ?".into(), 4)]
    );
    assert!(
        summary.to_string().contains("QUERIES :: median: 1 queries"),
        "{summary}"
    );
}

#[test]
fn closures_and_scopes_measure_the_middle_of_a_function() {
    let db = database();
    name_of(&db, 1);
    let answer = query_profiler("a closure", || name_of(&db, 2)); // closure
    assert_eq!(answer, "name 2");
    let scope = QueryProfiler::start_with_values("a scope");
    name_of(&db, 3);
    drop(scope);
    name_of(&db, 4);
    let (closure, scope) = (one("a closure"), one("a scope"));
    assert_eq!(scope.queries[0].text(), "SELECT name FROM t WHERE id = 3");
    let place = closure.queries[0].place;
    assert_eq!(
        (place.line, place.is_exact),
        (line_of(FILE, "closure"), false)
    );
    assert!(closure.to_string().contains("line: in the scope of "));
}

#[test]
fn a_thread_is_handed_the_scope() {
    database();
    query_profiler("handed", || {
        let handle = Handle::current();
        thread::scope(|scope| {
            scope.spawn(|| handle.run(|| name_of(&database(), 1)));
            scope.spawn(|| name_of(&database(), 2));
        });
    });
    let report = one("handed");
    // The database that the first thread opened, and the name it asked for.
    assert_eq!(
        statements(&report).last(),
        Some(&"SELECT name FROM t WHERE id = ?")
    );
    assert_eq!(report.count(), 3, "{report}");
}

#[query_profiler]
fn in_a_closure(db: &Connection) -> usize {
    let lengths = [1, 2].map(|id| {
        let name = name_of(db, id); // inside
        name.len()
    });
    lengths.len() + name_of(db, 3).len() // after
}

struct AsksWhenDropped<'a>(&'a Connection);

impl Drop for AsksWhenDropped<'_> {
    fn drop(&mut self) {
        name_of(self.0, 1);
    }
}

#[query_profiler]
fn asks_at_its_end(db: &Connection) -> usize {
    let _asks = AsksWhenDropped(db);
    if name_of(db, 1).is_empty() {
        return 0;
    }
    match name_of(db, 2).len() {
        0 => 0,
        length => {
            length + name_of(db, 3).len() // in an arm
        }
    }
} // the brace

#[test]
fn lines_are_those_of_the_source() {
    let db = database();
    in_a_closure(&db);
    asks_at_its_end(&db);
    let lines = |label| -> Vec<u32> {
        one(label)
            .queries
            .iter()
            .map(|query| query.place.line)
            .collect()
    };
    let (inside, after) = (line_of(FILE, "inside"), line_of(FILE, "after"));
    assert_eq!(lines("in_a_closure"), [inside, inside, after]);
    let (arm, brace) = (line_of(FILE, "in an arm"), line_of(FILE, "the brace"));
    assert_eq!(lines("asks_at_its_end"), [arm - 6, arm - 3, arm, brace]);
}

#[budget(max_queries = 2)]
fn asks_too_often(db: &Connection) {
    for id in 1..=3 {
        name_of(db, id); // too often
    }
}

#[test]
fn budgets_name_the_queries() {
    let db = database();
    let told = catch_unwind(AssertUnwindSafe(|| asks_too_often(&db))).unwrap_err();
    let told = told.downcast_ref::<String>().unwrap();
    let line = line_of(FILE, "too often");
    let expected = format!(
        "asks_too_often broke its budget\nmax_queries: limit 2, used 3\nqueries:\n     3 times  \
         examples/databases/tests/sqlite.rs:{line} (SELECT name FROM t WHERE id = ?)"
    );
    assert_eq!(told, &expected);
    let length = assert_num_queries!(2, || name_of(&db, 1).len() + name_of(&db, 2).len());
    assert_eq!(length, 12);
    let broken = Budget::new()
        .num_queries(1)
        .check(|| db.execute_batch("SELECT 1; SELECT 2"));
    let broken = broken.unwrap_err();
    assert!(
        broken
            .to_string()
            .starts_with("queries: expected 1, used 2\nqueries:\n     2 times"),
        "{broken}"
    );
    assert!(
        Budget::new()
            .max_queries(2)
            .check(|| name_of(&db, 1))
            .is_ok()
    );
}

#[query_profiler(values)]
fn hostile(db: &Connection) {
    db.query_row(
        "SELECT '\u{1b}[2J\u{202e}\n' AS \"\u{1b}[31mred\"",
        [],
        |_| Ok(()),
    )
    .unwrap();
}

#[test]
fn nothing_in_sql_steers_the_terminal() {
    hostile(&database());
    let report = one("hostile");
    let text = report.to_string();
    assert!(
        !text.contains(['\u{1b}', '\u{202e}']) && text.contains("\\u{1b}[31mred"),
        "{text}"
    );
    let json = profiler_alloc::measure::Report::Query(report).to_json();
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["kind"], "query");
    assert!(
        value["queries"][0]["sql"]
            .as_str()
            .unwrap()
            .contains("\u{1b}[2J")
    );
    assert_eq!(value["queries"][0]["rows"], 1);
    assert_eq!(value["full_scans"], serde_json::json!([]));
}

#[query_profiler(limit = 2)]
fn many(db: &Connection) {
    (1..=5).for_each(|id| drop(name_of(db, id)));
}

#[test]
fn queries_beyond_the_limit_are_counted() {
    many(&database());
    let report = one("many");
    let text = report.to_string();
    assert_eq!(text.matches("CALLED QUERY :: [").count(), 2);
    assert!(
        text.contains("… 3 more") && text.contains("QUERIES :: count: 5\n"),
        "{text}"
    );
}

#[test]
fn queries_outside_of_scopes_belong_to_none() {
    let db = database();
    let mut statement = db.prepare("SELECT id FROM t").unwrap();
    // Begun outside, and over inside.
    let mut rows = statement.query([]).unwrap();
    rows.next().unwrap();
    query_profiler("outside", || {
        rows.next().unwrap();
        drop(rows);
    });
    assert_eq!(one("outside").count(), 0);
    // Begun inside, and not over there.
    let mut rows = statement.query([]).unwrap();
    query_profiler("not over", || assert!(rows.next().unwrap().is_some()));
    assert_eq!(one("not over").queries[0].elapsed_ns, None);
    assert!(queries("outside").is_empty());
}
