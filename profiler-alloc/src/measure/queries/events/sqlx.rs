//! What sqlx's events say.

use core::cell::Cell;
use std::time::Duration;

use tracing::Event;
use tracing::field::{Field, Visit};

use super::entered;
use crate::measure::queries::dialect::Dialect;
use crate::measure::queries::event::QueryEvent;
use crate::measure::queries::frame::Frame;
use crate::measure::queries::model::Source;
use crate::measure::queries::sqlx_threads;

pub const TARGET: &str = "sqlx::query";

thread_local! {
    /// sqlx has told of nothing on the thread yet.
    static IS_NEW: Cell<bool> = const { Cell::new(true) };
}

/// Reads one.
pub fn read(event: &Event<'_>, frame: Option<&Frame>) {
    // sqlx sets a new connection of SQLite up on a new thread, by one text of all the settings.
    let is_first = IS_NEW.replace(false) && sqlx_threads::is_one();
    if let Some(frame) = frame {
        let mut fields = SqlxFields::default();
        event.record(&mut fields);
        fields.event(is_first).record_in(frame);
    }
}

/// sqlx runs SQLite on threads of its own, which are in a scope by its span; the others in the
/// task's own.
fn dialect() -> Dialect {
    match entered::is_in() {
        _ if sqlx_threads::is_one() => Dialect::Sqlite,
        true => Dialect::Unknown,
        false => Dialect::PostgreSqlOrMySql,
    }
}

/// Whether sqlx asks this for itself: what a type of PostgreSQL is that the program has named, or a
/// column's table.
fn is_lookup(sql: &str) -> bool {
    let is_of_types = sql.contains(") lookup_inner(original_name, lookup_oid)");
    is_of_types || sql.contains("ON lookup.table_oid = attrelid AND lookup.attribute_num = attnum")
}

/// What an event of sqlx says.
#[derive(Default)]
struct SqlxFields {
    /// The first words; all of them, if there are four or fewer.
    summary: String,
    /// The whole statement, if it has more.
    statement: String,
    returned: u64,
    affected: u64,
    seconds: f64,
}

impl Visit for SqlxFields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => self.summary = value.to_owned(),
            "db.statement" => self.statement = value.to_owned(),
            _ => {}
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "rows_returned" => self.returned = value,
            "rows_affected" => self.affected = value,
            _ => {}
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "elapsed_secs" {
            self.seconds = value;
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn core::fmt::Debug) {}
}

impl SqlxFields {
    fn event(&self, is_first: bool) -> QueryEvent<'_> {
        let sql = match self.statement.trim() {
            "" => &self.summary,
            statement => statement,
        };
        QueryEvent {
            dialect: dialect(),
            is_of_library: is_lookup(sql),
            is_first,
            // On SQLite, those of the last statement that changed any, whichever that was.
            changed: Some(self.affected),
            ..QueryEvent::new(Source::Sqlx, sql)
        }
        .elapsed(Duration::try_from_secs_f64(self.seconds).unwrap_or_default())
        .rows(self.returned)
    }
}
