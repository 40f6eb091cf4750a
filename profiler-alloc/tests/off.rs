//! With the feature `off` the wrappers measure nothing, and functions are what they were.

#![cfg(feature = "off")]
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use profiler_alloc::measure::{Budget, Output, profiles, report, set_output};
use profiler_alloc::queries::{QueryEvent, is_watched, record};
use profiler_alloc::{
    Heap, ProfilerAlloc, budget, elapsed_timer, profile, profile_block, query_profiler,
    ram_profiler,
};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

#[profile(each_call)]
#[ram_profiler]
#[elapsed_timer]
#[query_profiler]
#[budget(max_heap = 1, max_queries = 0)]
fn measured() -> usize {
    let list = vec![1u8; 1000];
    record(QueryEvent::new("test", "SELECT 1"));
    assert!(!is_watched());
    list.len()
}

/// Reports that the callback was given. It must not panic instead: a panic of the program's output
/// is caught.
static REPORTS: AtomicUsize = AtomicUsize::new(0);

#[test]
fn nothing_is_reported() {
    set_output(Output::callback(|report| {
        eprintln!("{report}");
        REPORTS.fetch_add(1, Relaxed);
    }));
    assert_eq!(measured(), 1000);
    assert_eq!(profile_block!("block", { measured() + 1 }), 1001);
    assert_eq!(ram_profiler("closure", measured), 1000);
    assert_eq!(elapsed_timer("closure", measured), 1000);
    assert_eq!(query_profiler("closure", measured), 1000);
    assert_eq!(Budget::new().max_heap(1).check(measured), Ok(1000));
    report();
    assert_eq!(REPORTS.load(Relaxed), 0);
    assert!(profiles().is_empty());
}

#[test]
fn heaps_of_ones_own_are_not_counted() {
    static ARENA: Heap = Heap::named("arena");
    let bytes = [0u8; 2];
    ARENA.allocated(&raw const bytes[0], 100);
    ARENA.reallocated(&raw const bytes[0], 100, &raw const bytes[1], 300);
    assert_eq!(ARENA.in_use(), 0);
    ARENA.freed(&raw const bytes[1], 300);
}
