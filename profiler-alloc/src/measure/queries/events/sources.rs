//! The libraries that tell `tracing` of their queries: by what, and in which fields.
//!
//! ```text
//! event toasty::query    duration_ms=1.5 rows=2 db.system=sqlite db.statement=SELECT …
//! span  mysql_async::query    mysql_async.connection.id=7 mysql_async.query.sql=SELECT …
//! ```
//! So they do in sqlx 0.9.0, toasty 0.11.0, libsql 0.10.0, turso 0.8.3 and mysql_async 0.37.1.

use tracing::{Level, Metadata};

use super::entered;
use crate::measure::queries::dialect::Dialect;
use crate::measure::queries::model::Source;
use crate::measure::queries::sqlx_threads;

/// How one library tells of a query. A field without a name is one that it does not tell.
pub struct QuerySource {
    pub source: Source,
    /// Of its events or spans.
    pub target: &'static str,
    pub told_by: ToldBy,
    pub sql: SqlField,
    /// The values of placeholders, as text.
    pub values: &'static str,
    /// A list of values that ends so is not all of them.
    pub cut_values: &'static str,
    /// Rows returned, or changed.
    pub rows: &'static str,
    /// Rows changed, where that is not what `rows` says.
    pub changed: &'static str,
    /// How long it took.
    pub elapsed: &'static str,
    /// What `elapsed` counts in, in seconds.
    pub unit: f64,
    /// Is there if the query has failed.
    pub error: &'static str,
    /// Which database it is, for `dialect`.
    pub system: &'static str,
    pub dialect: fn(&str) -> Dialect,
    /// Two numbers that name a statement which was prepared: its connection's and its own.
    pub statement: [&'static str; 2],
    /// Whether the library runs this SQL for itself.
    pub is_of_library: fn(&Metadata<'_>, &str) -> bool,
    /// Whether this is the first query of its connection. It is asked outside of scopes too.
    pub is_first: fn() -> bool,
}

/// What tells of a query.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ToldBy {
    /// An event when it is over, or when it is prepared.
    Event,
    /// A span while it runs.
    Query,
    /// A span while a statement is prepared, which is no query, unless it fails.
    Preparation,
    /// A span while a prepared statement runs. It has the statement's numbers and not its SQL.
    Execution,
}

/// Where the SQL is.
pub enum SqlField {
    /// In the first of these that is not blank.
    Fields([&'static str; 2]),
    /// In the message, between one of these beginnings and its end.
    Message(&'static [(&'static str, &'static str)]),
}

const NOTHING: QuerySource = QuerySource {
    source: Source::Other(""),
    target: "",
    told_by: ToldBy::Event,
    sql: SqlField::Fields(["", ""]),
    values: "",
    cut_values: "...]",
    rows: "",
    changed: "",
    elapsed: "",
    unit: 1.0,
    error: "",
    system: "",
    dialect: |_| Dialect::Sqlite,
    statement: ["", ""],
    is_of_library: |_, _| false,
    is_first: || false,
};

const SQLX: QuerySource = QuerySource {
    source: Source::Sqlx,
    target: "sqlx::query",
    // The summary is the first words: all of them, if there are four or fewer, and then the only
    // field that is not blank.
    sql: SqlField::Fields(["db.statement", "summary"]),
    rows: "rows_returned",
    // On SQLite, those of the last statement that changed any, whichever that was.
    changed: "rows_affected",
    elapsed: "elapsed_secs",
    dialect: |_| dialect_of_sqlx(),
    is_of_library: |_, sql| is_lookup_of_sqlx(sql),
    is_first: sqlx_threads::is_new,
    ..NOTHING
};

/// Its events about databases without SQL have no statement.
const TOASTY: QuerySource = QuerySource {
    source: Source::Toasty,
    target: "toasty::query",
    sql: SqlField::Fields(["db.statement", ""]),
    values: "db.params",
    rows: "rows",
    elapsed: "duration_ms",
    unit: 1e-3,
    error: "error",
    system: "db.system",
    dialect: |system| match system {
        "sqlite" | "turso" => Dialect::Sqlite,
        "postgresql" => Dialect::PostgreSql,
        "mysql" | "mariadb" => Dialect::MySql,
        _ => Dialect::Unknown,
    },
    ..NOTHING
};

const LIBSQL: QuerySource = QuerySource {
    source: Source::Other("libsql"),
    target: "libsql::connection",
    sql: SqlField::Message(&[
        ("preparing `", "`"),
        ("executing `", "`"),
        ("executing batch `", "`"),
        ("executing batch transactional `", "`"),
    ]),
    ..NOTHING
};

const TURSO: QuerySource = QuerySource {
    source: Source::Other("turso"),
    target: "turso_core::connection",
    sql: SqlField::Message(&[("Preparing: ", "")]),
    // How it reads a schema that it has changed, as for `CREATE TABLE users`: that of the rows with
    // `tbl_name = 'users'`.
    is_of_library: |_, sql| sql.starts_with("SELECT * FROM sqlite_schema"),
    ..NOTHING
};

const MYSQL_QUERY: QuerySource = QuerySource {
    source: Source::Other("mysql_async"),
    target: "mysql_async::conn::routines::query",
    told_by: ToldBy::Query,
    sql: SqlField::Fields(["mysql_async.query.sql", ""]),
    error: "error",
    dialect: |_| Dialect::MySql,
    // What it asks a new connection.
    is_of_library: |metadata, _| *metadata.level() == Level::TRACE,
    ..NOTHING
};

const MYSQL_PREPARATION: QuerySource = QuerySource {
    target: "mysql_async::conn::routines::prepare",
    told_by: ToldBy::Preparation,
    statement: ["mysql_async.connection.id", "mysql_async.statement.id"],
    ..MYSQL_QUERY
};

const MYSQL_EXECUTION: QuerySource = QuerySource {
    target: "mysql_async::conn::routines::exec",
    told_by: ToldBy::Execution,
    values: "mysql_async.query.params",
    ..MYSQL_PREPARATION
};

static SOURCES: [QuerySource; 7] = [
    SQLX,
    TOASTY,
    LIBSQL,
    TURSO,
    MYSQL_QUERY,
    MYSQL_PREPARATION,
    MYSQL_EXECUTION,
];

/// Who tells of queries with this event or span, if anybody does. toasty's spans have the target of
/// its events and tell of none. sqlx asks first whether anybody listens, by what is neither an
/// event nor a span.
pub fn of(metadata: &Metadata<'_>) -> Option<&'static QuerySource> {
    let source = SOURCES
        .iter()
        .find(|source| source.target == metadata.target())?;
    (!metadata.is_span() || source.told_by != ToldBy::Event).then_some(source)
}

/// sqlx runs SQLite on threads of its own, which are in a scope by its span; the others in the
/// task's own.
fn dialect_of_sqlx() -> Dialect {
    match entered::is_in() {
        _ if sqlx_threads::is_one() => Dialect::Sqlite,
        true => Dialect::Unknown,
        false => Dialect::PostgreSqlOrMySql,
    }
}

/// What sqlx asks for itself: what a type of PostgreSQL is that the program has named, or a
/// column's table.
fn is_lookup_of_sqlx(sql: &str) -> bool {
    let is_of_types = sql.contains(") lookup_inner(original_name, lookup_oid)");
    is_of_types || sql.contains("ON lookup.table_oid = attrelid AND lookup.attribute_num = attnum")
}
