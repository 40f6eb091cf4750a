//! The recorder of memprof: a global allocator that counts exactly, and records who took which
//! memory when asked to.
#![cfg_attr(
    feature = "macros",
    doc = "\n",
    doc = include_str!("../README.md")
)]

#[cfg(not(all(
    target_os = "linux",
    target_pointer_width = "64",
    target_endian = "little"
)))]
compile_error!("profiler-alloc runs on 64-bit little-endian Linux");

mod allocator;
mod at_peak;
mod births;
mod block;
mod budget;
#[cfg_attr(
    portable_unwinder,
    allow(dead_code, reason = "the portable unwinder needs no rules")
)]
mod cfi;
mod counters;
mod course;
mod descriptor;
mod exact;
mod filter;
mod fork;
mod frames;
mod free_records;
mod hook;
mod in_force;
mod index;
mod known;
mod lazy_slice;
mod live;
mod loaded;
#[cfg_attr(
    portable_unwinder,
    allow(dead_code, reason = "the portable unwinder knows the machine")
)]
mod machine;
mod memory;
#[cfg_attr(
    portable_unwinder,
    allow(dead_code, reason = "the portable unwinder needs no unwind tables")
)]
mod modules;
mod output;
mod own_counts;
mod own_record;
#[cfg(portable_unwinder)]
mod portable;
mod recent;
mod recorder;
mod recording;
mod region;
mod registers;
#[cfg_attr(
    portable_unwinder,
    allow(dead_code, reason = "the portable unwinder needs no rules")
)]
mod rules;
mod sampled;
mod sampling;
mod scratch;
mod settings;
#[cfg(feature = "sqlite")]
mod sqlite;
mod stack_memory;
mod stack_words;
mod stacks;
mod start;
mod store;
mod sync;
mod sys;
mod thread_exit;
mod timeline;
mod totals;
mod trie;
mod unsampled;
#[cfg_attr(
    portable_unwinder,
    allow(dead_code, reason = "the portable unwinder needs no tables")
)]
mod unwind;
mod watch;
mod waypoints;
pub mod wrappers;

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
    pub use crate::wrappers::queries::install_diesel;
    #[cfg(feature = "sqlite")]
    pub use crate::wrappers::queries::install_sqlite;
    pub use crate::wrappers::queries::{
        Carried, Dialect, Handle, InstallError, QueryEvent, Source, is_watched, record,
    };
    #[cfg(feature = "sqlx")]
    pub use crate::wrappers::queries::{install_sqlx, sqlx_layer};
}

pub use allocator::ProfilerAlloc;
pub use profiler_alloc_format::env::Sample;
#[cfg(feature = "macros")]
pub use profiler_alloc_macros::{
    budget, elapsed_timer, profile, profile_block, query_profiler, ram_profiler,
};
pub use recording::{Builder, Recording, StartError};
pub use region::Region;
pub use stats_alloc::Stats;
pub use wrappers::{elapsed_timer, query_profiler, ram_profiler};

/// Exact counts of the whole process so far, in `stats_alloc`'s vocabulary: a `realloc` counts as
/// one reallocation, and as allocating what it grows or freeing what it shrinks.
///
/// Exact for everything that happened before the call in this thread, and in threads it has
/// synchronised with. All zero if [`ProfilerAlloc`] is not the global allocator.
pub fn stats() -> Stats {
    totals::Totals::of_process().to_stats()
}

/// Heap in use in the whole process, in bytes as requested: allocated minus freed.
pub fn heap_in_use() -> usize {
    totals::Totals::of_process().heap().max(0) as usize
}

/// Highest heap in use so far, in bytes as requested.
///
/// A thread publishes its heap at least every 64 KiB that it allocates or frees, so the peak is
/// exact to 64 KiB for each thread that allocated or freed around it; a single thread recorded
/// exactly has an exact peak.
pub fn peak() -> usize {
    counters::peak().max(0) as usize
}

/// True if the program's global allocator is a [`ProfilerAlloc`].
pub fn is_installed() -> bool {
    let allocate = || drop(core::hint::black_box(Box::new(0u8)));
    // The first one may make the thread join a new pool of records, whose counts are others.
    allocate();
    let before = counters::own_allocs();
    allocate();
    counters::own_allocs() != before
}
