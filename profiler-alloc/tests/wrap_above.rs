//! Attributes of other crates above ours: the lines are those of the source all the same.

#![forbid(unsafe_code)]

#[macro_use]
mod elsewhere;
mod line_table;

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use line_table::LineTable;
use profiler_alloc::measure::{Output, QueryReport, Report, set_output};
use profiler_alloc::queries::{QueryEvent, record};
use profiler_alloc::{ProfilerAlloc, elapsed_timer, profile, query_profiler};
use tokio::task::yield_now;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

/// The query report that `work` makes, of the function of that name. There is one output: tests
/// take turns.
fn queries_of(function: &str, work: impl FnOnce()) -> QueryReport {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap();
    let reports: Arc<Mutex<Vec<Report>>> = Arc::default();
    let sink = Arc::clone(&reports);
    set_output(Output::callback(move |report| {
        sink.lock().unwrap().push(report.clone());
    }));
    work();
    set_output(Output::writer(std::io::sink()));
    let reports = reports.lock().unwrap();
    let mut found = reports.iter().filter_map(|report| match report {
        Report::Query(report) if report.label == function => Some(report.clone()),
        _ => None,
    });
    found.next().expect("a report")
}

/// The lines of a report's queries, by their distance from the first one.
fn lines_of(report: &QueryReport) -> Vec<u32> {
    assert!(report.queries.iter().all(|query| query.place.is_exact));
    let lines = report.queries.iter().map(|query| query.place.line);
    let first = report.queries[0].place.line;
    lines.map(|line| line - first).collect()
}

