//! What SQLite tells oddly: statements that begin twice, rows of others, SQL that nobody wrote.

#![forbid(unsafe_code)]

mod reports;

use profiler_alloc::queries::install_sqlite;
use profiler_alloc::{assert_num_queries, budget, query_profiler};
use reports::{line_of, one, statements};
use rusqlite::{Connection, TransactionBehavior};

const FILE: &str = include_str!("sqlite_odd.rs");

/// A database in memory.
fn database(sql: &str) -> Connection {
    reports::keep();
    install_sqlite().unwrap();
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(sql).unwrap();
    db
}

/// Ten parents with two children each, that go or change with them.
fn family(action: &str) -> Connection {
    database(&format!(
        "PRAGMA foreign_keys = ON;
         CREATE TABLE parents (id INTEGER PRIMARY KEY);
         CREATE TABLE children (id INTEGER PRIMARY KEY, parent INTEGER DEFAULT 1 REFERENCES parents {action});
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10)
         INSERT INTO parents SELECT i FROM n;
         INSERT INTO children (parent) SELECT id FROM parents UNION ALL SELECT id FROM parents;"
    ))
}

#[budget(max_queries = 1)]
#[query_profiler]
fn changes_parents(db: &Connection, sql: &str) {
    db.execute(sql, []).unwrap(); // deletes
}

#[test]
fn what_a_statement_does_for_foreign_keys_is_no_query() {
    let delete = "DELETE FROM parents WHERE id > 1";
    for (action, sql, rows) in [
        ("ON DELETE CASCADE", delete, 9),
        ("ON DELETE SET NULL", delete, 9),
        ("ON DELETE SET DEFAULT", delete, 9),
        (
            "ON UPDATE CASCADE",
            "UPDATE parents SET id = id + 100 WHERE id > 1",
            9,
        ),
        (
            "ON DELETE CASCADE",
            "REPLACE INTO parents VALUES (1), (2)",
            2,
        ),
    ] {
        changes_parents(&family(action), sql);
        let report = one("changes_parents");
        assert_eq!(report.count(), 1, "{action}: {report}");
        assert_eq!(report.queries[0].rows, Some(rows), "{action}: {report}");
        assert!(report.queries[0].elapsed_ns.is_some(), "{report}");
        assert_eq!(report.queries[0].place.line, line_of(FILE, "deletes"));
        assert!(report.findings.duplicates.is_empty(), "{report}");
    }
}

#[test]
fn a_statement_that_is_run_again_is_a_query_again() {
    let db = family("ON DELETE CASCADE");
    let mut delete = db.prepare("DELETE FROM parents WHERE id = ?").unwrap();
    query_profiler("run again", || {
        for id in 1..=3 {
            delete.execute([id]).unwrap();
        }
        // Given up in the middle, and begun again.
        let mut select = db.prepare("SELECT id FROM children").unwrap();
        for _ in 0..2 {
            assert!(select.query([]).unwrap().next().unwrap().is_some());
        }
    });
    let report = one("run again");
    let rows: Vec<_> = report.queries.iter().map(|query| query.rows).collect();
    assert_eq!(rows, [1, 1, 1, 1, 1].map(Some), "{report}");
}

#[query_profiler]
fn changes_nothing(db: &mut Connection) -> rusqlite::Result<()> {
    db.execute("UPDATE t SET b = 1", [])?;
    db.execute("CREATE INDEX i ON t(b)", [])?;
    db.execute("DROP INDEX i", [])?;
    db.transaction_with_behavior(TransactionBehavior::Immediate)?
        .commit()?;
    db.execute("PRAGMA user_version = 3", [])?;
    db.execute("CREATE TABLE u AS SELECT * FROM t", [])?;
    db.execute("ANALYZE", [])?;
    db.execute("VACUUM", [])?;
    db.execute("UPDATE t SET b = 2 WHERE a > 100", [])?;
    db.execute("INSERT INTO t VALUES (1, 1)", []).unwrap_err();
    db.execute("DELETE FROM t", [])?;
    db.execute("ALTER TABLE t RENAME TO v", [])?;
    db.execute("CREATE VIRTUAL TABLE w USING fts5(x)", [])?;
    Ok(())
}

#[test]
fn rows_are_those_of_the_statement_itself() {
    let mut db = database(
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b);
         INSERT INTO t(b) VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10);",
    );
    changes_nothing(&mut db).unwrap();
    let report = one("changes_nothing");
    let with_rows = |(index, query): (usize, &profiler_alloc::measure::Query)| {
        query
            .rows
            .filter(|&rows| rows > 0)
            .map(|rows| (index, rows))
    };
    let rows: Vec<_> = report
        .queries
        .iter()
        .enumerate()
        .filter_map(with_rows)
        .collect();
    assert_eq!(rows, [(0, 10), (11, 10)], "{report}");
    // `DROP` and `ALTER` step through the schema alone.
    assert_eq!(report.findings.full_scans, [0, 6], "{report}");
}

