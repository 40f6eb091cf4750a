//! Queries as they are seen: by a library's own hook, or told by the program with [`record`].

use core::hash::Hasher;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::collection::{self, Entry};
use super::dialect::Dialect;
use super::frame::{self, Frame};
use super::model::{Place, Source, StatementRun, hasher};
use super::normal::{self, Normal};
use super::statement::{self, Facts, Page};
use crate::counters::thread_counts::Untracked;
use crate::measure::report::query::Query;

/// A query that has run, for [`record`]. Leave out what is not known.
#[derive(Clone, Debug)]
#[must_use = "an event does nothing until it is recorded"]
pub struct QueryEvent<'a> {
    pub(super) source: Source,
    pub(super) sql: Cow<'a, str>,
    pub(super) values: Option<Cow<'a, str>>,
    pub(super) elapsed: Option<Duration>,
    pub(super) rows: Option<u64>,
    pub(super) allocated: Option<u64>,
    pub(super) failed: Option<bool>,
    pub(super) place: Option<(Place, StatementRun)>,
    pub(super) id: Option<u64>,
    /// The values are the SQL with them in it.
    pub(super) is_expanded: bool,
    pub(super) dialect: Dialect,
    /// Which database it asks, if that is known.
    pub(super) database: Option<u64>,
    /// A library runs it for itself.
    pub(super) is_of_library: bool,
    /// The first one on its connection: a library's own, if it is of settings.
    pub(super) is_first: bool,
    /// Rows that it has changed, if it is one that changes any.
    pub(super) changed: Option<u64>,
}

impl<'a> QueryEvent<'a> {
    /// A query, reported by the library of that name.
    pub fn new(source: impl Into<Source>, sql: impl Into<Cow<'a, str>>) -> QueryEvent<'a> {
        QueryEvent {
            source: source.into(),
            sql: sql.into(),
            values: None,
            elapsed: None,
            rows: None,
            allocated: None,
            failed: None,
            place: None,
            id: None,
            is_expanded: false,
            dialect: Dialect::Unknown,
            database: None,
            is_of_library: false,
            is_first: false,
            changed: None,
        }
    }

    /// The dialect of the SQL. While it is unknown, reports hide whatever dialects read
    /// differently: text in double quotes, and everything after a text such as `'it\'s'`.
    pub fn dialect(mut self, dialect: Dialect) -> QueryEvent<'a> {
        self.dialect = dialect;
        self
    }

    /// The values of its placeholders, as text. Reports show them only where `values` asks for
    /// them; otherwise they only serve to find duplicates.
    pub fn values(mut self, values: impl Into<Cow<'a, str>>) -> QueryEvent<'a> {
        self.values = Some(values.into());
        self
    }

    /// How long it took.
    pub fn elapsed(mut self, elapsed: Duration) -> QueryEvent<'a> {
        self.elapsed = Some(elapsed);
        self
    }

    /// Rows that it returned or changed.
    pub fn rows(mut self, rows: u64) -> QueryEvent<'a> {
        self.rows = Some(rows);
        self
    }

    /// Heap that it allocated, in bytes.
    pub fn allocated(mut self, bytes: u64) -> QueryEvent<'a> {
        self.allocated = Some(bytes);
        self
    }

    /// Whether it failed.
    pub fn failed(mut self, failed: bool) -> QueryEvent<'a> {
        self.failed = Some(failed);
        self
    }

    pub(super) fn entry(&self, frame: &Frame) -> Entry {
        let wants_values = frame.collection.wanted.values;
        let full = || match &self.values {
            Some(expanded) if self.is_expanded => Arc::from(expanded.trim()),
            Some(values) => Arc::from(format!("{} -- values: {values}", self.sql.trim())),
            None => Arc::from(self.sql.trim()),
        };
        let (place, statement) = self
            .place
            .unwrap_or_else(|| (frame.place(), frame.statement()));
        let Normal { text, shape, facts } = normal::normalise(&self.sql, self.dialect);
        Entry {
            id: self.id.unwrap_or_else(collection::next_id),
            dialect: self.dialect,
            is_of_library: self.is_of_library || (self.is_first && facts.is_pragma),
            merged_by: 0,
            query: Query {
                source: self.source,
                normalised: Arc::from(text),
                sql: wants_values.then(full),
                elapsed_ns: self.elapsed.map(|elapsed| elapsed.as_nanos() as u64),
                rows: match (self.rows, self.changed) {
                    (Some(0), Some(changed)) if facts.changes => Some(changed),
                    (rows, _) => rows,
                },
                place,
                allocated: self.allocated,
                failed: self.failed,
                full_scan: None,
                plan: Vec::new(),
                shape,
                facts,
                key: self.key(facts),
                page: self.page(facts),
                database: self.database,
                statement,
                caller: frame.collection.caller,
            },
        }
    }

    /// Tells queries with the same SQL and the same values. `None` if there are values that nobody
    /// knows.
    fn key(&self, facts: Facts) -> Option<u64> {
        if self.values.is_none() && facts.has_placeholders {
            return None;
        }
        let mut hasher = hasher();
        hasher.write(self.sql.as_bytes());
        hasher.write_u8(0);
        hasher.write(self.values.as_deref().unwrap_or_default().as_bytes());
        Some(hasher.finish())
    }

    /// Of a query that asks for a page of a longer list: tells those that ask for pages of the same
    /// list.
    fn page(&self, facts: Facts) -> Option<Page> {
        let sql = match &self.values {
            Some(expanded) if self.is_expanded => Some(&**expanded),
            None if !facts.has_placeholders => Some(&*self.sql),
            _ => None,
        };
        let list = || sql.map(|sql| statement::list_of_page(sql, self.dialect, hasher()));
        facts.is_page.then(|| Page { list: list() })
    }

    /// Puts it into the scope of `frame`.
    pub(super) fn record_in(&self, frame: &Frame) {
        frame.collection.add_or_merge(self.entry(frame), &self.sql);
    }
}

/// Adds a query to the report of the calling thread's scope, if it is in one. For libraries without
/// an `install` function: call it after each query.
///
/// ```
/// use std::time::Instant;
/// use profiler_alloc::queries::{QueryEvent, record};
///
/// # fn run(_: &str) -> Result<u64, ()> { Ok(3) }
/// fn execute(sql: &str) -> Result<u64, ()> {
///     let start = Instant::now();
///     let result = run(sql);
///     let event = QueryEvent::new("my database", sql)
///         .elapsed(start.elapsed())
///         .failed(result.is_err());
///     record(match result {
///         Ok(rows) => event.rows(rows),
///         Err(_) => event,
///     });
///     result
/// }
/// # profiler_alloc::query_profiler("doc", || execute("SELECT 1").unwrap());
/// ```
pub fn record(event: QueryEvent<'_>) {
    // The guard is declared after `event`, so `event`'s strings are freed after it and counted as
    // the program's.
    let untracked = Untracked::begin();
    if let Some(frame) = frame::current().filter(|_| untracked.is_some()) {
        event.record_in(&frame);
    }
}

/// True if the calling thread runs inside a scope, so that [`record`] is worth its work.
pub fn is_watched() -> bool {
    frame::is_inside()
}
