//! What a scope's queries come to, as a value.

use std::sync::Arc;

use crate::measure::histogram::Spread;
use crate::measure::json::Object;
use crate::measure::queries::model::{Caller, Place, Source, StatementRun};
use crate::measure::queries::statement::{Facts, Page};

/// Queries that belong together.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Finding {
    /// The SQL they share, without values.
    pub normalised: Arc<str>,
    /// Which they are, by their place in the report.
    pub queries: Vec<usize>,
    /// The line they share, if it is what makes them belong together.
    pub place: Option<Place>,
}

/// What there is to say about the queries of a scope. The greatest groups come first.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Findings {
    /// The same SQL with the same values, more than once, of the same database; not `BEGIN` and its
    /// like. Where values are not known, nothing is said.
    pub duplicates: Vec<Finding>,
    /// The same SQL but for its values, more than once; duplicates are among them.
    pub similar: Vec<Finding>,
    /// The same `SELECT` with other values, from the same call on the same line: one query could
    /// have done. Not pages of one list, and not lists of many values in chunks.
    pub n_plus_one: Vec<Finding>,
    /// Queries that read a whole table.
    pub full_scans: Vec<usize>,
    /// Queries that took at least the time given.
    pub slow: Vec<usize>,
    /// Queries that failed.
    pub failed: Vec<usize>,
}

/// One query.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Query {
    /// Who saw it.
    pub source: Source,
    /// The SQL without its values.
    pub normalised: Arc<str>,
    /// The SQL with its values, as far as they are known; `None` unless the scope, or one around
    /// it, asks for `values`.
    pub sql: Option<Arc<str>>,
    /// How long it took; `None` if it was not over when the scope was. *Nanoseconds.*
    pub elapsed_ns: Option<u64>,
    /// Rows that it gave or changed, if the library tells.
    pub rows: Option<u64>,
    /// The line that ran it.
    pub place: Place,
    /// Heap that its thread allocated while it ran, if it stayed on one thread. *Bytes.*
    pub allocated: Option<u64>,
    /// Whether it failed, if the library tells.
    pub failed: Option<bool>,
    /// Whether it read a whole table, if the library tells.
    pub full_scan: Option<bool>,
    /// SQLite's plan, if the scope asks for it and the query was slow.
    pub plan: Vec<String>,
    /// The same for statements that differ in nothing but their values.
    pub(in crate::measure) shape: u64,
    pub(in crate::measure) facts: Facts,
    /// Tells whether two queries have the same SQL and the same values; `None` if the values are
    /// not known.
    pub(in crate::measure) key: Option<u64>,
    /// Of a query that asks for a page.
    pub(in crate::measure) page: Option<Page>,
    /// Which database it asks, if that is known.
    pub(in crate::measure) database: Option<u64>,
    pub(in crate::measure) statement: StatementRun,
    /// What has opened the scope that it ran in.
    pub(in crate::measure) caller: Option<Caller>,
}

/// The queries of one call.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct QueryReport {
    /// The function's name, or the label given.
    pub label: String,
    /// The queries, in the order in which they began.
    pub queries: Vec<Query>,
    /// Queries that libraries ran for themselves: to set a new connection up, to open a virtual
    /// table. They count nowhere else.
    pub of_libraries: Vec<Query>,
    /// Queries beyond those that are kept, 65,536.
    pub lost: u64,
    /// Calls of the function inside this one; their queries are here.
    pub inner_calls: u64,
    /// A query is slow from here on. *Nanoseconds.*
    pub slow_ns: u64,
    /// What there is to say about them.
    pub findings: Findings,
    pub(in crate::measure) shown: usize,
    pub(in crate::measure) has_values: bool,
}

impl QueryReport {
    /// A copy that shares no text with this one.
    pub(in crate::measure) fn copy(&self) -> QueryReport {
        let mut copy = self.clone();
        for query in &mut copy.queries {
            query.normalised = Arc::from(&*query.normalised);
            query.sql = query.sql.as_deref().map(Arc::from);
        }
        let findings = &mut copy.findings;
        for list in [
            &mut findings.duplicates,
            &mut findings.similar,
            &mut findings.n_plus_one,
        ] {
            for finding in list {
                finding.normalised = Arc::from(&*finding.normalised);
            }
        }
        copy
    }
}