#[test]
fn a_statement_that_waits_for_a_lock_in_vain_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("locked.db");
    database("");
    let db = Connection::open(&file).unwrap();
    db.busy_timeout(std::time::Duration::ZERO).unwrap();
    db.execute_batch("CREATE TABLE t(a); INSERT INTO t VALUES (1), (2)")
        .unwrap();
    let other = Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    query_profiler("locked", || {
        db.execute("INSERT INTO t VALUES (3)", []).unwrap_err();
    });
    let report = one("locked");
    assert_eq!(report.queries[0].rows, Some(0), "{report}");
}

#[test]
fn a_statement_goes_on_after_another_connection_changed_the_schema() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shared.db");
    database("");
    let db = Connection::open(&file).unwrap();
    db.execute_batch(
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
         INSERT INTO t SELECT i, i % 7 FROM n;",
    )
    .unwrap();
    let mut select = db.prepare("SELECT a FROM t WHERE b > 0").unwrap();
    let mut empty = db.prepare("SELECT a FROM t WHERE b > 100").unwrap();
    let mut update = db.prepare("UPDATE t SET b = 8 WHERE b = 1").unwrap();
    let change = |number: u32| {
        let other = Connection::open(&file).unwrap();
        let sql = format!("CREATE TABLE more{number}(a)");
        other.execute_batch(&sql).unwrap();
    };
    let rows_of = |statement: &mut rusqlite::Statement<'_>| {
        let mut rows = statement.query([]).unwrap();
        let mut count = 0;
        while rows.next().unwrap().is_some() {
            count += 1;
        }
        count
    };
    change(1);
    query_profiler("selects", || assert_eq!(rows_of(&mut select), 8572));
    change(2);
    query_profiler("selects none", || assert_eq!(rows_of(&mut empty), 0));
    change(3);
    query_profiler("updates", || assert_eq!(update.execute([]).unwrap(), 1429));
    for (label, rows) in [("selects", 8572), ("selects none", 0), ("updates", 1429)] {
        let report = one(label);
        assert_eq!(
            (report.count(), report.queries[0].rows),
            (1, Some(rows)),
            "{report}"
        );
        assert_eq!(report.queries[0].full_scan, Some(true), "{report}");
        // 10,000 rows take longer than the schema.
        assert!(report.queries[0].elapsed_ns.unwrap() > 100_000, "{report}");
    }
}

#[test]
fn what_virtual_tables_run_for_themselves_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("virtual.db");
    database("");
    let db = Connection::open(&file).unwrap();
    db.execute_batch(
        "CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1); INSERT INTO boxes VALUES (1, 0, 1);
         CREATE VIRTUAL TABLE notes3 USING fts3(body); INSERT INTO notes3 VALUES ('a');
         CREATE VIRTUAL TABLE notes4 USING fts4(body); INSERT INTO notes4 VALUES ('a');
         CREATE VIRTUAL TABLE notes5 USING fts5(body); INSERT INTO notes5 VALUES ('a');",
    )
    .unwrap();
    for (table, of_its_own) in [
        (
            "boxes",
            "SELECT length(data) FROM 'main'.'boxes_node' WHERE nodeno = ?",
        ),
        ("notes3", "PRAGMA 'main'.page_size"),
        ("notes4", "PRAGMA 'main'.page_size"),
        ("notes5", "SELECT k, v FROM 'main'.'notes5_config'"),
    ] {
        let db = Connection::open(&file).unwrap();
        let sql = format!("SELECT * FROM {table}");
        for is_first in [true, false] {
            assert_num_queries!(1, || query_profiler("virtual", || {
                db.query_row(&sql, [], |_| Ok(())).unwrap();
            }));
            let report = one("virtual");
            assert_eq!(statements(&report), [sql.as_str()], "{report}");
            let own: Vec<_> = report
                .of_libraries
                .iter()
                .map(|query| &*query.normalised)
                .collect();
            assert_eq!(own, if is_first { vec![of_its_own] } else { vec![] });
            let line = "QUERIES :: run by libraries for themselves, not counted above: 1\n";
            assert_eq!(report.to_string().contains(line), is_first, "{report}");
        }
    }
}

#[query_profiler]
fn in_transactions(db: &mut Connection) {
    for id in [1, 2] {
        let transaction = db.transaction().unwrap();
        transaction
            .execute("INSERT INTO t VALUES (?)", [id])
            .unwrap();
        transaction.commit().unwrap();
    }
}

#[test]
fn beginning_and_ending_transactions_is_not_doing_the_same_twice() {
    in_transactions(&mut database("CREATE TABLE t(a)"));
    let report = one("in_transactions");
    assert_eq!(report.count(), 6);
    assert!(report.findings.duplicates.is_empty(), "{report}");
    assert_eq!(report.findings.similar.len(), 1, "{report}");
    assert_eq!(report.findings.similar[0].queries, [1, 4]);
}
