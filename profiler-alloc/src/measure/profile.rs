//! `#[profile]`: the exact line table of a function.
//!
//! The macro puts a probe before every statement; a probe closes the line that ran until then and
//! opens the next:
//!
//! ```text
//! enter ──▶ at(9) ── let a = …; ──▶ at(10) ── let b = f(); ──▶ at(11) ── drop(a); ──▶ leave
//!   │          charged to 9  ──┘      charged to 10, with ──┘
//!   └ an outer call of the same       all that f did
//!     function is suspended here
//! ```
//!
//! What a probe needs is a thread-local of the function and a block of counters that belongs to the
//! thread while it is in the function ([`local`]); the table adds the blocks up ([`table`]). So a
//! probe writes nothing that others write, allocates nothing, and sees calls of other functions as
//! part of the line that made them.

mod block;
mod call;
pub(super) mod function;
mod guards;
pub(super) mod line_uses;
mod local;
mod source;
mod summing;
mod table;

use super::exit;
use super::report::profile::ProfileReport;
use crate::counters::thread_counts::{Untracked, given};

pub use call::call;
pub use function::About;
pub use guards::{Back, Brace, Nested, ResumeProbes, SuspendProbes};
pub use local::{Local, at, pass};
pub use table::Table;

/// Prints the tables of all functions that ran since they were last printed, and the summaries that
/// were asked for, instead of waiting for the end of the program.
pub fn report() {
    let _untracked = Untracked::begin();
    exit::all().into_iter().for_each(|ending| ending.on_exit());
}

/// The tables of all functions so far, as values.
pub fn profiles() -> Vec<ProfileReport> {
    let make = || table::all().into_iter().map(Table::report).collect();
    given(make, Vec::clone)
}
