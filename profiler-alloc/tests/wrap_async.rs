//! An `async fn` is measured over its own polls, on whichever thread they happen, with other tasks
//! between them.

#![forbid(unsafe_code)]

mod executor;
mod line_table;

use std::error::Error;
use std::future::Future;
use std::hint::black_box;
use std::panic::catch_unwind;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use executor::{give_way, run};
use line_table::LineTable;
use profiler_alloc::measure::{Output, Report, set_output};
use profiler_alloc::{ProfilerAlloc, budget, elapsed_timer, profile, ram_profiler};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

fn block(bytes: usize) -> Vec<u8> {
    black_box(vec![1u8; bytes])
}

#[profile]
async fn waits(rounds: usize, kept: Vec<u8>) -> Result<usize, String> {
    let mut sum = kept.len();
    for _ in 0..rounds {
        let taken = block(1000);
        give_way().await;
        sum += taken.len();
        drop(taken);
    }
    let parsed: usize = "1".parse().map_err(|_| "no number".to_owned())?;
    Ok(sum + parsed)
}

async fn disturbs() {
    for _ in 0..50 {
        let other = block(77_777);
        give_way().await;
        drop(other);
    }
}

#[test]
fn each_poll_counts_where_it_runs() {
    let work = (0..64).map(|index| -> Pin<Box<dyn Future<Output = ()> + Send>> {
        match index % 2 {
            0 => Box::pin(disturbs()),
            _ => Box::pin(async { assert_eq!(waits(20, block(500)).await, Ok(20_501)) }),
        }
    });
    run(work);
    let table = LineTable::of("waits");
    assert_eq!(table.0.calls, 32);
    assert_eq!(table.increment("let taken"), Some(32 * 20 * 1000));
    assert_eq!(table.increment("drop(taken)"), Some(-32 * 20 * 1000));
    assert_eq!(table.increment("give_way().await"), Some(0));
    assert_eq!(table.occurrences("give_way().await"), 32 * 20);
    // The argument, which the caller took.
    assert_eq!(table.increments(["let parsed", "Ok(sum"]), [0, 0]);
    assert_eq!(table.sum(), -32 * 500);
}

#[profile(each_call)]
#[ram_profiler]
#[elapsed_timer]
#[budget(max_heap = "64 KiB", no_leaks)]
async fn all_four(label: &str, rounds: usize) -> usize {
    let own = block(rounds * 100);
    for _ in 0..rounds {
        give_way().await;
    }
    own.len() + label.len()
}

#[test]
fn attributes_stack_on_async_functions() {
    let reports: Arc<Mutex<Vec<Report>>> = Arc::default();
    let sink = Arc::clone(&reports);
    set_output(Output::callback(move |report| {
        sink.lock().unwrap().push(report.clone());
    }));
    run(
        (1..=16).map(|rounds| -> Pin<Box<dyn Future<Output = ()> + Send>> {
            Box::pin(async move {
                assert_eq!(all_four("label", rounds).await, rounds * 100 + 5);
            })
        }),
    );
    let reports = reports.lock().unwrap();
    let mut own: Vec<u64> = Vec::new();
    let mut lines: Vec<i64> = Vec::new();
    let mut elapsed = 0;
    for report in reports.iter() {
        match report {
            Report::Ram(report) if report.label == "all_four" => {
                own.push(report.heap.unwrap().own_allocated);
            }
            Report::Profile(report) if report.function.ends_with("all_four") => {
                lines.extend(report.lines.iter().filter_map(|line| {
                    line.contents
                        .as_ref()?
                        .contains("let own")
                        .then_some(line.increment?)
                }));
            }
            Report::Elapsed(_) => elapsed += 1,
            _ => {}
        }
    }
    own.sort_unstable();
    lines.sort_unstable();
    assert_eq!(
        own,
        (1..=16).map(|rounds| rounds * 100).collect::<Vec<u64>>()
    );
    assert_eq!(
        lines,
        (1..=16).map(|rounds| rounds * 100).collect::<Vec<i64>>()
    );
    assert_eq!(elapsed, 16);
}

struct Service {
    size: usize,
}

impl Service {
    #[profile]
    async fn serves(&self, names: &[String]) -> Vec<String> {
        let mut found = Vec::with_capacity(self.size);
        for name in names {
            give_way().await;
            found.push(name.clone());
        }
        found
    }
}

#[profile]
async fn recurses(depth: usize) -> usize {
    let own = block(100);
    let below = match depth {
        0 => 0,
        _ => Box::pin(recurses(depth - 1)).await,
    };
    below + own.len()
}

#[test]
fn methods_and_recursion_wait_too() {
    run([Box::pin(async {
        let service = Service { size: 3 };
        let found = service.serves(&["a".to_owned(), "b".to_owned()]).await;
        assert_eq!(found, ["a", "b"]);
        assert_eq!(recurses(50).await, 5100);
    }) as Pin<Box<dyn Future<Output = ()> + Send>>]);
    assert_eq!(LineTable::of("serves").increment("with_capacity"), Some(72));
    let table = LineTable::of("recurses");
    assert_eq!(table.increment("let own"), Some(5100));
    assert_eq!((table.0.calls, table.sum()), (51, 0));
}

