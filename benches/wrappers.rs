//! What the wrappers cost: `cargo bench --bench wrappers`. Prints nanoseconds for each statement or
//! call.

use std::hint::black_box;
use std::time::Instant;

use profiler_alloc::measure::{Budget, Output, set_output};
use profiler_alloc::queries::{QueryEvent, record};
use profiler_alloc::{ProfilerAlloc, elapsed_timer, profile, query_profiler, ram_profiler};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

/// Ten statements a round, nine of them in the loop's body.
macro_rules! statements {
    ($(#[$attribute:meta])? $name:ident) => {
        $(#[$attribute])?
        fn $name(rounds: u64) -> u64 {
            let mut sum = 0_u64;
            for round in 0..rounds {
                sum = black_box(sum ^ round);
                sum = black_box(sum + 1);
                sum = black_box(sum + 2);
                sum = black_box(sum + 3);
                sum = black_box(sum + 4);
                sum = black_box(sum + 5);
                sum = black_box(sum + 6);
                sum = black_box(sum + 7);
                sum = black_box(sum + 8);
            }
            sum
        }
    };
}

statements!(plain);
statements!(
    #[profile]
    profiled
);

statements!(
    #[query_profiler(summary)]
    with_lines
);

#[query_profiler(summary)]
fn query_call(number: u64) -> u64 {
    black_box(number)
}

/// Queries of half a line, as many as a scope keeps and some more.
#[query_profiler(summary)]
fn queries(count: u64) -> u64 {
    for number in 0..count {
        let sql = "SELECT name, size FROM files WHERE folder = $1 AND size > 100";
        record(QueryEvent::new("bench", sql).rows(black_box(number)));
    }
    count
}

#[profile]
fn profiled_call(number: u64) -> u64 {
    black_box(number)
}

#[elapsed_timer(summary)]
fn timed_call(number: u64) -> u64 {
    black_box(number)
}

#[ram_profiler(summary)]
fn ram_call(number: u64) -> u64 {
    black_box(number)
}

#[ram_profiler]
fn ram_report(number: u64) -> u64 {
    black_box(number)
}

/// The least of several tries, in nanoseconds for each of `count`.
fn ns_each(count: u64, work: impl Fn(u64) -> u64) -> f64 {
    let tries = (0..15).map(|_| {
        let start = Instant::now();
        black_box(work(count));
        start.elapsed().as_nanos() as f64 / count as f64
    });
    tries.fold(f64::INFINITY, f64::min)
}

fn calls(call: impl Fn(u64) -> u64) -> impl Fn(u64) -> u64 {
    move |count| (0..count).fold(0, |sum, number| sum ^ call(number))
}

fn main() {
    set_output(Output::writer(std::io::sink()));
    let (with, without) = (ns_each(200_000, profiled), ns_each(200_000, plain));
    println!(
        "#[profile], a statement          {:8.1} ns",
        (with - without) / 10.0
    );
    println!(
        "#[profile], a call               {:8.1} ns",
        ns_each(200_000, calls(profiled_call))
    );
    println!(
        "#[elapsed_timer(summary)]        {:8.1} ns",
        ns_each(20_000, calls(timed_call))
    );
    println!(
        "#[ram_profiler(summary)]         {:8.1} ns",
        ns_each(5_000, calls(ram_call))
    );
    println!(
        "#[ram_profiler], report included {:8.1} ns",
        ns_each(500, calls(ram_report))
    );
    println!(
        "#[query_profiler], a statement   {:8.1} ns",
        (ns_each(200_000, with_lines) - without) / 10.0
    );
    println!(
        "#[query_profiler], a call        {:8.1} ns",
        ns_each(20_000, calls(query_call))
    );
    println!(
        "#[query_profiler], a query       {:8.1} ns",
        ns_each(10_000, queries)
    );
    let allocate = |number| black_box(vec![number; 4])[0];
    let budget = Budget::new().max_heap(1 << 20);
    let inside = ns_each(100_000, |count| {
        budget.check(|| calls(allocate)(count)).unwrap_or(0)
    });
    println!(
        "allocate and free                {:8.1} ns",
        ns_each(100_000, calls(allocate))
    );
    println!("allocate and free in a budget    {inside:8.1} ns");
}