fn ask(id: u32) {
    let sql = format!("SELECT name FROM users WHERE id = {id}");
    record(QueryEvent::new("demo", sql));
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

#[tracing::instrument(skip_all)]
#[profile]
fn instrumented(n: usize) -> usize {
    let a = vec![1u8; n];
    let b = vec![2u8; 2 * n];
    a.len() + b.len()
}

#[tracing::instrument(skip_all, err)]
#[profile]
fn may_fail(n: usize) -> Result<usize, String> {
    let a = vec![1u8; n];
    let b = if n > 3 {
        vec![2u8; 2 * n]
    } else {
        return Err("too few".to_owned());
    };
    Ok(a.len() + b.len())
}

#[test]
fn spans_of_tracing_keep_the_lines() {
    assert_eq!(instrumented(1000), 3000);
    let table = LineTable::of("instrumented");
    assert_eq!(
        table.increments(["let a", "let b", "a.len()", "}"]),
        [1000, 2000, -3000, 0]
    );
    assert_eq!(may_fail(1000), Ok(3000));
    assert!(may_fail(3).is_err());
    let table = LineTable::of("may_fail");
    assert_eq!(table.increments(["let a", "vec![2u8"]), [1003, 2000]);
    assert_eq!(table.occurrences("return Err"), 1);
}

#[tracing::instrument(skip_all, ret)]
#[profile]
async fn instrumented_later(n: usize) -> usize {
    let a = vec![1u8; n];
    yield_now().await;
    let b = vec![2u8; 2 * n];
    a.len() + b.len()
}

#[async_trait]
trait Serves {
    async fn serves(&self, names: Vec<u8>) -> Result<usize, std::num::ParseIntError>;
    async fn gives_nothing(&self);
}

struct Server;

#[async_trait]
impl Serves for Server {
    #[profile]
    #[elapsed_timer(summary)]
    async fn serves(&self, names: Vec<u8>) -> Result<usize, std::num::ParseIntError> {
        let copied = names.clone();
        yield_now().await;
        let number: usize = "5".parse()?;
        Ok(copied.len() + number)
    }

    #[tracing::instrument(skip_all)]
    #[profile]
    async fn gives_nothing(&self) {
        let taken = vec![0u8; 77];
        yield_now().await;
        drop(taken);
    }
}

#[tokio::main(flavor = "current_thread")]
#[profile]
async fn below_a_runtime() {
    let taken = vec![0u8; 3 << 20];
    yield_now().await;
    drop(taken);
}

#[test]
fn async_bodies_keep_them_too() {
    assert_eq!(block_on(instrumented_later(1000)), 3000);
    let table = LineTable::of("instrumented_later");
    assert_eq!(
        table.increments(["let a", "let b", "a.len()"]),
        [1000, 2000, -3000]
    );
    assert_eq!(block_on(Server.serves(vec![1; 50])), Ok(55));
    let table = LineTable::of("serves");
    assert_eq!(table.increment("let copied"), Some(50));
    assert_eq!(table.occurrences("let number"), 1);
    block_on(Server.gives_nothing());
    let table = LineTable::of("gives_nothing");
    assert_eq!(table.increments(["let taken", "drop(taken)"]), [77, -77]);
    below_a_runtime();
    let table = LineTable::of("below_a_runtime");
    let lines = ["let taken", "drop(taken)"];
    assert_eq!(table.increments(lines), [3 << 20, -(3 << 20)]);
    assert_eq!(table.0.lines.last().unwrap().contents.as_deref(), Some("}"));
}

/// `tracing` knows a function that ends with an `async move` block, and puts its own around that
/// alone: what is written stands in two blocks.
#[tracing::instrument(skip_all)]
#[profile]
fn gives_a_future(n: usize) -> impl Future<Output = usize> {
    let a = vec![1u8; n];
    async move {
        let b = vec![2u8; 2 * n];
        yield_now().await;
        a.len() + b.len()
    }
}

#[tracing::instrument(skip_all)]
#[profile]
#[query_profiler]
fn gives_a_boxed_one(kept: Vec<u8>) -> Pin<Box<dyn Future<Output = usize> + Send>> {
    ask(1);
    Box::pin(async move {
        ask(2);
        yield_now().await;
        let b = vec![2u8; 2 * kept.len()];
        ask(3);
        kept.len() + b.len()
    })
}

#[test]
fn a_future_that_is_given_keeps_the_lines_before_it_and_its_own() {
    assert_eq!(block_on(gives_a_future(1000)), 3000);
    let table = LineTable::of("gives_a_future");
    let lines = ["let a", "let b", "a.len()", "}"];
    assert_eq!(table.increments(lines), [1000, 2000, 0, -3000]);
    let report = queries_of("gives_a_boxed_one", || {
        assert_eq!(block_on(gives_a_boxed_one(vec![1; 50])), 150);
    });
    assert_eq!(lines_of(&report), [0, 2, 5]);
    let table = LineTable::of("gives_a_boxed_one");
    assert_eq!(table.increment("let b"), Some(100));
}

#[tracing::instrument(skip_all)]
#[query_profiler]
fn asks_twice() {
    ask(1);
    ask(2);
}

#[profile]
#[tracing::instrument(skip_all)]
#[query_profiler]
#[elapsed_timer(summary)]
async fn asks_later(kept: Vec<u8>) -> usize {
    ask(1);
    yield_now().await;
    ask(2);
    kept.len()
}

#[tracing::instrument(skip_all)]
#[query_profiler]
fn asks_in_a_loop() {
    for id in 0..3 {
        ask(id);
    }
}

#[test]
fn queries_are_on_their_own_lines() {
    let report = queries_of("asks_twice", asks_twice);
    assert_eq!(lines_of(&report), [0, 1]);
    assert_eq!(report.findings.n_plus_one, []);
    let report = queries_of("asks_later", || {
        assert_eq!(block_on(asks_later(vec![1; 9])), 9);
    });
    assert_eq!(lines_of(&report), [0, 2]);
    assert_eq!(report.findings.n_plus_one, []);
    let report = queries_of("asks_in_a_loop", asks_in_a_loop);
    assert_eq!(report.findings.n_plus_one.len(), 1);
}

macro_rules! makes {
    ($name:ident, $n:expr) => {
        #[profile]
        fn $name() -> usize {
            let v = vec![0u8; $n];
            v.len()
        }
    };
}
makes!(small, 1000);
makes!(large, 2000);

macro_rules! shape {
    ($name:ident) => {
        struct $name<T>(T);
        impl<T: Into<usize> + Copy> $name<T> {
            #[profile]
            fn area(&self) -> usize {
                vec![0u8; self.0.into()].len()
            }
        }
    };
}
shape!(Square);
shape!(Circle);

macro_rules! with_body {
    ($name:ident, $body:block) => {
        #[profile]
        fn $name() -> usize $body
    };
}
with_body!(has_its_own, {
    let from_here: Vec<u8> = Vec::with_capacity(99);
    from_here.capacity()
});

made_elsewhere!(asks_from_here, {
    ask(1);
    Vec::<u8>::with_capacity(77).capacity()
});

#[test]
fn a_macros_text_is_shown_from_its_own_file() {
    let report = queries_of("asks_from_here", || assert_eq!(asks_from_here(), 77));
    let table = LineTable::of("asks_from_here");
    assert_eq!(table.0.file, "profiler-alloc/tests/elsewhere/mod.rs");
    assert_eq!(
        table.increments(["let from_here", "drop(from_here)"]),
        [55, -55]
    );
    // What this file has given has no line there.
    assert_eq!(table.line("$last").increment, None);
    let place = report.queries[0].place;
    assert_eq!(
        (place.file, place.is_exact),
        ("profiler-alloc/tests/elsewhere/mod.rs", false)
    );
}

#[test]
fn functions_that_a_macro_makes_are_told_apart() {
    assert_eq!(small() + large(), 3000);
    let table = LineTable::of("small");
    assert_eq!(table.increment("let v"), Some(1000));
    let text = table.0.to_string();
    assert!(text.starts_with(
        "Filename: profiler-alloc/tests/wrap_above.rs\nFunction: wrap_above::small\n\nLine #"
    ));
    assert_eq!(LineTable::of("large").increment("let v"), Some(2000));
    assert_eq!(Square(3u8).area() + Circle(4u8).area(), 7);
    assert_eq!(LineTable::of("Square<_>::area").0.calls, 1);
    assert_eq!(LineTable::of("Circle<_>::area").0.calls, 1);
    assert_eq!(has_its_own(), 99);
    let table = LineTable::of("has_its_own");
    assert_eq!(table.increment("let from_here"), Some(99));
    assert_eq!(table.sum(), 0);
}
