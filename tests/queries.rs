//! What a report says of queries that any library may run: which of them one query could have done,
//! and which are alike. The stories are those of `docs/query_profiler.md`.

#![forbid(unsafe_code)]

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;

use profiler_alloc::measure::{Output, QueryReport, Report, set_output};
use profiler_alloc::queries::{Dialect, Handle, QueryEvent, record};
use profiler_alloc::{ProfilerAlloc, query_profiler};
use proptest::prelude::*;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

static REPORTS: LazyLock<Mutex<Vec<QueryReport>>> = LazyLock::new(|| {
    set_output(Output::callback(|report| {
        if let Report::Query(report) = report {
            REPORTS.lock().unwrap().push(report.clone());
        }
    }));
    Mutex::default()
});

/// What `work` reports, the outermost scope last. One at a time, as all reports come to one place.
fn reports_of(work: impl FnOnce()) -> Vec<QueryReport> {
    static ONE: Mutex<()> = Mutex::new(());
    let _one: MutexGuard<'_, ()> = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    LazyLock::force(&REPORTS);
    work();
    std::mem::take(&mut *REPORTS.lock().unwrap())
}

fn run(sql: impl Into<String>) {
    record(QueryEvent::new("demo", sql.into()));
}

/// A query whose values the library tells.
fn run_with(sql: &str, values: impl std::fmt::Debug) {
    record(QueryEvent::new("demo", sql).values(format!("{values:?}")));
}

fn account(id: u32) -> u32 {
    run(format!("SELECT name FROM accounts WHERE id = {id}"));
    id
}

/// The verdict on each story: how many queries are too many.
macro_rules! stories {
    ($($n:literal $name:ident: $count:literal, $body:block)*) => {
        $(
            #[test]
            fn $name() {
                #[query_profiler]
                fn story() $body
                let reports = reports_of(story);
                let report = reports.last().unwrap();
                let extra: usize = report.findings.n_plus_one.iter().map(|found| found.queries.len() - 1).sum();
                assert_eq!(extra, $count, "{report}");
                let heading = format!("| {} | {} |", $n, stringify!($name).replace('_', " "));
                let manual = include_str!("../docs/query_profiler.md");
                assert!(manual.contains(&heading), "docs/query_profiler.md has no line\n{heading}");
            }
        )*
    };
}

macro_rules! both {
    ($one:literal, $other:literal) => {
        account($one);
        account($other);
    };
}

macro_rules! each {
    ($($id:literal),*) => {
        $(account($id);)*
    };
}

macro_rules! through {
    ($most:literal) => {
        for id in 1..=$most {
            account(id);
        }
    };
}

