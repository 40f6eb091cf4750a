//! The types that all of the query code shares: who saw a query, where it stands, what a scope
//! asks for.

use core::fmt;
use core::hash::BuildHasher;
use core::panic::Location;
use std::collections::hash_map::{DefaultHasher, RandomState};
use std::sync::OnceLock;

/// Which library reported a query.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Source {
    /// SQLite itself.
    Sqlite,
    /// diesel or diesel-async.
    Diesel,
    /// sqlx.
    Sqlx,
    /// sea-orm.
    SeaOrm,
    /// toasty.
    Toasty,
    /// Anything else, by name. Its queries are assumed to be reported by no other library.
    Other(&'static str),
}

impl Source {
    /// A higher layer runs its queries through a lower one.
    pub fn layer(self) -> Option<u8> {
        match self {
            Source::Sqlite => Some(0),
            Source::Diesel | Source::Sqlx | Source::Toasty => Some(1),
            Source::SeaOrm => Some(2),
            Source::Other(_) => None,
        }
    }

    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Source::Sqlite => "sqlite",
            Source::Diesel => "diesel",
            Source::Sqlx => "sqlx",
            Source::SeaOrm => "sea-orm",
            Source::Toasty => "toasty",
            Source::Other(name) => name,
        }
    }
}

impl From<&'static str> for Source {
    fn from(name: &'static str) -> Source {
        Source::Other(name)
    }
}

/// A line of the source.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub struct Place {
    /// Path of the file, as the compiler knows it.
    pub file: &'static str,
    /// Number of the line.
    pub line: u32,
    /// True for the line that ran the query. Otherwise it is the one that opened the scope:
    /// closures and guards do not know the lines inside, nor do attributes those of a body that a
    /// macro has made.
    pub is_exact: bool,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { file, line, .. } = self;
        match self.is_exact {
            true => write!(f, "{file}:{line}"),
            false => write!(f, "in the scope of {file}:{line}"),
        }
    }
}

/// Where a function with an attribute stands.
#[derive(Debug)]
pub struct Origin {
    pub label: &'static str,
    pub file: &'static str,
    /// The line of the `fn`.
    pub line: u32,
}

/// Where a scope is opened.
#[derive(Clone, Copy, Debug)]
pub enum OpenedAt {
    /// A function with an attribute.
    Attribute(&'static Origin),
    /// A call of the closure form, or the start of a guard.
    Spot(&'static Location<'static>),
}

impl PartialEq for OpenedAt {
    fn eq(&self, other: &OpenedAt) -> bool {
        match (self, other) {
            (OpenedAt::Attribute(one), OpenedAt::Attribute(other)) => core::ptr::eq(*one, *other),
            (OpenedAt::Spot(one), OpenedAt::Spot(other)) => one == other,
            _ => false,
        }
    }
}

/// One run of a statement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StatementRun {
    /// The call of the scope.
    pub frame: u64,
    /// Which one of the call.
    pub number: u32,
    /// How often one function is called at most by what is written on its line.
    pub calls: u32,
    /// Which one of those written on its line.
    pub written: u32,
}

/// What has opened a scope inside of another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caller {
    /// The same for scopes that the same lines lead to. Recursions make it no longer.
    pub way: u64,
    pub statement: StatementRun,
}

/// What a scope wants to know of its queries, beyond the usual.
#[derive(Clone, Copy, Default, Debug)]
pub struct CollectOptions {
    /// The SQL with its values.
    pub values: bool,
    /// SQLite's plan of queries that take at least so many nanoseconds.
    pub plan_from_ns: Option<u64>,
}

impl CollectOptions {
    /// What either wants.
    pub fn or(self, other: CollectOptions) -> CollectOptions {
        let both = self.plan_from_ns.zip(other.plan_from_ns);
        let least = both.map(|(one, other)| one.min(other));
        CollectOptions {
            values: self.values || other.values,
            plan_from_ns: least.or(self.plan_from_ns).or(other.plan_from_ns),
        }
    }
}

/// Nobody outside can tell what the hash of a value is.
pub fn hasher() -> DefaultHasher {
    static HASH: OnceLock<RandomState> = OnceLock::new();
    HASH.get_or_init(RandomState::new).build_hasher()
}