impl QuerySummary {
    /// A copy that shares no text with this one.
    pub(in crate::measure) fn copy(&self) -> QuerySummary {
        let mut copy = self.clone();
        for (sql, _) in &mut copy.statements {
            *sql = Arc::from(&**sql);
        }
        copy
    }
}

/// The queries of all calls of a function.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct QuerySummary {
    /// The function's name.
    pub label: String,
    /// Queries for each call.
    pub queries: Spread,
    /// Their time for each call. *Nanoseconds.*
    pub time_ns: Spread,
    /// Calls with an N+1 query in them.
    pub calls_with_n_plus_one: u64,
    /// The statements that were run most, without values, and how often, the most frequent first.
    pub statements: Vec<(Arc<str>, u64)>,
}

impl Query {
    /// The SQL as the report shows it.
    pub fn text(&self) -> &str {
        self.sql.as_ref().unwrap_or(&self.normalised)
    }
}

impl QueryReport {
    /// Number of queries.
    pub fn count(&self) -> u64 {
        self.queries.len() as u64 + self.lost
    }

    /// Time of all queries together; of those that ran at the same time, too. *Nanoseconds.*
    pub fn total_ns(&self) -> u64 {
        let times = self.queries.iter().filter_map(|query| query.elapsed_ns);
        times.fold(0, u64::saturating_add)
    }

    pub(in crate::measure) fn json(&self) -> Object {
        let Findings {
            duplicates,
            similar,
            n_plus_one,
            full_scans,
            slow,
            failed,
        } = &self.findings;
        let list = |findings: &[Finding]| findings.iter().map(Finding::json).collect::<Vec<_>>();
        let numbers = |indexes: &[usize]| Object::numbers(indexes.iter());
        let queries = self.queries.iter();
        let of_libraries = self.of_libraries.iter();
        Object::new()
            .number("version", 1)
            .text("kind", "query")
            .text("label", &self.label)
            .number("count", self.count())
            .number("total_ns", self.total_ns())
            .number("lost", self.lost)
            .number("inner_calls", self.inner_calls)
            .number("slow_ns", self.slow_ns)
            .list("queries", queries.map(|query| query.json(self.has_values)))
            .list(
                "of_libraries",
                of_libraries.map(|query| query.json(self.has_values)),
            )
            .list("duplicates", list(duplicates).into_iter())
            .list("similar", list(similar).into_iter())
            .list("n_plus_one", list(n_plus_one).into_iter())
            .number("full_scans", numbers(full_scans))
            .number("slow", numbers(slow))
            .number("failed", numbers(failed))
    }
}

impl Query {
    fn json(&self, has_values: bool) -> Object {
        let sql = self.sql.as_deref().filter(|_| has_values);
        Object::new()
            .text("source", self.source.name())
            .text("normalised", &self.normalised)
            .maybe_text("sql", sql)
            .maybe("elapsed_ns", self.elapsed_ns)
            .maybe("rows", self.rows)
            .text("file", self.place.file)
            .number("line", self.place.line)
            .number("is_exact_line", self.place.is_exact)
            .maybe("allocated", self.allocated)
            .maybe("failed", self.failed)
            .maybe("full_scan", self.full_scan)
            .texts("plan", &self.plan)
    }
}

impl Finding {
    fn json(&self) -> Object {
        let object = Object::new()
            .text("normalised", &self.normalised)
            .number("times", self.queries.len())
            .number("queries", Object::numbers(self.queries.iter()));
        match self.place {
            Some(place) => object.text("file", place.file).number("line", place.line),
            None => object,
        }
    }
}

impl QuerySummary {
    pub(in crate::measure) fn json(&self) -> Object {
        let statements = self
            .statements
            .iter()
            .map(|(sql, times)| Object::new().text("normalised", sql).number("times", times));
        Object::new()
            .number("version", 1)
            .text("kind", "query_summary")
            .text("label", &self.label)
            .number("calls", self.queries.count)
            .object("queries", self.queries.json())
            .object("time_ns", self.time_ns.json())
            .number("calls_with_n_plus_one", self.calls_with_n_plus_one)
            .list("statements", statements)
    }
}
