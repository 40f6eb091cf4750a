//! What is shown of statements, and which are one shape.

use super::*;

fn shown(sql: &str, dialect: Dialect) -> String {
    normalise(sql, dialect).text
}

fn is_one_shape(statements: &[&str]) {
    let shape = |sql: &str| normalise(sql, Dialect::PostgreSql).shape;
    for other in &statements[1..] {
        assert_eq!(
            shape(statements[0]),
            shape(other),
            "{} and {other}",
            statements[0]
        );
    }
}

#[test]
fn values_are_taken_out() {
    let normal = |sql| shown(sql, Dialect::Unknown);
    assert_eq!(
        normal("SELECT  *\nFROM t1 WHERE a = 'it''s' -- b\n AND c=-1.5e-3;"),
        "SELECT * FROM t1 WHERE a = ? AND c=?"
    );
    assert_eq!(
        normal("select $1, ?2, :name, @x, a.b, a - 1, a-1, (-1), - 2"),
        "select ?, ?, ?, ?, a.b, a - ?, a-?, (?), ?"
    );
    assert_eq!(
        normal("x IN (1,2, 3) or y in (?)"),
        "x IN (?, …) or y in (?)"
    );
    assert_eq!(
        normal("INSERT INTO t(a,b) VALUES (x'00', N'')"),
        "INSERT INTO t(a, b) VALUES (?, …)"
    );
    assert_eq!(
        normal("SAVEPOINT `s4377609600_x5`"),
        "SAVEPOINT `s4377609600_x5`"
    );
    assert_eq!(normal("SELECT f(1, 'ä')"), "SELECT f(?, …)");
    assert_eq!(
        normal("UPDATE t SET a = NULL WHERE b IS NULL AND c = TRUE"),
        "UPDATE t SET a = ? WHERE b IS NULL AND c = ?"
    );
}

#[test]
fn dialects_end_texts_and_comments_elsewhere() {
    use Dialect::{MySql, Oracle, PostgreSql, PostgreSqlOrMySql, Sqlite, Unknown};
    for (dialect, sql, expected) in [
        (MySql, r"a = 'O\'Neil' AND b = 'x'", "a = ? AND b = ?"),
        (Unknown, r"a = 'O\'Neil' AND b = 'x'", "a = …"),
        (Sqlite, r"a = 'C:\' AND b = 'x'", "a = ? AND b = ?"),
        // Two modes of the server, which both make sense.
        (MySql, r"a = 'b\' AND c = 'd', 'e' -- f'", "a = …"),
        (MySql, "a # it's\n, 'x'", "a, ?"),
        (PostgreSql, "a #> 'x' # 1", "a #> ? # ?"),
        (Unknown, "a # it's\n, 'x'", "a …"),
        (PostgreSql, "a /* b /* 'c' */ d */, 'x'", "a, ?"),
        (Sqlite, "a /* b /* 'c' */, 'x' ", "a, ?"),
        (Unknown, "a /* b /* 'c' */ d */, 'x'", "a …"),
        (Unknown, "a /*/ 'b' */, 'x' ", "a, ?"),
        (MySql, "a /*!40101 , 'x' */", "a …"),
        (MySql, "5--1", "?-?"),
        (PostgreSql, "5--1\n+ 'x'", "? + ?"),
        (PostgreSql, "-- a\r'x'", "?"),
        (Unknown, "-- a\r\n'x'", "?"),
        (Oracle, "q'[it's x]', nq'{'}', q'!x!'", "?, ?, ?"),
        (Unknown, "a, q'[it's x]'", "a, …"),
        (
            PostgreSql,
            "$$it's$$, $q$ $$ $q$, $1::int, a$$b",
            "?, ?, ?::int, a$$b",
        ),
        (Unknown, "a, $$it's$$, 'x'", "a, …"),
        (PostgreSql, "E'it\\'s', 'x'", "?, ?"),
        (PostgreSql, "E'a'\n -- b\n 'it\\'s x'", "?"),
        (
            PostgreSql,
            "U&'d\\0061' UESCAPE '!', \"a\"\"'b\"",
            "? UESCAPE ?, \"a\"\"'b\"",
        ),
        (
            MySql,
            "\"it\\\"s x\", `a b`, N'x', _utf8'x'",
            "?, `a b`, ?, _utf8?",
        ),
        (
            Sqlite,
            "SELECT \"x\", \"t\".\"a\" FROM \"t\"",
            "SELECT ?, \"t\".\"a\" FROM \"t\"",
        ),
        (
            Sqlite,
            "INSERT INTO \"t\" (\"a\") VALUES (\"x\")",
            "INSERT INTO \"t\" (\"a\") VALUES (?)",
        ),
        (
            Sqlite,
            "UPDATE \"t\" SET \"a\" = \"x\", \"b\" = 1",
            "UPDATE \"t\" SET \"a\" = ?, ? = ?",
        ),
        (
            Unknown,
            "trim(LEADING FROM \"x\") FROM \"t\"",
            "trim(LEADING FROM ?) FROM \"t\"",
        ),
        (Sqlite, "FROM [it's a name], 'x'", "FROM [it's a name], ?"),
        (Unknown, "FROM [it's a name], 'x'", "FROM …"),
        (
            PostgreSql,
            "a[1:n], a[:n], ARRAY['a', 'b'][1]",
            "a[?:n], a[:n], ARRAY[?, …][?]",
        ),
        (Unknown, "a[1:2], 'x'", "a[??], ?"),
        (
            PostgreSqlOrMySql,
            "SELECT \"a\" WHERE b = $1",
            "SELECT \"a\" WHERE b = ?",
        ),
        (
            PostgreSqlOrMySql,
            "SELECT \"x\" FROM `b`",
            "SELECT ? FROM `b`",
        ),
        (
            PostgreSqlOrMySql,
            "SELECT \"x\" WHERE b = ?",
            "SELECT ? WHERE b = ?",
        ),
        (PostgreSql, "data ? 'x' AND b = $1", "data ? ? AND b = ?"),
    ] {
        assert_eq!(shown(sql, dialect), expected, "{dialect:?}: {sql}");
    }
}