stories! {
    1 a_loop_asks_for_one_row_each_time: 2, {
        for id in 1..=3 {
            account(id);
        }
    }
    2 a_while_loop_asks: 1, {
        let mut id = 0;
        while id < 2 {
            id += 1;
            account(id);
        }
    }
    3 a_closure_asks_for_each_element: 2, {
        (1..=3).for_each(|id| assert_eq!(account(id), id));
    }
    4 a_closure_of_several_lines_asks: 2, {
        let names = [1, 2, 3].map(|id| {
            let found = account(id);
            found + 1
        });
        assert_eq!(names, [2, 3, 4]);
    }
    5 a_function_that_is_called_loops: 2, {
        fn all() {
            (1..=3).for_each(|id| assert_eq!(account(id), id));
        }
        all();
    }
    6 a_function_with_a_report_of_its_own_is_called_in_a_loop: 2, {
        for id in 1..=3 {
            reported(id);
        }
    }
    7 a_recursion_asks_at_each_step: 3, {
        children(3);
    }
    8 two_queries_alternate_in_a_loop: 4, {
        for id in 1..=3 {
            account(id);
            run(format!("SELECT sum(amount) FROM payments WHERE account = {id}"));
        }
    }
    9 reads_between_writes: 1, {
        for id in 1..=2 {
            account(id);
            run(format!("UPDATE accounts SET seen = {id}"));
        }
    }
    10 one_value_in_a_list_each_time: 2, {
        for id in 1..=3 {
            run(format!("SELECT * FROM accounts WHERE id IN ({id})"));
        }
    }
    11 lists_as_long_as_each_parent_has_children: 4, {
        for list in ["1", "2", "2, 3", "5, 6, 7", "-1, -2"] {
            run(format!("SELECT * FROM accounts WHERE id IN ({list})"));
        }
    }
    12 the_newest_rows_of_each_parent: 2, {
        for post in 1..=3 {
            run(format!("SELECT * FROM comments WHERE post = {post} ORDER BY day LIMIT 3"));
        }
    }
    13 the_first_page_of_each_parent: 2, {
        for post in 1..=3 {
            run(format!("SELECT * FROM comments WHERE post = {post} ORDER BY day LIMIT 10 OFFSET 0"));
        }
    }
    14 the_last_row_before_each_day: 2, {
        for day in 1..=3 {
            run(format!("SELECT price FROM prices WHERE day < {day} ORDER BY day DESC LIMIT 1"));
        }
    }
    15 a_common_table_expression_that_reads: 2, {
        for id in 1..=3 {
            run(format!("WITH mine AS (SELECT * FROM accounts WHERE owner = {id}) SELECT count(*) FROM mine"));
        }
    }
    16 rows_are_locked_one_by_one: 1, {
        for id in 1..=2 {
            run(format!("SELECT * FROM accounts WHERE id = {id} FOR UPDATE"));
        }
    }
    17 values_that_the_library_tells_beside_the_text: 2, {
        for id in 1..=3 {
            run_with("SELECT name FROM accounts WHERE id = ?", id);
        }
    }
    18 values_that_nobody_tells: 2, {
        for _ in 1..=3 {
            run("SELECT name FROM accounts WHERE id = $1");
        }
    }
    19 threads_that_are_handed_the_scope: 2, {
        thread::scope(|scope| {
            for id in 1..=3 {
                let handle = Handle::current();
                scope.spawn(move || handle.run(|| account(id)));
            }
        });
    }
    20 a_pair_of_calls_in_a_loop: 3, {
        for id in 1..=2 {
            let _pair = (account(id), account(id + 10));
        }
    }
    21 one_query: 0, {
        account(1);
    }
    22 two_calls_on_two_lines: 0, {
        account(1);
        account(2);
    }
    23 two_calls_on_one_line: 0, {
        let _pair = (account(1), account(2));
    }
    24 two_calls_in_a_statement_of_several_lines: 0, {
        let _pair = (
            account(1),
            account(2),
        );
    }
    25 two_calls_in_a_macro: 0, {
        assert_eq!(account(1) + 1, account(2));
    }
    26 two_calls_of_a_function_with_a_report_of_its_own: 0, {
        reported(1);
        reported(2);
    }
    27 both_of_them_in_one_statement: 0, {
        let _pair = [reported(1), reported(2)];
    }
    28 a_write_again_and_again: 0, {
        for id in 1..=3 {
            run(format!("INSERT INTO accounts VALUES ({id})"));
        }
    }
    29 a_write_that_begins_with_a_common_table_expression: 0, {
        for id in 1..=3 {
            run(format!("WITH v(a) AS (SELECT {id}) INSERT INTO extra SELECT a FROM v"));
        }
    }
    30 a_common_table_expression_that_writes: 0, {
        for id in 1..=3 {
            run(format!("WITH gone AS (DELETE FROM old WHERE id = {id} RETURNING *) SELECT * FROM gone"));
        }
    }
    31 the_same_values_twice: 0, {
        for _ in 1..=2 {
            account(1);
        }
    }
    32 a_queue_that_is_polled: 0, {
        for _ in 1..=5 {
            run("SELECT id FROM jobs WHERE state = 'new' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED");
        }
    }
    33 pages_by_offset: 0, {
        for page in 0..3 {
            run(format!("SELECT * FROM accounts ORDER BY id LIMIT 10 OFFSET {}", page * 10));
            run(format!("SELECT * FROM posts ORDER BY id OFFSET {} ROWS FETCH NEXT 10 ROWS ONLY", page * 10));
        }
    }
    34 pages_as_mysql_writes_them: 0, {
        for page in 0..3 {
            run(format!("SELECT * FROM accounts ORDER BY id LIMIT {}, 10", page * 10));
        }
    }
    35 pages_by_the_last_key: 0, {
        for last in [0, 10, 20] {
            run(format!("SELECT * FROM accounts WHERE owner = 7 AND id > {last} ORDER BY id LIMIT 10"));
        }
    }
    36 pages_by_the_last_row: 0, {
        for (day, id) in [(1, 10), (2, 20), (2, 30)] {
            run(format!("SELECT * FROM log WHERE (day, id) > ({day}, {id}) ORDER BY day, id FETCH FIRST 10 ROWS ONLY"));
        }
    }
    37 a_long_list_in_chunks: 0, {
        for chunk in ["1, 2, 3", "4, 5, 6", "7"] {
            run(format!("SELECT * FROM accounts WHERE id IN ({chunk})"));
        }
    }
    38 arrays: 0, {
        for _ in 1..=3 {
            run("SELECT * FROM accounts WHERE id = ANY($1)");
        }
    }
    39 transactions_that_begin_and_end: 0, {
        for _ in 1..=3 {
            run("BEGIN");
            run("COMMIT");
        }
    }
    40 other_statements_in_each_turn: 0, {
        for table in ["accounts", "payments", "log"] {
            run(format!("SELECT count(*) FROM {table}"));
        }
    }
    41 a_lock_is_taken_for_each: 0, {
        for key in 1..=3 {
            run(format!("SELECT pg_advisory_lock({key})"));
        }
    }
    42 settings_are_made_one_by_one: 0, {
        for (name, value) in [("role", "reader"), ("tenant", "7")] {
            run(format!("SELECT set_config('{name}', '{value}', TRUE), extract(epoch FROM now())"));
        }
    }
    43 numbers_are_drawn_from_dual: 0, {
        for step in 1..=3 {
            run(format!("SELECT next_number({step}) FROM DUAL"));
        }
    }
    44 two_statements_on_one_line: 0, {
        account(1); account(2);
    }
    45 two_scopes_on_one_line: 0, {
        reported(1); reported(2);
    }
    46 a_macro_of_the_file_has_two_calls: 0, {
        both!(1, 2);
    }
    47 a_macro_of_the_file_repeats_a_call: 0, {
        each!(1, 2, 3);
    }
    48 a_macro_of_the_file_loops: 2, {
        through!(3);
    }
    49 a_line_with_two_calls_in_a_loop: 2, {
        for id in 1..=2 {
            account(id); if id > 1 { account(id + 10); }
        }
    }
    50 rows_are_looked_for_one_by_one: 2, {
        for id in 1..=3 {
            run(format!("SELECT EXISTS (SELECT 1 FROM accounts WHERE id = {id})"));
        }
    }
}

