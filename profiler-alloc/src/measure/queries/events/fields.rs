//! What the fields of one event or span say of a query.

use core::fmt::{Debug, Write};
use std::time::Duration;

use tracing::Metadata;
use tracing::field::{Field, Visit};

use super::sources::{QuerySource, SqlField};
use crate::measure::queries::event::QueryEvent;

/// What is read so far. The fields of a span may come one after the other.
#[derive(Default, Debug)]
pub struct QueryFields {
    /// By rank: the first one that is not blank is the SQL.
    sql: [String; 2],
    values: Option<String>,
    rows: Option<u64>,
    changed: Option<u64>,
    elapsed: Option<f64>,
    system: String,
    statement: [Option<u64>; 2],
    pub has_failed: bool,
}

impl QueryFields {
    /// Takes over what a source's fields say.
    pub fn reader(&mut self, source: &'static QuerySource) -> impl Visit {
        FieldReader {
            source,
            fields: self,
        }
    }

    /// Without the blanks around it; empty if there is none.
    pub fn sql(&self) -> &str {
        let mut texts = self.sql.iter().map(|sql| sql.trim());
        texts.find(|sql| !sql.is_empty()).unwrap_or_default()
    }

    /// The numbers of a prepared statement.
    pub fn statement(&self) -> Option<[u64; 2]> {
        let [connection, statement] = self.statement;
        Some([connection?, statement?])
    }

    /// Adds what the fields say to `event`, whose SQL is known.
    pub fn complete<'a>(
        &'a self,
        event: QueryEvent<'a>,
        source: &QuerySource,
        metadata: &Metadata<'_>,
    ) -> QueryEvent<'a> {
        let elapsed = |count: f64| Duration::try_from_secs_f64(count * source.unit);
        let values = self.values.as_deref();
        let values = values.filter(|values| !values.ends_with(source.cut_values));
        // mysql_async writes a comma behind the last one too.
        let values = values.map(|values| values.trim_end_matches(", "));
        QueryEvent {
            dialect: (source.dialect)(&self.system),
            is_of_library: (source.is_of_library)(metadata, &event.sql),
            values: values.map(Into::into),
            rows: self.rows,
            changed: self.changed,
            elapsed: self.elapsed.map(|count| elapsed(count).unwrap_or_default()),
            failed: (!source.error.is_empty()).then_some(self.has_failed),
            ..event
        }
    }
}

struct FieldReader<'a> {
    source: &'static QuerySource,
    fields: &'a mut QueryFields,
}

impl Visit for FieldReader<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        let (source, fields) = (self.source, &mut *self.fields);
        for (number, name) in fields.statement.iter_mut().zip(source.statement) {
            if name == field.name() {
                *number = Some(value);
            }
        }
        match field.name() {
            name if name == source.rows => fields.rows = Some(value),
            name if name == source.changed => fields.changed = Some(value),
            _ => {}
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == self.source.elapsed {
            self.fields.elapsed = Some(value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let (source, fields) = (self.source, &mut *self.fields);
        match field.name() {
            name if name == source.values => fields.values = Some(text(value)),
            name if name == source.system => fields.system = text(value),
            name if name == source.error => fields.has_failed = true,
            name => match source.sql {
                SqlField::Fields(names) => {
                    for (sql, _) in fields.sql.iter_mut().zip(names).filter(|(_, n)| *n == name) {
                        *sql = text(value);
                    }
                }
                SqlField::Message(forms) if name == "message" => {
                    fields.sql[0] = between(&text(value), forms).to_owned();
                }
                SqlField::Message(_) => {}
            },
        }
    }
}

/// A text that cannot be written is read as far as it can.
fn text(value: &dyn Debug) -> String {
    let mut text = String::new();
    let _ = write!(text, "{value:?}");
    text
}

/// What stands between a beginning and its end, in the first form that fits.
fn between<'a>(message: &'a str, forms: &[(&str, &str)]) -> &'a str {
    let mut found = forms
        .iter()
        .filter_map(|(start, end)| message.strip_prefix(start)?.strip_suffix(end));
    found.next().unwrap_or_default()
}