#[budget(no_leaks)]
#[profile]
async fn is_cancelled() {
    let held = block(1000);
    std::future::pending::<()>().await;
    drop(held);
}

#[test]
fn a_future_dropped_half_way_leaves_no_traces() {
    let mut context = Context::from_waker(Waker::noop());
    {
        let mut future = pin!(is_cancelled());
        assert!(future.as_mut().poll(&mut context).is_pending());
        assert!(future.as_mut().poll(&mut context).is_pending());
    }
    let table = LineTable::of("is_cancelled");
    assert_eq!(
        table.increments(["let held", "drop(held)", "}"]),
        [1000, 0, 0]
    );
    {
        let mut future = pin!(is_cancelled());
        assert!(future.as_mut().poll(&mut context).is_pending());
    }
    assert_eq!(
        LineTable::of("is_cancelled").increment("let held"),
        Some(2000)
    );
}

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

#[profile]
#[budget(no_leaks)]
fn returns_a_future<'a>(
    text: &'a str,
) -> Pin<Box<dyn Future<Output = Result<usize, std::num::ParseIntError>> + Send + 'a>> {
    Box::pin(async move {
        let taken = block(1000);
        give_way().await;
        let number: usize = text.parse()?;
        Ok(taken.len() + number)
    })
}

#[profile]
fn returns_one_of_two(size: usize, kept: Vec<u8>) -> BoxFuture<'static, usize> {
    if size == 0 {
        return Box::pin(async { 0 });
    }
    let before = block(10);
    Box::pin(async move {
        let taken = block(size);
        give_way().await;
        taken.len() + kept.len() + before.len()
    })
}

#[elapsed_timer(summary)]
#[profile]
fn returns_some_future(text: &str) -> impl Future<Output = Result<usize, Box<dyn Error>>> + Send {
    let owned = text.to_owned();
    async move {
        let taken = block(1000);
        let number: usize = owned.parse().map_err(|_| "no number")?;
        Ok(taken.len() + number)
    }
}

#[ram_profiler(summary)]
fn returns_an_unpin_future(number: u8) -> impl Future<Output = u8> + Unpin {
    std::future::ready(number)
}

#[test]
fn futures_that_functions_return_are_measured_when_they_are_polled() {
    run((0..8).map(|_| -> BoxFuture<'static, ()> {
        Box::pin(async {
            assert_eq!(returns_a_future("5").await, Ok(1005));
            assert_eq!(returns_one_of_two(7, block(5)).await, 22);
            assert_eq!(returns_one_of_two(0, block(5)).await, 0);
            assert_eq!(returns_some_future("3").await.ok(), Some(1003));
            assert_eq!(returns_an_unpin_future(3).await, 3);
        })
    }));
    let table = LineTable::of("returns_a_future");
    assert_eq!(table.increment("let taken"), Some(8000));
    assert_eq!((table.0.calls, table.sum()), (8, 0));
    let table = LineTable::of("returns_one_of_two");
    let lines = ["let before", "let taken", "give_way().await"];
    assert_eq!(table.increments(lines), [80, 56, 0]);
    assert_eq!(table.occurrences("return Box"), 8);
    assert_eq!(table.0.calls, 16);
    let table = LineTable::of("returns_some_future");
    assert_eq!(table.increments(["let owned", "let taken"]), [8, 8000]);
    assert!(at_once(returns_some_future("x")).is_err());
}

#[budget(max_heap = "1 KiB", max_allocations = 0)]
fn loads() -> impl Future<Output = usize> {
    async { block(1 << 20).len() }
}

#[budget(max_heap = "1 KiB", max_allocations = 0)]
fn loads_boxed(size: usize) -> BoxFuture<'static, usize> {
    Box::pin(async move { block(size).len() })
}

#[budget(max_heap = "1 KiB", max_allocations = 0)]
fn loads_unpinned(size: usize) -> Box<dyn Future<Output = usize>> {
    Box::new(async move { block(size).len() })
}

#[budget(max_heap = "1 KiB", call_only)]
fn starts_to_load() -> BoxFuture<'static, usize> {
    Box::pin(async { block(1 << 20).len() })
}

#[test]
fn budgets_are_checked_over_the_polls() {
    let broken = catch_unwind(|| at_once(loads()));
    let text = *broken.unwrap_err().downcast::<String>().unwrap();
    assert!(text.starts_with(
        "loads broke its budget\nmax_heap: limit 1.0 KiB (1024 B), used 1.0 MiB (1048576 B)"
    ));
    assert!(catch_unwind(|| at_once(loads_boxed(1))).is_err());
    // The box that holds the future is not what the future does.
    assert_eq!(at_once(loads_boxed(0)), 0);
    let broken = catch_unwind(|| at_once(Box::into_pin(loads_unpinned(1 << 20))));
    let text = *broken.unwrap_err().downcast::<String>().unwrap();
    assert!(
        text.contains("max_heap: limit 1.0 KiB (1024 B), used 1.0 MiB"),
        "{text}"
    );
    assert_eq!(at_once(starts_to_load()), 1 << 20);
    // A future that is dropped without a poll has done nothing.
    drop(loads());
}

/// What a future gives that is ready at once.
fn at_once<F: Future>(future: F) -> F::Output {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).as_mut().poll(&mut context) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}