#[query_profiler]
fn reported(id: u32) -> u32 {
    account(id)
}

#[query_profiler]
fn children(depth: u32) {
    run(format!("SELECT id FROM people WHERE parent = {depth}"));
    if depth > 0 {
        children(depth - 1);
    }
}

#[test]
fn where_lines_are_not_known_the_report_says_so() {
    let reports = reports_of(|| {
        query_profiler("a closure", || {
            (1..=3).for_each(|id| assert_eq!(account(id), id));
        });
    });
    let text = reports[0].to_string();
    assert!(
        text.contains("QUERIES :: N+1: 0 (the lines of 3 are not known)\n"),
        "{text}"
    );
}

#[test]
fn statements_that_differ_in_values_and_lengths_are_similar() {
    let reports = reports_of(|| {
        query_profiler("similar", || {
            for rows in [
                "(1, 'a')",
                "(1, 'a'), (2, 'b')",
                "(1, 'a'), (2, 'b'), (3, 'c')",
                "(1, NULL)",
                "(-1, TRUE)",
            ] {
                run(format!("INSERT INTO t VALUES {rows}"));
            }
            run("BEGIN");
            run("BEGIN");
        });
    });
    let found = &reports[0].findings;
    assert_eq!(found.similar.len(), 1, "{}", reports[0]);
    assert_eq!(found.similar[0].queries, [0, 1, 2, 3, 4]);
    assert!(found.duplicates.is_empty());
}

/// A mark that no literal may show anything of.
const MARK: &str = "Zq7";