#[test]
fn what_never_ends_ends() {
    let dialects = [
        Dialect::Sqlite,
        Dialect::PostgreSql,
        Dialect::MySql,
        Dialect::Oracle,
        Dialect::Unknown,
    ];
    for text in [
        "'",
        "\"",
        "/*",
        "$$",
        "$a$",
        "E'\\",
        "[",
        "x'",
        "--",
        "'ä",
        "1e",
        "$",
        ":",
        "ä'",
        "q'",
        "q'ä",
        "'''",
        "'\\ä",
        "/*/",
        "))",
        "((((((((((((((((((((1",
        "]",
        ".",
        "1e-",
        "-",
        "N'",
        "`",
        "#",
        "\"ä",
    ] {
        for dialect in dialects {
            normalise(text, dialect);
        }
    }
    assert_eq!(shown("SELECT 'secret", Dialect::Unknown), "SELECT ?");
}

#[test]
fn lists_and_rows_of_any_length_are_one_shape() {
    is_one_shape(&[
        "SELECT * FROM t WHERE id IN (1)",
        "select * from \"t\" where id in (2, -3, NULL)",
        "SELECT * FROM t WHERE id IN ($1,$2); -- c",
    ]);
    is_one_shape(&[
        "INSERT INTO t VALUES (1, 'a')",
        "INSERT INTO t VALUES (1, 'a'), (2, NULL)",
        "INSERT INTO t VALUES (1, 'a'), (-2, 'b'), (TRUE, $1)",
    ]);
    is_one_shape(&[
        "INSERT INTO t VALUES (1, now())",
        "INSERT INTO t VALUES (1, now()), (2, now())",
    ]);
    is_one_shape(&["a BETWEEN -1 AND -1", "a BETWEEN 1 AND 2"]);
    is_one_shape(&["SELECT a FROM t LIMIT -1", "SELECT a FROM t LIMIT 10"]);
    is_one_shape(&["(a, b) IN ((1, 2))", "(a, b) IN ((1, 2), (3, 4))"]);
    is_one_shape(&["SELECT ARRAY[1]", "SELECT ARRAY[1, 2]"]);
    is_one_shape(&["id IN ($1::uuid)", "id IN ($1::uuid, $2::uuid)"]);
    let shown = |sql| shown(sql, Dialect::PostgreSql);
    assert_eq!(shown("VALUES (1, 2), (3, 4), (5, 6)"), "VALUES (?, …), …");
    assert_eq!(shown("VALUES (a, 2), (b, 4)"), "VALUES (a, ?), (b, ?)");
    assert_eq!(shown("x IN ((1, 2), (3, 4)) AND y"), "x IN (?, …) AND y");
    assert_eq!(shown("f(1) = f(1, 2)"), "f(?) = f(?, …)");
}

