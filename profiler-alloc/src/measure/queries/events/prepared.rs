//! What libsql and turso say when they prepare a query: its SQL, in a message, and no more.
//!
//! ```text
//! preparing `SELECT 1`        executing `SELECT 1`        Preparing: SELECT 1
//! ```

use core::fmt::{Debug, Write};

use tracing::Event;
use tracing::field::{Field, Visit};

use crate::measure::queries::dialect::Dialect;
use crate::measure::queries::event::QueryEvent;
use crate::measure::queries::frame::Frame;

pub const LIBSQL: &str = "libsql::connection";
pub const TURSO: &str = "turso_core::connection";

/// Reads one, if it is about a query.
pub fn read(event: &Event<'_>, frame: Option<&Frame>) {
    let Some(frame) = frame else {
        return;
    };
    let mut message = Message::default();
    event.record(&mut message);
    let (name, sql) = match event.metadata().target() {
        LIBSQL => ("libsql", in_backticks(&message.0)),
        _ => ("turso", message.0.strip_prefix("Preparing: ")),
    };
    if let Some(sql) = sql {
        let event = QueryEvent::new(name, sql).dialect(Dialect::Sqlite);
        event.record_in(frame);
    }
}

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            // A text that cannot be written is not read.
            let _ = write!(self.0, "{value:?}");
        }
    }
}

/// What stands behind one of the words that begin a message about a query.
fn in_backticks(message: &str) -> Option<&str> {
    let (start, rest) = message.split_once('`')?;
    let is_query = start.starts_with("executing ") || start.starts_with("preparing ");
    rest.strip_suffix('`').filter(|_| is_query)
}
