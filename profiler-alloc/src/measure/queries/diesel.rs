//! Queries of diesel and diesel-async, by diesel's instrumentation.

use core::hash::Hasher;
use std::collections::VecDeque;
use std::fmt::Write;

use diesel::connection::{
    DebugQuery, Instrumentation, InstrumentationEvent, set_default_instrumentation,
};

use super::InstallError;
use super::collection;
use super::dialect::Dialect;
use super::event::QueryEvent;
use super::model::{Source, hasher};
use super::started::{Reading, Started};
use crate::counters::thread_counts::Untracked;

/// Queries that a connection may have begun and not ended, because they were given up, before the
/// oldest is forgotten.
const RUNNING: usize = 1000;

/// Between the SQL and its values, in diesel's words.
const BINDS: &str = " -- binds: ";

/// Has every connection of diesel and diesel-async that is opened from now on tell
/// `#[query_profiler]` of its queries. Takes the place of a default instrumentation that was set
/// before.
///
/// # Errors
/// If diesel does not take it: another thread has panicked while it did the same.
pub fn install_diesel() -> Result<(), InstallError> {
    set_default_instrumentation(|| Some(Box::new(Connection::default()))).map_err(|error| {
        let message = format!("diesel did not take the instrumentation: {error}; install it at the start of the program");
        InstallError { message }
    })
}

/// What one connection runs. Its queries may be many at the same time, and end on another thread
/// than they began on.
#[derive(Default)]
struct Connection {
    running: VecDeque<RunningQuery>,
    /// Of the database that it was opened to.
    dialect: Dialect,
    database: Option<u64>,
    /// It has begun a query of the program.
    is_used: bool,
}

struct RunningQuery {
    started: Started,
    sql: String,
    values: Option<String>,
    is_of_library: bool,
}

impl Instrumentation for Connection {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        let Some(reading) = Reading::now() else {
            return;
        };
        let _untracked = Untracked::begin();
        match event {
            InstrumentationEvent::StartQuery { query, .. } => self.start(reading, query),
            InstrumentationEvent::FinishQuery { query, error, .. } => {
                self.finish(reading, query, error.is_some());
            }
            InstrumentationEvent::StartEstablishConnection { url, .. } => self.opens(url),
            _ => {}
        }
    }
}

/// The dialect of what diesel opens: PostgreSQL has words such as `host=localhost` too, a file of
/// SQLite may be called anything.
fn dialect_of(url: &str) -> Dialect {
    const WORDS: [&str; 7] = [
        "host", "hostaddr", "port", "dbname", "user", "password", "service",
    ];
    let is_word = |part: &str| {
        part.split_once('=')
            .is_some_and(|(word, _)| WORDS.contains(&word.trim()))
    };
    match url.split_once("://") {
        Some(("postgres" | "postgresql", _)) => Dialect::PostgreSql,
        Some(("mysql", _)) => Dialect::MySql,
        Some(("sqlite", _)) => Dialect::Sqlite,
        Some(_) => Dialect::Unknown,
        None if url.split_whitespace().any(is_word) => Dialect::PostgreSql,
        None => Dialect::Sqlite,
    }
}

impl Connection {
    fn opens(&mut self, url: &str) {
        self.dialect = dialect_of(url);
        // Each connection to one in memory has its own.
        self.database = match url {
            "" | ":memory:" => Some(collection::next_id()),
            url => {
                let mut hasher = hasher();
                hasher.write(url.as_bytes());
                Some(hasher.finish())
            }
        };
    }

    fn start(&mut self, reading: Reading, query: &dyn DebugQuery) {
        let Some(started) = Started::new(reading) else {
            self.is_used = true;
            return;
        };
        let (sql, values) = parts(query);
        let is_of_library = !self.is_used && is_setting(&sql);
        self.is_used |= !is_of_library;
        if self.running.len() == RUNNING {
            self.running.pop_front();
        }
        self.running.push_back(RunningQuery {
            started,
            sql,
            values,
            is_of_library,
        });
    }

    fn finish(&mut self, reading: Reading, query: &dyn DebugQuery, failed: bool) {
        if self.running.is_empty() {
            return;
        }
        let (sql, _) = parts(query);
        let Some(at) = self.running.iter().position(|running| running.sql == sql) else {
            return;
        };
        let Some(running) = self.running.remove(at) else {
            return;
        };
        let started = running.started;
        let event = QueryEvent {
            dialect: self.dialect,
            database: self.database,
            is_of_library: running.is_of_library,
            ..started.ended(reading, Source::Diesel, &sql)
        };
        let event = event.failed(failed);
        let event = match running.values {
            Some(values) => event.values(values),
            None => event,
        };
        event.record_in(&started.frame);
    }
}

/// Whether diesel-async sets this on a new connection, for itself: diesel sets the same before it
/// tells of anything.
fn is_setting(sql: &str) -> bool {
    const SETTINGS: [&str; 6] = [
        "SET TIME ZONE 'UTC'",
        "SET CLIENT_ENCODING TO 'UTF8'",
        "SET time_zone = '+00:00'",
        "SET character_set_client = 'utf8mb4'",
        "SET character_set_connection = 'utf8mb4'",
        "SET character_set_results = 'utf8mb4'",
    ];
    let sql = sql.trim_end().trim_end_matches(';');
    SETTINGS.contains(&sql)
}

/// The SQL and its values.
fn parts(query: &dyn DebugQuery) -> (String, Option<String>) {
    let mut text = String::new();
    // A value that cannot be written leaves what was written before it.
    let _ = write!(text, "{query}");
    match text.find(BINDS) {
        Some(at) => {
            let values = text[at + BINDS.len()..].trim();
            let values = (values != "[]").then(|| values.to_owned());
            text.truncate(at);
            (text, values)
        }
        None => (text, None),
    }
}