#[test]
fn statements_are_told() {
    let facts = |sql| normalise(sql, Dialect::Unknown).facts;
    for reads in [
        "SELECT 1",
        "(select 1)",
        "WITH a AS (SELECT 1) SELECT 2 FROM a",
        "SELECT a FROM t FOR UPDATE",
        "SELECT replace(a, b, c) FROM t",
        "WITH a(b) AS (VALUES (1)) SELECT 2 FROM a",
    ] {
        assert!(facts(reads).reads && !facts(reads).changes, "{reads}");
    }
    for with_table in [
        "SELECT a FROM t",
        "select \"a\" from \"t\"",
        "SELECT * FROM (SELECT 1)",
        "SELECT EXISTS (SELECT 1 FROM t WHERE a = 1)",
        "WITH a AS (SELECT 1 FROM t) SELECT f(1)",
    ] {
        assert!(facts(with_table).has_table, "{with_table}");
    }
    for without in [
        "SELECT pg_advisory_lock(?)",
        "SELECT set_config('a', 'b', TRUE), extract(year FROM now())",
        "SELECT nextval('s') FROM DUAL",
        "SELECT trim(LEADING FROM \"x\")",
    ] {
        assert!(
            facts(without).reads && !facts(without).has_table,
            "{without}"
        );
    }
    for changes in [
        "UPDATE t SET a = 1",
        "WITH v(a) AS (SELECT 1) INSERT INTO t SELECT a FROM v",
        "WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d",
        "SELECT 1; DELETE FROM t",
    ] {
        assert!(!facts(changes).reads && facts(changes).changes, "{changes}");
    }
    assert!(!facts("").reads && !facts("EXPLAIN SELECT 1").reads && !facts("SELECTED").reads);
    for transaction in [
        "BEGIN",
        "begin immediate; ",
        "COMMIT",
        "ROLLBACK TO a",
        "START TRANSACTION",
        "SAVEPOINT a",
    ] {
        assert!(facts(transaction).is_transaction, "{transaction}");
    }
    assert!(!facts("BEGIN; SELECT 1").is_transaction && !facts("BEGIN f(1); END").is_transaction);
    assert!(facts("a = ?1").has_placeholders && facts("a = $1").has_placeholders);
    assert!(!facts("a = '?' -- ?\n or b = 1 /* ? */").has_placeholders);
    assert!(
        !normalise("a[:n] ? 'b'", Dialect::PostgreSql)
            .facts
            .has_placeholders
    );
    for page in [
        "SELECT a FROM t LIMIT 10 OFFSET 20",
        "SELECT a FROM t LIMIT 20, 10",
        "SELECT a FROM t WHERE id > 7 ORDER BY id LIMIT 10",
        "SELECT a FROM t WHERE (a, b) > (7, 'x') ORDER BY a, b FETCH FIRST 10 ROWS ONLY",
    ] {
        assert!(facts(page).is_page, "{page}");
    }
    for other in [
        "SELECT a FROM t WHERE id = 7 LIMIT 10",
        "SELECT a FROM t WHERE day < 7 ORDER BY day LIMIT 1",
        "SELECT a FROM t WHERE day < 7 ORDER BY day FETCH FIRST 1 ROW ONLY",
        "SELECT a FROM t WHERE id > 7 ORDER BY id",
    ] {
        assert!(!facts(other).is_page, "{other}");
    }
    assert_eq!(facts("a IN (1, 2, 3) AND b IN (1)").list, 3);
    assert!(facts("a = ANY($1)").has_array && !facts("a IN (SELECT 1)").has_array);
}
