//! Queries that a library tells of by a span, from its start to its end.

use std::sync::Arc;

use tracing::span::{Attributes, Record};
use tracing::{Event, Metadata};

use super::fields::QueryFields;
use super::prepared;
use super::sources::{QuerySource, ToldBy};
use crate::measure::queries::frame::Frame;
use crate::measure::queries::started::{Reading, Started};

/// One, in the extensions of its span.
pub struct SpanQuery {
    source: &'static QuerySource,
    fields: QueryFields,
    /// `None` outside of scopes.
    started: Option<Started>,
}

impl SpanQuery {
    pub fn new(
        source: &'static QuerySource,
        attributes: &Attributes<'_>,
        frame: Option<Arc<Frame>>,
        start: Reading,
    ) -> SpanQuery {
        let mut fields = QueryFields::default();
        attributes.record(&mut fields.reader(source));
        SpanQuery {
            source,
            fields,
            started: frame.map(|frame| Started::in_scope(frame, start)),
        }
    }

    /// More of its fields.
    pub fn record(&mut self, values: &Record<'_>) {
        values.record(&mut self.fields.reader(self.source));
    }

    /// An event inside says how it ended.
    pub fn hear(&mut self, event: &Event<'_>) {
        event.record(&mut self.fields.reader(self.source));
    }

    /// Its span is over.
    pub fn end(self, metadata: &Metadata<'_>, end: Reading) {
        let fields = &self.fields;
        let statement = fields.statement();
        let sql = match (self.source.told_by, statement) {
            (ToldBy::Preparation, number) if !fields.has_failed => {
                // It has none if the program has given it up.
                if let Some(number) = number {
                    prepared::remember(number, fields.sql());
                }
                return;
            }
            (ToldBy::Execution, Some(number)) => prepared::recall(number),
            _ => Some(Arc::from(fields.sql())),
        };
        let Some(started) = self.started else {
            return;
        };
        let name = || {
            let [connection, number] = statement.unwrap_or_default();
            format!("EXECUTE statement_{number}_of_connection_{connection}").into()
        };
        let sql = sql.unwrap_or_else(name);
        let event = started.event(self.source.source, &*sql);
        let event = fields.complete(event, self.source, metadata);
        // Tasks take turns on a thread, so what it has allocated is not the query's alone.
        let event = event.elapsed(started.elapsed(end));
        event.record_in(&started.frame);
    }
}
