//! The recorder of memprof: a global allocator that counts exactly, and records who took which
//! memory when asked to.
#![cfg_attr(
    feature = "macros",
    doc = "\n",
    doc = include_str!("../README.md")
)]

mod allocator;
#[cfg(all(can_record, not(feature = "preload")))]
mod c_heap;
mod contexts;
mod counters;
mod ffi;
mod hash;
mod heaps;
mod lockfree;
#[cfg(all(can_record, feature = "preload"))]
mod mapped;
pub mod measure;
mod profile_file;
mod recording;
mod resident;
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
pub use heaps::Heap;
/// The former name of [`measure`].
#[doc(hidden)]
pub use measure as wrappers;
#[cfg(feature = "tracing")]
pub use measure::contexts::ContextLayer;
pub use measure::contexts::{
    Context, ContextGuard, ContextStats, InContext, WithinContext, context, contexts,
};
pub use measure::{elapsed_timer, query_profiler, ram_profiler};
pub use profiler_alloc_format::env::Sample;
#[cfg(feature = "macros")]
pub use profiler_alloc_macros::{
    budget, elapsed_timer, profile, profile_block, query_profiler, ram_profiler,
};
#[allow(deprecated, reason = "for programs that say `Builder`")]
pub use recording::Builder;
pub use recording::{Recording, RecordingBuilder, StartError, mark};
pub use resident::block_sizes::{InnerStatistics, set_inner_statistics};
#[allow(deprecated, reason = "for programs that say `peak`")]
pub use stats::peak;
pub use stats::{Region, heap_in_use, peak_heap, stats};
pub use stats_alloc::Stats;

/// For the preload library of memprof.
#[cfg(feature = "preload")]
#[doc(hidden)]
pub mod preload {
    pub use crate::allocator::NOTE_NAME;
    pub use crate::mapped::{
        Remapping, Unmapping, forget, mapped, protected, remapping, reserved, unmapping,
    };
    pub use crate::slow_path::start_preloaded as start;
    pub use profiler_alloc_format::c_heap::{Below, Teller};
}
