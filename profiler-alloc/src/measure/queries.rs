//! `query_profiler`: the SQL statements that a call ran.
//!
//! ```text
//! library's hook ──▶ event ──▶ frame of the thread ──▶ collection ──▶ findings ──▶ report
//!  sqlite, diesel,             (which scope,           (one entry
//!  tracing, sea-orm,            which line)             a query)
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
mod line;
pub(super) mod model;
mod normal;
mod sea_orm;
mod shape;
pub(super) mod site;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(feature = "sqlite", feature = "sqlx"))]
mod sqlx_threads;
#[cfg(any(feature = "sqlite", feature = "diesel", feature = "sqlx"))]
#[cfg_attr(
    not(any(feature = "sqlite", feature = "diesel")),
    allow(
        dead_code,
        reason = "part of it is for hooks that run on the query's thread"
    )
)]
mod started;
pub(super) mod statement;
mod tokens;

#[cfg(feature = "diesel")]
pub use self::diesel::install_diesel;
#[cfg(feature = "sqlite")]
pub use self::sqlite::install_sqlite;
pub use dialect::Dialect;
pub use event::{QueryEvent, is_watched, record};
#[cfg(feature = "sqlx")]
pub use events::{install_sqlx, sqlx_layer};
pub use frame::{Carried, Handle};
pub use line::{QueryLine, at};
pub use model::{Place, Source};
pub use sea_orm::sea_orm;
pub use site::{QueryOptions, QueryProfiler, QuerySite, query_profiler, scope};

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
