//! Wrappers: measuring one function, one closure, or the middle of a function, exactly.
//!
//! | attribute | closure | scope | says |
//! |---|---|---|---|
//! | `#[profile]` | [`profile_block!`][block] | | the memory of every line, at the program's end |
//! | `#[ram_profiler]` | [`ram_profiler`][ram] | [`RamProfiler`] | memory before and after |
//! | `#[elapsed_timer]` | [`elapsed_timer`][timer] | [`ElapsedTimer`] | wall-clock and CPU time |
//! | `#[query_profiler]` | [`query_profiler`][sql] | [`QueryProfiler`] | every SQL statement |
//! | `#[budget]` | [`Budget::check`] | | nothing, unless the limit is broken: then it panics |
//!
//! [block]: crate::profile_block
//! [ram]: crate::ram_profiler()
//! [timer]: crate::elapsed_timer()
//! [sql]: crate::query_profiler()
//!
//! They stack in any order, also below attributes of other crates, and keep the function's
//! signature. An `async fn`, and a function that returns a future, are measured over their own
//! polls only, on whichever thread they happen. Reports go to stderr; [`set_output`] and
//! [`set_format`] change that.
//!
//! `MEMPROF_OFF=1` in the environment turns all of them off, the feature `off` removes them.

mod assertions;
pub(crate) mod contexts;
mod elapsed;
mod enabled;
mod exit;
mod histogram;
mod inside;
mod installed;
mod json;
mod limits;
mod output;
mod profile;
pub(crate) mod queries;
mod ram;
mod report;
mod returned;
mod rss;
mod scope;
mod scope_counter;
mod words;

pub use elapsed::{ElapsedTimer, elapsed_timer};
pub use histogram::Spread;
pub use limits::{Broken, Budget, Limit, LineUse, QueryUse};
pub use output::{Format, Output, set_format, set_output};
pub use profile::{profiles, report};
pub use queries::{Place, QueryProfiler, query_profiler};
pub use ram::{RamProfiler, ram_profiler};
pub use report::Report;
pub use report::elapsed::{ElapsedReport, ElapsedSummary};
pub use report::profile::{Line, Metric, ProfileReport};
pub use report::query::{Finding, Findings, Query, QueryReport, QuerySummary};
pub use report::ram::{HeapUse, Moment, RamReport, RamSummary};

/// What the attributes expand to; no part of the interface.
#[doc(hidden)]
pub mod private {
    pub use super::elapsed::{ElapsedSite, scope as elapsed_scope};
    pub use super::limits::Budget;
    pub use super::limits::scope as budget_scope;
    pub use super::profile::{
        About, Back, Brace, Local, Nested, ResumeProbes, SuspendProbes, Table, at,
        call as profile_call, pass,
    };
    pub use super::queries::{
        QueryLine, QueryOptions, QuerySite, at as query_at, scope as query_scope, sea_orm,
    };
    pub use super::ram::{RamOptions, RamSite, scope as ram_scope};
    pub use super::report::profile::Columns;
    pub use super::returned::{CalledLater, NoStream, Pollable, Returned, is_no_stream};
    pub use super::scope::{Entered, Made, Polled, make};

    /// Hands an argument to the scope in which it is dropped.
    #[inline(always)]
    pub fn argument<T>(argument: T) -> T {
        argument
    }
}
