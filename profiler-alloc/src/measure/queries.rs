//! `query_profiler`: the SQL statements that a call ran.
//!
//! ```text
//! library's hook ──▶ event ──▶ frame of the thread ──▶ collection ──▶ findings ──▶ report
//!  sqlite, diesel,             (which scope,           (one entry
//!  sqlx, sea-orm,               which line)             a query)
//!  record
//! ```

mod collection;
mod dialect;
#[cfg(feature = "diesel")]
mod diesel;
mod event;
#[cfg(feature = "sqlx")]
mod events;
mod findings;
mod frame;
mod lex;
mod normal;
mod report;
mod sea_orm;
mod shape;
mod site;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(feature = "sqlite", feature = "sqlx"))]
mod sqlx_threads;
#[cfg(any(feature = "sqlite", feature = "diesel"))]
mod started;
mod statement;
mod text;
mod tokens;

#[cfg(feature = "diesel")]
pub use self::diesel::install_diesel;
#[cfg(feature = "sqlite")]
pub use self::sqlite::install_sqlite;
pub use dialect::Dialect;
pub use event::{QueryEvent, Source, is_watched, record};
#[cfg(feature = "sqlx")]
pub use events::{install_sqlx, sqlx_layer};
pub use findings::{Finding, Findings};
pub use frame::{Carried, Handle, QueryLine, at};
pub use report::{Place, Query, QueryReport, QuerySummary};
pub use sea_orm::sea_orm;
pub use site::{QueryOptions, QueryProfiler, QuerySite, query_profiler, scope};

pub(super) use collection::Wanted;
pub(super) use frame::Site;
pub(super) use site::Collecting;

/// A hook could not be installed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InstallError {
    message: String,
}

impl std::fmt::Display for InstallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for InstallError {}
