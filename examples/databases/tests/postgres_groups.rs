//! Which statements are alike: measured against `pg_stat_statements` of a PostgreSQL server, which
//! parses them. Where PostgreSQL is not installed, nothing is tested, and the test says so;
//! `MEMPROF_TEST_REQUIRE=1` makes that a failure.

#![forbid(unsafe_code)]

#[allow(dead_code, reason = "part of it is for other tests")]
mod reports;
#[allow(dead_code, reason = "part of it is for other tests")]
mod server;
#[path = "../../../tests/skip/mod.rs"]
mod skip;

use std::collections::{BTreeMap, BTreeSet};

use profiler_alloc::queries::{Dialect, QueryEvent, record};
use profiler_alloc::query_profiler;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

/// One a line.
const STATEMENTS: &str = include_str!("alike.sql");

const TABLE: &str =
    "CREATE TABLE people (id int PRIMARY KEY, name text, age int, active bool, born timestamptz,
    tags text[], data jsonb); CREATE EXTENSION pg_stat_statements";

type Groups = BTreeSet<Vec<&'static str>>;

/// Statements with the same number are alike.
fn groups<K: Ord>(numbers: impl Iterator<Item = (K, &'static str)>) -> Groups {
    let mut groups: BTreeMap<K, Vec<&str>> = BTreeMap::new();
    for (number, statement) in numbers {
        groups.entry(number).or_default().push(statement);
    }
    groups.into_values().collect()
}

async fn of_postgres(url: &str) -> Groups {
    let mut db = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(TABLE).execute(&mut db).await.unwrap();
    let mut numbers = Vec::new();
    for statement in STATEMENTS.lines() {
        let reset = "SELECT pg_stat_statements_reset()";
        sqlx::raw_sql(reset).execute(&mut db).await.unwrap();
        let result = sqlx::raw_sql(statement).execute(&mut db).await;
        result.unwrap_or_else(|error| panic!("{statement}: {error}"));
        let number =
            "SELECT queryid FROM pg_stat_statements WHERE query NOT LIKE '%pg_stat_statements%'";
        let number: i64 = sqlx::query_scalar(number).fetch_one(&mut db).await.unwrap();
        numbers.push((number, statement));
    }
    groups(numbers.into_iter())
}

fn of_memprof() -> Groups {
    reports::keep();
    query_profiler("alike", || {
        for statement in STATEMENTS.lines() {
            record(QueryEvent::new("text", statement).dialect(Dialect::PostgreSql));
        }
    });
    let report = reports::one("alike");
    let statements: Vec<&str> = STATEMENTS.lines().collect();
    let mut numbers: Vec<usize> = (0..statements.len()).collect();
    for found in &report.findings.similar {
        found
            .queries
            .iter()
            .for_each(|&query| numbers[query] = found.queries[0]);
    }
    groups(numbers.into_iter().zip(statements))
}

#[test]
fn statements_are_alike_as_postgres_says_but_for_a_few() {
    let options =
        "-c shared_preload_libraries=pg_stat_statements -c pg_stat_statements.track_utility=off";
    let Some(server) = server::Server::start_with(options) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let theirs = runtime.block_on(of_postgres(&server.url()));
    let ours = of_memprof();
    let fewer = theirs.len().abs_diff(ours.len());
    assert!(fewer <= 5, "{} there, {} here", theirs.len(), ours.len());
    // What is one group there and two here, and the other way round: each with the reason.
    let apart: Vec<_> = pairs(&theirs).difference(&pairs(&ours)).copied().collect();
    let together: Vec<_> = pairs(&ours).difference(&pairs(&theirs)).copied().collect();
    for (one, other) in apart {
        // An alias is part of the text; a server that has parsed it knows which table it is. And a
        // list of one value is an equation there, a list here, where the next one may be longer.
        let is_aliased = |sql: &str| sql.contains(" p WHERE") || sql.contains("AS who");
        let is_list_of_one = |sql: &str| sql.contains("IN (1)");
        let is_argued = |sql| is_aliased(sql) || is_list_of_one(sql);
        assert!(
            is_argued(one) || is_argued(other),
            "apart: {one} and {other}"
        );
    }
    for (one, other) in together {
        // Lists and rows of any length are alike here: a list that grows is no other query.
        let without_lists = |sql: &str| -> String {
            let start = sql.find(['[', '(']).map_or(sql, |at| &sql[..at]);
            start.to_owned()
        };
        assert_eq!(without_lists(one), without_lists(other), "together");
    }
}

/// Each two statements that are alike.
fn pairs(groups: &Groups) -> BTreeSet<(&'static str, &'static str)> {
    let mut pairs = BTreeSet::new();
    for group in groups {
        for one in group {
            pairs.extend(
                group
                    .iter()
                    .filter(|other| one < *other)
                    .map(|other| (*one, *other)),
            );
        }
    }
    pairs
}
