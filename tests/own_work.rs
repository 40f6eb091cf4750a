//! What memprof allocates for itself is in no figure of the program: not in its counts, its heap,
//! its recordings, nor in the scopes that are open. A program of one thread, without a harness that
//! allocates beside it.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::sync::{Arc, Mutex};

use memprof::profile;
use profiler_alloc::measure::{
    Budget, Format, Output, Report, profiles, report, set_format, set_output,
};
use profiler_alloc::queries::{Handle, QueryEvent, record};
use profiler_alloc::{
    ProfilerAlloc, Recording, Sample, Stats, budget, elapsed_timer, heap_in_use, profile,
    query_profiler, ram_profiler, stats,
};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

fn block(bytes: usize) -> usize {
    black_box(vec![1u8; bytes]).len()
}

#[profile]
fn profiled() -> usize {
    block(100)
}

#[profile(each_call)]
fn reported_each_call() -> usize {
    block(100)
}

#[ram_profiler]
fn with_ram() -> usize {
    block(100)
}

#[ram_profiler(summary)]
fn with_ram_summary() -> usize {
    block(100)
}

#[elapsed_timer]
fn with_time() -> usize {
    block(100)
}

#[query_profiler]
fn with_queries() -> usize {
    record(QueryEvent::new(
        "demo",
        "SELECT name FROM users WHERE id = 1",
    ));
    block(100)
}

#[budget(max_heap = 100, max_queries = 1)]
fn with_budget() -> usize {
    record(QueryEvent::new(
        "demo",
        "SELECT name FROM users WHERE id = 2",
    ));
    profiled()
}

type Call = (&'static str, fn() -> usize);

const CALLS: [Call; 8] = [
    ("plain", || block(100)),
    ("profile", profiled),
    ("profile, each call", reported_each_call),
    ("ram", with_ram),
    ("ram, summary", with_ram_summary),
    ("elapsed", with_time),
    ("queries", with_queries),
    ("budget", with_budget),
];

/// What happened to the program's counts.
fn change(work: impl FnOnce()) -> (Stats, i64) {
    let (before, heap) = (stats(), heap_in_use());
    work();
    let change = stats() - before;
    (change, heap_in_use() as i64 - heap as i64)
}

fn calls_count_what_they_do_themselves() {
    for round in ["the first time", "again"] {
        for (name, call) in CALLS {
            let (counts, heap) = change(|| {
                call();
            });
            let seen = (counts.allocations, counts.bytes_allocated, heap);
            assert_eq!(seen, (1, 100, 0), "{name}, {round}");
        }
    }
}

fn tables_begin_with_what_the_program_has() {
    // Calls that are reported each are in no table of all.
    for table in profiles().iter().filter(|table| table.calls > 0) {
        let first = &table.lines[0];
        assert_eq!(first.mem_usage, first.increment, "{}", table.function);
        let sum: i64 = table.lines.iter().filter_map(|line| line.increment).sum();
        assert_eq!(Some(sum), first.increment, "{}", table.function);
    }
}

fn a_value_that_the_program_keeps_is_the_programs() {
    let (_, heap) = change(|| {
        let broken = Budget::new().max_queries(0).check(with_queries);
        assert_eq!(broken.unwrap_err().queries.len(), 1);
    });
    assert_eq!(heap, 0, "a budget that was broken");
    let (_, heap) = change(|| drop(profiles()));
    assert_eq!(heap, 0, "tables");
    let (_, heap) = change(|| {
        let mut handle = Handle::default();
        query_profiler("with a handle", || handle = Handle::current());
        handle.run(|| block(10));
    });
    assert_eq!(heap, 0, "a handle that outlives its scope");
}

fn an_output_of_the_program_works_for_it() {
    let kept: Arc<Mutex<Vec<Report>>> = Arc::default();
    let sink = Arc::clone(&kept);
    set_output(Output::callback(move |report| {
        sink.lock().unwrap().push(report.clone());
    }));
    let (counts, heap) = change(|| {
        for (_, call) in CALLS {
            call();
        }
        report();
    });
    let kept_bytes = counts.bytes_allocated - counts.bytes_deallocated;
    assert!(!kept.lock().unwrap().is_empty());
    assert_eq!(heap, kept_bytes as i64);
    assert!(heap > 0, "the reports are the program's");
    set_output(Output::writer(std::io::sink()));
    let (_, freed) = change(|| drop(core::mem::take(&mut *kept.lock().unwrap())));
    // The output itself went with its list.
    drop(kept);
    assert!(freed < 0 && -freed <= heap, "{freed} of {heap}");
}

fn a_recording_has_nothing_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let recording = Recording::builder()
        .path(folder.path().join("x.memprof"))
        .sample(Sample::All)
        .start()
        .unwrap();
    let path = recording.path().to_owned();
    let before = stats();
    for (_, call) in CALLS {
        call();
    }
    let counts = stats() - before;
    assert_eq!(counts.allocations, CALLS.len());
    drop(recording);
    let (profile, defects) = profile::read(&path).unwrap();
    assert_eq!(defects, []);
    let sampled: u64 = (profile.stacks.iter())
        .map(|stack| stack.totals.alloc_count.rounded() as u64)
        .sum();
    // Starting and ending it from code is the program's own doing: two texts of the path.
    let allocations = profile.counters().allocs;
    assert!(
        (CALLS.len() as u64..CALLS.len() as u64 + 6).contains(&allocations),
        "{allocations} allocations"
    );
    assert_eq!(sampled, allocations, "each of them is on a stack");
}

fn main() {
    set_output(Output::writer(std::io::sink()));
    set_format(Format::Json);
    calls_count_what_they_do_themselves();
    tables_begin_with_what_the_program_has();
    a_value_that_the_program_keeps_is_the_programs();
    an_output_of_the_program_works_for_it();
    a_recording_has_nothing_of_it();
}
