//! The recorder of memprof: a global allocator that counts exactly, and records who took which
//! memory when asked to.
//!
//! Two lines make a program ready:
//!
//! ```
//! use profiler_alloc::ProfilerAlloc;
//!
//! #[global_allocator]
//! static ALLOC: ProfilerAlloc = ProfilerAlloc::system();
//! # fn main() {}
//! ```
//!
//! From then on every allocation is counted, exactly and at the cost of a few instructions: see
//! [`stats`], [`heap_in_use`], [`peak_heap`] and [`Region`]. Nothing is recorded until somebody asks:
//! `memprof run -- ./app` does through the environment (variables in
//! [`profiler_alloc_format::env`]), [`Recording::builder`] from code. A recording is a file that
//! `memprof report` turns into a table of the program's own source lines, also while the program
//! runs and after it was killed.
//!
//! # One function, exactly
//!
//! Attributes measure a function without any recording, in every build: `#[profile]` prints the
//! memory of each of its lines, `#[ram_profiler]` and `#[elapsed_timer]` what a call took,
//! `#[query_profiler]` which SQL it ran, and `#[budget]` holds a test to limits. See [`measure`]
//! and [`queries`].
//!
#![cfg_attr(
    feature = "macros",
    doc = r#"
```
use profiler_alloc::{ProfilerAlloc, profile};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

#[profile]
fn squares(count: u64) -> u64 {
    let list: Vec<u64> = (0..count).map(|number| number * number).collect();
    list.iter().sum()
}

# fn main() {
squares(1000);
let table = &profiler_alloc::measure::profiles()[0];
assert_eq!(table.lines[1].increment, Some(8000));
assert_eq!(table.lines[3].increment, Some(-8000)); // the list is dropped on the closing brace
# }
```
"#
)]
//!
//! # What a recording costs
//!
//! The recorder measures its own time, and its samples stay within a budget: 2 % of the program's
//! CPU time by default, after a grant of 6 ms, half of which goes to recording everything. Small
//! programs are recorded exactly, large ones by weighted samples. See [`Sample`]. An operation that
//! is not sampled takes some 12 instructions more than without a recording.
//!
//! # What can go wrong
//!
//! The program never fails because of the recorder. If a profile cannot be written, one line on
//! stderr says so and the program runs on; what is lost during a recording is counted in the file
//! and shown with every report.
//!
//! Runs on Linux. Stacks are walked by our own unwinder on x86-64 and AArch64, by the `backtrace`
//! crate on other machines.

#[cfg(not(all(
    target_os = "linux",
    target_pointer_width = "64",
    target_endian = "little"
)))]
compile_error!("profiler-alloc runs on 64-bit little-endian Linux");

mod allocator;
mod counters;
mod ffi;
mod hash;
mod lockfree;
pub mod measure;
mod profile_file;
mod recording;
mod sampling;
mod session;
mod slow_path;
mod stacks;
mod stats;
mod unwinder;

/// What `#[query_profiler]` sees: hooks for libraries, [`record`](queries::record) for all others,
/// and [`Handle`](queries::Handle) for threads and tasks.
///
/// | library | call once, at the start of the program | feature |
/// |---|---|---|
/// | SQLite, through any library | `install_sqlite()` | `sqlite` |
/// | diesel, diesel-async | `install_diesel()` | `diesel` |
/// | sqlx | `install_sqlx()`, or `sqlx_layer()` in a subscriber of your own | `sqlx` |
/// | sea-orm | [`install_sea_orm!`](crate::install_sea_orm), for each connection | |
/// | any other | [`record`](queries::record), after each query | |
///
/// A query that several of them see is reported once.
pub mod queries {
    #[cfg(feature = "diesel")]
    pub use crate::measure::queries::install_diesel;
    #[cfg(feature = "sqlite")]
    pub use crate::measure::queries::install_sqlite;
    pub use crate::measure::queries::{
        Carried, Dialect, Handle, InstallError, QueryEvent, Source, is_watched, record,
    };
    #[cfg(feature = "sqlx")]
    pub use crate::measure::queries::{install_sqlx, sqlx_layer};
}

pub use allocator::ProfilerAlloc;
pub use counters::installed::is_installed;
/// The former name of [`measure`].
#[doc(hidden)]
pub use measure as wrappers;
pub use measure::{elapsed_timer, query_profiler, ram_profiler};
pub use profiler_alloc_format::env::Sample;
#[cfg(feature = "macros")]
pub use profiler_alloc_macros::{
    budget, elapsed_timer, profile, profile_block, query_profiler, ram_profiler,
};
#[allow(deprecated, reason = "for programs that say `Builder`")]
pub use recording::Builder;
pub use recording::{Recording, RecordingBuilder, StartError};
#[allow(deprecated, reason = "for programs that say `peak`")]
pub use stats::peak;
pub use stats::{Region, heap_in_use, peak_heap, stats};
pub use stats_alloc::Stats;

/// For the preload library of memprof.
#[cfg(feature = "preload")]
#[doc(hidden)]
pub mod preload {
    pub use crate::allocator::NOTE_NAME;
    pub use crate::slow_path::start_preloaded as start;
}