#[test]
fn the_texts_of_other_dialects_show_nothing() {
    for sql in [
        r"SELECT * FROM users WHERE name = 'O\'Neil' AND token = 'Zq7'",
        "SELECT 1 # it's a comment\n, 'Zq7' FROM t",
        "SELECT a /* outer /* inner */ Zq7 */ FROM t",
        "SELECT q'[it's Zq7]' FROM dual",
        "SELECT nq'{it's Zq7}' FROM dual",
        "SELECT * FROM t WHERE data ? 'key' AND b = 'Zq7'",
        "SELECT U&'d\\0061t', 'Zq7'",
        "SELECT a[1:2], 'Zq7'",
        "SELECT a /*/ 'b' */, 'Zq7'",
        "SELECT /*! 'a */ Zq7' */ 1",
        "SELECT \"Zq7\", `a`",
        "SELECT 1--'\n, 'Zq7'",
        "SELECT $$it's$$, 'Zq7', $$Zq7$$",
        "SELECT E'it\\'s Zq7'\n 'it\\'s Zq7'",
        "SELECT '''it's Zq7'''",
        "SELECT * FROM [it's], 'Zq7'",
        "SELECT -- a\r 'Zq7'\n 'Zq7'",
        "SELECT 1e'\\' Zq7'",
        "SELECT 'Zq7",
    ] {
        let text = shown(sql, Dialect::Unknown);
        assert!(!text.contains(MARK), "{sql}\n{text}");
    }
}

/// All that is said of a statement whose values nobody asked for.
fn shown(sql: &str, dialect: Dialect) -> String {
    let reports = reports_of(|| {
        query_profiler("shown", || {
            for _ in 0..2 {
                record(QueryEvent::new("demo", sql).dialect(dialect));
            }
        });
    });
    let report = reports[0].clone();
    let text = report.to_string();
    text + &Report::Query(report).to_json()
}

/// A literal, in which the mark stands among what ends texts and comments in one dialect or
/// another.
fn inside() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just(MARK),
        Just(" "),
        Just(", "),
        Just("\n"),
        Just("\r"),
        Just("--"),
        Just("-- "),
        Just("/*"),
        Just("*/"),
        Just("#"),
        Just("''"),
        Just("\"\""),
        Just("``"),
        Just("["),
        Just("]"),
        Just("$$"),
        Just("$a$"),
        Just("\\\\"),
        Just("ä"),
        Just(";"),
        Just("("),
        Just(")"),
        Just("1"),
        Just("E"),
        Just("q"),
        Just("x"),
    ];
    prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat() + MARK)
}

/// A literal of a dialect.
fn literal(dialect: Dialect) -> BoxedStrategy<String> {
    let backslashes = matches!(dialect, Dialect::MySql);
    // In texts without escapes a backslash may be the last character, in those with it takes a
    // quote along.
    let text = (inside(), any::<bool>())
        .prop_map(move |(inside, with)| match (with, backslashes) {
            (true, true) => format!("'\\'{inside}\\''"),
            (true, false) => format!("'{inside}\\'"),
            (false, _) => format!("'{inside}'"),
        })
        .boxed();
    let national = text.clone().prop_map(|text| format!("N{text}"));
    let number = prop_oneof![
        Just(String::from("-70707.5e-3")),
        Just(String::from(".70707")),
        Just(String::from("0x70707")),
        Just(String::from("70707")),
        Just(String::from("70707E+7")),
        Just(String::from("7_0_70707")),
        Just(String::from("0b70707")),
    ];
    let hex = prop_oneof![
        Just(String::from("x'70707A'")),
        Just(String::from("B'70707'")),
        inside().prop_map(|inside| format!("INTERVAL '{inside}' DAY")),
        inside().prop_map(|inside| format!("'a'\n'{inside}'")),
    ];
    let standard = prop_oneof![text, national, number, hex];
    match dialect {
        Dialect::MySql => prop_oneof![
            standard,
            inside().prop_map(|inside| format!("\"it's {inside} \\\" \"")),
            inside().prop_map(|inside| format!("_utf8mb4'\\'{inside}'")),
            inside().prop_map(|inside| format!("@'it\\'s {inside}'")),
            inside().prop_map(|inside| format!("'it' \"{inside}\"")),
        ]
        .boxed(),
        Dialect::PostgreSql => prop_oneof![
            standard,
            inside().prop_map(|inside| format!("E'it\\'s {inside}'\n 'it\\'s {inside}'")),
            inside().prop_map(|inside| format!("$m$it's {} $m$", inside.replace('$', ""))),
            inside().prop_map(|inside| format!("$${} it's$$", inside.replace('$', ""))),
            inside().prop_map(|inside| format!("U&'{inside}' UESCAPE '!'")),
            inside().prop_map(|inside| format!("$ä1$it's $ä$ {} $ä1$", inside.replace('$', ""))),
            inside().prop_map(|inside| format!("ARRAY['{inside}']::text[]")),
        ]
        .boxed(),
        Dialect::Sqlite => prop_oneof![
            standard,
            inside().prop_map(|inside| format!("\"{inside}\""))
        ]
        .boxed(),
        Dialect::Oracle => prop_oneof![
            standard,
            inside().prop_map(|inside| format!("q'[it's {}]'", inside.replace(']', ""))),
            inside().prop_map(|inside| format!("nQ'!it's {}!'", inside)),
            inside().prop_map(|inside| format!("DATE '{inside}'")),
        ]
        .boxed(),
        _ => unreachable!("not one dialect"),
    }
}

