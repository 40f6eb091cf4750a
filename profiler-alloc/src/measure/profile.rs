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
mod guards;
mod local;
mod report;
mod source;
mod table;
mod text;

use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use super::exit;
use crate::counters::installed::is_installed;
use crate::counters::thread_counts::{Excused, given};

pub use call::call;
pub use guards::{Back, Brace, Mute, Nested, Unmute};
pub use local::{Local, at, pass};
pub use report::{Line, Metric, ProfileReport};
pub use table::{About, Columns, Table};

/// Prints the tables of all functions that ran since they were last printed, and the summaries that
/// were asked for, instead of waiting for the end of the program.
pub fn report() {
    let _excused = Excused::begin();
    exit::all().into_iter().for_each(|ending| ending.at_end());
}

/// The tables of all functions so far, as values.
pub fn profiles() -> Vec<ProfileReport> {
    let make = || table::all().into_iter().map(Table::report).collect();
    given(make, Vec::clone)
}

/// True if the program's allocator tells what is on the heap; if not, says once that memory is the
/// process's. Asked once, when first needed.
pub(super) fn is_heap_known() -> bool {
    static SAID: AtomicBool = AtomicBool::new(false);
    let is_known = is_heap_counted();
    if !is_known && !SAID.swap(true, Ordering::Relaxed) {
        crate::ffi::os::warn(&[
            b"ProfilerAlloc is not the global allocator: memory is that of the whole process (RSS). Add ",
            b"#[global_allocator] static ALLOC: profiler_alloc::ProfilerAlloc = profiler_alloc::ProfilerAlloc::system();",
        ]);
    }
    is_known
}

/// As [`is_heap_known`], without a word.
pub(super) fn is_heap_counted() -> bool {
    const UNKNOWN: u8 = 0;
    const NO: u8 = 1;
    const YES: u8 = 2;
    static STATE: AtomicU8 = AtomicU8::new(UNKNOWN);
    match STATE.load(Ordering::Relaxed) {
        UNKNOWN => {
            let _excused = Excused::begin();
            let is_known = is_installed();
            STATE.store(if is_known { YES } else { NO }, Ordering::Relaxed);
            is_known
        }
        state => state == YES,
    }
}
