//! Queries of sea-orm, by its metric callback. A macro writes the callback, so that no version of
//! sea-orm is needed here.

use core::fmt;
use std::time::Duration;

use super::dialect::Dialect;
use super::event::QueryEvent;
use super::frame;
use super::model::Source;
use crate::counters::thread_counts::Untracked;

/// Has the connection tell `#[query_profiler]` of its queries, where nothing below sea-orm does:
/// SQLite's own hook, or the layer for sqlx, knows more of them. A query that two of them see is
/// one query.
///
/// ```ignore
/// let mut db = Database::connect("sqlite::memory:").await?;
/// profiler_alloc::install_sea_orm!(db);
/// ```
#[macro_export]
macro_rules! install_sea_orm {
    ($connection:expr $(,)?) => {
        $connection.set_metric_callback(|info| {
            let values = || {
                let values = info.statement.values.as_ref();
                values.map(|values| ::std::format!("{:?}", values.0))
            };
            $crate::measure::private::sea_orm(
                &info.statement.sql,
                ::std::format_args!("{:?}", info.statement.db_backend),
                info.elapsed,
                info.failed,
                values,
            );
        })
    };
}

/// One query.
#[doc(hidden)]
pub fn sea_orm(
    sql: &str,
    backend: fmt::Arguments<'_>,
    elapsed: Duration,
    failed: bool,
    values: impl FnOnce() -> Option<String>,
) {
    let untracked = Untracked::begin();
    let Some(frame) = frame::current().filter(|_| untracked.is_some()) else {
        return;
    };
    let dialect = match backend.to_string().as_str() {
        "Sqlite" => Dialect::Sqlite,
        "Postgres" => Dialect::PostgreSql,
        "MySql" => Dialect::MySql,
        _ => Dialect::Unknown,
    };
    let event = QueryEvent::new(Source::SeaOrm, sql)
        .dialect(dialect)
        .elapsed(elapsed)
        .failed(failed);
    let event = match values() {
        Some(values) => event.values(values),
        None => event,
    };
    event.record_in(&frame);
}