/// What may stand between two terms: operators, names, comments.
fn between(dialect: Dialect) -> BoxedStrategy<&'static str> {
    let common = [
        ", ",
        " = ",
        " AND b <> ",
        " || ",
        " IN (c) OR d > ",
        ") = (",
        " /* it's */ + ",
        " -- it's\n + ",
    ];
    let own: &'static [&'static str] = match dialect {
        Dialect::MySql => &[
            " # it's\n + ",
            " - `it's` = ",
            " /* /* it's */ + ",
            " <=> ",
            " --1 ",
        ],
        Dialect::PostgreSql => &[
            " #>> ",
            " ? ",
            " \"it's\" = ",
            " /* a /* it's */ ' */ + ",
            " a[1:n] + ",
            " ::text || ",
            " @> ",
            " --it's\r + ",
        ],
        Dialect::Sqlite => &[
            " + [it's] = ",
            " + `it's` = ",
            " /* /* it's */ + ",
            " --it's\n + ",
            " -> ",
        ],
        _ => &[" \"it's\" = ", " /* /* it's */ + ", " --it's\n + ", " := "],
    };
    prop::sample::select([&common[..], own].concat()).boxed()
}

fn statement(dialect: Dialect) -> impl Strategy<Value = String> {
    let terms = prop::collection::vec((literal(dialect), between(dialect)), 1..6);
    let start = prop::sample::select(vec![
        "SELECT ",
        "SELECT * FROM t WHERE a = ",
        "INSERT INTO t (a, b) VALUES (",
        "UPDATE t SET a = ",
        "DELETE FROM t WHERE a IN (",
        "SELECT f(",
        "WITH a AS (SELECT ",
    ]);
    (start, terms, literal(dialect)).prop_map(|(start, terms, last)| {
        let terms: String = terms
            .into_iter()
            .map(|(term, between)| term + between)
            .collect();
        format!("{start}{terms}{last}")
    })
}

fn any_statement() -> impl Strategy<Value = (Dialect, String)> {
    let dialects = vec![
        Dialect::MySql,
        Dialect::PostgreSql,
        Dialect::Sqlite,
        Dialect::Oracle,
    ];
    prop::sample::select(dialects).prop_flat_map(|dialect| (Just(dialect), statement(dialect)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Neither where the library tells the dialect, nor where nobody does.
    #[test]
    fn no_byte_of_a_literal_is_shown((dialect, sql) in any_statement()) {
        for known in [dialect, Dialect::Unknown] {
            let text = shown(&sql, known);
            prop_assert!(!text.contains(MARK) && !text.contains("70707"), "{:?}: {}\n{}", known, sql, text);
        }
        if matches!(dialect, Dialect::MySql | Dialect::PostgreSql) {
            let text = shown(&sql, Dialect::PostgreSqlOrMySql);
            prop_assert!(!text.contains(MARK) && !text.contains("70707"), "{}\n{}", sql, text);
        }
    }

    #[test]
    fn anything_is_read(sql in "[-'\"`$\\[\\](){}/*#\\\\?:@qQeExXnN0-9a,;. \n\rä!|<>=]{0,40}") {
        for dialect in [Dialect::MySql, Dialect::PostgreSql, Dialect::Sqlite, Dialect::Oracle, Dialect::Unknown] {
            shown(&sql, dialect);
        }
    }
}
