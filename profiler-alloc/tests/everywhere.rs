//! What works on every system: exact counts, the attributes, budgets and queries; and what a system
//! says on which nothing can be recorded. `.ci/run elsewhere` runs it on Windows, by Wine, and on
//! WASI.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::sync::Mutex;

use profiler_alloc::measure::{Budget, Output, profiles, report, set_output};
use profiler_alloc::queries::{QueryEvent, record};
use profiler_alloc::{
    Heap, ProfilerAlloc, Recording, Region, StartError, elapsed_timer, heap_in_use, is_installed,
    peak_heap, profile, query_profiler, ram_profiler, stats,
};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

/// What was reported since it was last asked.
static REPORTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn reported() -> String {
    std::mem::take(&mut *REPORTS.lock().unwrap()).join("\n")
}

fn every_operation_is_counted() {
    assert!(is_installed());
    let region = Region::new(&ALLOC);
    let mut list: Vec<u8> = black_box(Vec::with_capacity(1000));
    list.reserve_exact(3000);
    let zeros = black_box(vec![0u64; 500]);
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (2, 1));
    assert_eq!(change.bytes_allocated, 3000 + 4000);
    assert_eq!(change.bytes_reallocated, 2000);
    drop((list, zeros));
    let change = region.change();
    assert_eq!((change.deallocations, change.bytes_deallocated), (2, 7000));
}

fn the_heap_goes_up_and_down() {
    let before = heap_in_use();
    let large = black_box(vec![1u8; 10 << 20]);
    assert_eq!(heap_in_use() - before, 10 << 20);
    assert!(peak_heap() >= before + (10 << 20));
    drop(large);
    assert_eq!(heap_in_use(), before);
}

fn heaps_of_ones_own_are_counted() {
    static ARENA: Heap = Heap::named("arena");
    static SAME: Heap = Heap::named("arena");
    let before = heap_in_use();
    let bytes = black_box([0u8; 2]);
    ARENA.allocated(&raw const bytes[0], 100);
    SAME.reallocated(&raw const bytes[0], 100, &raw const bytes[1], 300);
    assert_eq!((ARENA.in_use(), ARENA.name()), (300, "arena"));
    SAME.freed(&raw const bytes[1], 301);
    assert_eq!(SAME.in_use(), 300, "more than there is");
    ARENA.freed(&raw const bytes[1], 300);
    assert_eq!((SAME.in_use(), heap_in_use()), (0, before));
}

/// Where there are threads: more than one after the other, so that their slots are used again.
#[cfg(not(target_family = "wasm"))]
fn threads_are_counted() {
    const ROUNDS: usize = 50;
    const BLOCKS: usize = 1000;
    let work = || (0..BLOCKS).for_each(|_| drop(black_box(Box::new([0u8; 100]))));
    std::thread::spawn(work).join().unwrap();
    let before = stats();
    for _ in 0..ROUNDS {
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(work)).collect();
        threads.into_iter().for_each(|t| t.join().unwrap());
    }
    let change = stats() - before;
    let own = 4 * ROUNDS * BLOCKS;
    // Each thread costs the standard library some blocks of its own.
    assert!(
        (own..own + 4 * ROUNDS * 20).contains(&change.allocations),
        "{change:?}"
    );
    assert!(change.bytes_allocated >= 100 * own);
}

#[cfg(target_family = "wasm")]
fn threads_are_counted() {}

// A program of WASI sees no folder of its source.
#[profile(embed)]
fn squares(count: u64) -> u64 {
    let list: Vec<u64> = (0..count).map(|number| number * number).collect();
    list.iter().sum()
}

fn lines_of_a_function_are_exact() {
    squares(1000);
    let tables = profiles();
    let table = tables
        .iter()
        .find(|table| table.function.contains("squares"));
    let lines = &table.expect("a table").lines;
    assert_eq!(lines[1].increment, Some(8000));
    assert_eq!(lines[3].increment, Some(-8000));
    reported();
    report();
    let said = reported();
    assert!(said.contains("let list: Vec<u64>"), "{said}");
}

fn calls_are_measured() {
    reported();
    ram_profiler("load", || black_box(vec![1u8; 3 << 20]).len());
    let said = reported();
    assert!(said.contains("load") && said.contains("MiB"), "{said}");
    elapsed_timer("wait", || black_box((0..1000).sum::<u64>()));
    let said = reported();
    assert!(said.contains("wait"), "{said}");
}

fn queries_are_told_apart() {
    reported();
    query_profiler("page", || {
        for id in 0..5 {
            record(QueryEvent::new(
                "test",
                format!("SELECT name FROM users WHERE id = {id}"),
            ));
        }
    });
    let said = reported();
    assert!(said.contains("N+1") && !said.contains("id = 3"), "{said}");
}

fn a_budget_is_held() {
    assert_eq!(
        Budget::new().max_heap(5000).check(|| vec![0u8; 5000].len()),
        Ok(5000)
    );
    let broken = Budget::new()
        .max_heap(1000)
        .check(|| vec![0u8; 5000].len())
        .unwrap_err();
    assert!(broken.to_string().contains("max_heap"), "{broken}");
}

fn a_recording_starts_or_says_where_it_would() {
    // WASI has no folder for temporary files, and nothing is written there.
    let folder = if cfg!(target_family = "wasm") {
        "/".into()
    } else {
        std::env::temp_dir()
    };
    let path = folder.join(format!("everywhere-{}.memprof", stats().allocations));
    let started = Recording::builder().path(&path).start();
    if cfg!(all(
        target_os = "linux",
        target_pointer_width = "64",
        target_endian = "little"
    )) {
        drop(started.unwrap());
        std::fs::remove_file(path).unwrap();
    } else {
        let error = started.unwrap_err();
        assert!(matches!(error, StartError::NeedsLinux), "{error}");
        assert!(
            error
                .to_string()
                .starts_with("recording needs 64-bit Linux"),
            "{error}"
        );
        assert!(!path.exists());
    }
}

fn main() {
    set_output(Output::callback(|report| {
        REPORTS.lock().unwrap().push(report.to_string());
    }));
    every_operation_is_counted();
    the_heap_goes_up_and_down();
    heaps_of_ones_own_are_counted();
    threads_are_counted();
    lines_of_a_function_are_exact();
    calls_are_measured();
    queries_are_told_apart();
    a_budget_is_held();
    a_recording_starts_or_says_where_it_would();
    println!("9 passed, 0 failed");
}
