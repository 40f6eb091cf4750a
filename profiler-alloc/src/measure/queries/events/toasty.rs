//! What toasty's events say.

use core::fmt::Debug;
use std::time::Duration;

use tracing::Event;
use tracing::field::{Field, Visit};

use crate::measure::queries::dialect::Dialect;
use crate::measure::queries::event::QueryEvent;
use crate::measure::queries::frame::Frame;
use crate::measure::queries::model::Source;

pub const TARGET: &str = "toasty::query";

/// Reads one. Those of databases without SQL have no statement.
pub fn read(event: &Event<'_>, frame: Option<&Frame>) {
    let Some(frame) = frame else {
        return;
    };
    let mut fields = ToastyFields::default();
    event.record(&mut fields);
    if let Some(event) = fields.event() {
        event.record_in(frame);
    }
}

#[derive(Default)]
struct ToastyFields {
    system: String,
    statement: String,
    /// Told only if the program has asked toasty for it.
    values: Option<String>,
    milliseconds: f64,
    rows: Option<u64>,
    has_failed: bool,
}

impl Visit for ToastyFields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "rows" {
            self.rows = Some(value);
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "duration_ms" {
            self.milliseconds = value;
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "db.system" => self.system = format!("{value:?}"),
            "db.statement" => self.statement = format!("{value:?}"),
            "db.params" => self.values = Some(format!("{value:?}")),
            "error" => self.has_failed = true,
            _ => {}
        }
    }
}

impl ToastyFields {
    fn event(self) -> Option<QueryEvent<'static>> {
        let dialect = match self.system.as_str() {
            "sqlite" | "turso" => Dialect::Sqlite,
            "postgresql" => Dialect::PostgreSql,
            "mysql" | "mariadb" => Dialect::MySql,
            _ => Dialect::Unknown,
        };
        let elapsed = Duration::try_from_secs_f64(self.milliseconds / 1e3).unwrap_or_default();
        let event = QueryEvent::new(Source::Toasty, self.statement)
            .dialect(dialect)
            .elapsed(elapsed)
            .failed(self.has_failed);
        let event = match self.rows {
            Some(rows) => event.rows(rows),
            None => event,
        };
        // Of many, toasty tells the first.
        let event = match self.values.filter(|values| !values.ends_with("...]")) {
            Some(values) => event.values(values),
            None => event,
        };
        (!event.sql.is_empty()).then_some(event)
    }
}
