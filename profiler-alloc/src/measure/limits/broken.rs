//! A budget that was broken: its limits, and the lines and queries that used most.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::measure::queries::model::Place;
use crate::measure::words;

/// Queries that a failure names.
const QUERIES_NAMED: usize = 20;

/// A limit that was broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Limit {
    /// The most heap of its own that the scope held at one moment. *Bytes.*
    Heap {
        /// Allowed.
        limit: u64,
        /// Used.
        used: u64,
    },
    /// Calls of `alloc` and `realloc`.
    Allocations {
        /// Allowed.
        limit: u64,
        /// Used.
        used: u64,
    },
    /// Wall-clock time; of an `async fn`, the time of its polls.
    Time {
        /// Allowed.
        limit: Duration,
        /// Used.
        used: Duration,
    },
    /// Queries.
    Queries {
        /// Allowed.
        limit: u64,
        /// Used.
        used: u64,
    },
    /// A number of queries other than the exact one asked for.
    NumQueries {
        /// Expected.
        expected: u64,
        /// Used.
        used: u64,
    },
    /// Memory that the scope allocated and did not free. *Bytes.*
    Leak {
        /// Left over.
        bytes: u64,
    },
    /// `ProfilerAlloc` is not the global allocator, so limits of memory cannot be checked.
    Unknown,
    /// The budget's context cannot be told from others, as the program has named too many, or too
    /// many are under a budget at once.
    TooManyContexts,
}

/// A line of a `#[profile]` function, and what it allocated minus what it freed inside the scope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct LineUse {
    /// Path of the function.
    pub function: &'static str,
    /// Its file.
    pub file: &'static str,
    /// Number of the line.
    pub line: u32,
    /// Bytes, callees included.
    pub bytes: i64,
}

/// A budget that was broken.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Broken {
    /// What was broken.
    pub limits: Vec<Limit>,
    /// The context that memory was counted of, on all threads: `route=/orders`. `None`: it was
    /// counted of the scope's own thread.
    pub context: Option<String>,
    /// The lines of `#[profile]` functions that used most, the largest first.
    pub lines: Vec<LineUse>,
    /// If a limit on queries was broken: the queries, in the order in which each first ran.
    pub queries: Vec<QueryUse>,
}

/// Queries from one line that differ only in their values.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct QueryUse {
    /// The SQL without values.
    pub normalised: Arc<str>,
    /// The line that ran them.
    pub place: Place,
    /// How often.
    pub times: u64,
}

impl Broken {
    /// A copy that shares nothing with this one.
    pub(super) fn copy(&self) -> Broken {
        let own = |query: &QueryUse| QueryUse {
            normalised: Arc::from(&*query.normalised),
            ..*query
        };
        Broken {
            limits: self.limits.clone(),
            context: self.context.clone(),
            lines: self.lines.clone(),
            queries: self.queries.iter().map(own).collect(),
        }
    }
}

impl std::error::Error for Broken {}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(context) = &self.context {
            let context = words::sanitized(context);
            writeln!(f, "in the context {context}, on all threads:")?;
        }
        for (index, limit) in self.limits.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{limit}")?;
        }
        if !self.lines.is_empty() {
            write!(f, "\nlines that used most:")?;
        }
        for line in &self.lines {
            let bytes = words::table_bytes(line.bytes, 1);
            write!(
                f,
                "\n  {bytes:>10}  {}:{} ({})",
                line.file, line.line, line.function
            )?;
        }
        if !self.queries.is_empty() {
            write!(f, "\nqueries:")?;
        }
        for query in self.queries.iter().take(QUERIES_NAMED) {
            let sql = words::sanitized(&query.normalised);
            write!(f, "\n  {:>4} times  {} ({sql})", query.times, query.place)?;
        }
        match self.queries.len().saturating_sub(QUERIES_NAMED) {
            0 => {}
            more => write!(f, "\n  … {more} more")?,
        }
        Ok(())
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |bytes: u64| {
            let short = words::table_bytes(bytes as i64, 1);
            if short.ends_with(" B") {
                short
            } else {
                format!("{short} ({bytes} B)")
            }
        };
        match *self {
            Limit::Heap { limit, used } => {
                write!(f, "max_heap: limit {}, used {}", size(limit), size(used))
            }
            Limit::Allocations { limit, used } => {
                write!(f, "max_allocations: limit {limit}, used {used}")
            }
            Limit::Queries { limit, used } => write!(f, "max_queries: limit {limit}, used {used}"),
            Limit::NumQueries { expected, used } => {
                write!(f, "queries: expected {expected}, used {used}")
            }
            Limit::Time { limit, used } => write!(f, "max_time: limit {limit:?}, used {used:?}"),
            Limit::Leak { bytes } => write!(f, "no_leaks: {} not freed", size(bytes)),
            Limit::TooManyContexts => write!(
                f,
                "memory of the context cannot be counted apart: the program has more than 4,096 contexts, or more than 32 \
                 are under a budget at once"
            ),
            Limit::Unknown => write!(
                f,
                "memory cannot be checked: ProfilerAlloc is not the global allocator of this program; add \
                 `#[global_allocator] static ALLOC: profiler_alloc::ProfilerAlloc = profiler_alloc::ProfilerAlloc::system();`"
            ),
        }
    }
}
