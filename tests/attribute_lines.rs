//! Sampled tables of functions under attributes: one for each function, and what an attribute puts
//! around a body does not take the body's lines.

use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use async_trait::async_trait;
use profiler_alloc::{ProfilerAlloc, Recording, Sample, elapsed_timer, profile};
use serde_json::Value;
use tokio::task::yield_now;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

#[inline(never)]
fn take(bytes: usize) -> Vec<u8> {
    black_box(Vec::with_capacity(bytes))
}

#[tracing::instrument(skip_all)]
async fn instrumented() {
    let first = take(1 << 20); // instrumented first
    yield_now().await;
    drop(take(2 << 20)); // instrumented second
    black_box(first);
}

/// Doc.
#[tracing::instrument(skip_all, err)]
#[profile]
async fn both(kept: usize) -> Result<usize, String> {
    let first = take(kept); // both first
    yield_now().await;
    Ok(first.capacity())
}

#[tracing::instrument(skip_all)]
fn plain(depth: usize) {
    if depth > 0 {
        return plain(depth - 1); // plain again
    }
    black_box(take(3 << 20)); // plain last
}

#[profile]
async fn measured() {
    let first = take(4 << 20); // measured first
    yield_now().await;
    black_box(first);
}

#[async_trait]
trait Serves {
    async fn serves(&self);
}

struct Server;

#[async_trait]
impl Serves for Server {
    #[tracing::instrument(skip_all)]
    async fn serves(&self) {
        let first = take(5 << 20); // serves first
        yield_now().await;
        black_box(first);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn below_a_runtime() {
    let first = take(6 << 20); // runtime first
    instrumented().await;
    both(1 << 20).await.unwrap();
    plain(3);
    measured().await;
    Server.serves().await;
    black_box(first); // runtime last
}

#[tokio::main(flavor = "current_thread")]
#[elapsed_timer(summary)]
async fn returns() -> usize {
    let first = take(7 << 20); // returns first
    yield_now().await;
    first.capacity() // returns last
}

/// The line of a signature counts as ever where nothing is around the body.
#[rustfmt::skip]
fn on_one_line() -> Vec<u8> { take(8 << 20) }

async fn without_attribute() {
    let first = take(9 << 20); // without first
    yield_now().await;
    black_box(first);
}

/// What the command says of the profile.
fn memprof(arguments: &[&str], profile: &Path) -> Vec<u8> {
    let output = Command::new(env!("CARGO_BIN_EXE_memprof"))
        .args(arguments)
        .arg(profile)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    output.stdout
}

fn report(profile: &Path) -> Value {
    serde_json::from_slice(&memprof(&["report", "--format", "json"], profile)).unwrap()
}

/// The number of the line of this file with the marker.
fn number(marker: &str) -> usize {
    let is_it = |line: &str| line.ends_with(&format!("// {marker}"));
    1 + include_str!("attribute_lines.rs")
        .lines()
        .position(is_it)
        .expect(marker)
}

/// The only table of the function.
fn table<'a>(report: &'a Value, function: &str) -> &'a Value {
    let tables = report["functions"].as_array().unwrap().iter();
    let ending = format!("::{function}");
    let of_it: Vec<&Value> = tables
        .filter(|table| {
            let name = table["name"].as_str().unwrap();
            name == function || name.ends_with(&ending)
        })
        .collect();
    let [table] = of_it[..] else {
        let names: Vec<_> = (of_it.iter())
            .map(|table| (&table["name"], &table["lines"]))
            .collect();
        panic!("{} tables of {function}: {names:#?}", of_it.len());
    };
    table
}

/// Bytes allocated on the line with the text.
fn allocated(table: &Value, text: &str) -> i64 {
    let lines = table["lines"].as_array().unwrap().iter();
    let of_it: Vec<&Value> = lines
        .filter(|line| {
            line["source"]
                .as_str()
                .is_some_and(|source| source.contains(text))
        })
        .collect();
    assert_eq!(of_it.len(), 1, "{text} in {table:#}");
    of_it[0]["allocated"].as_i64().unwrap_or(0)
}

#[test]
fn code_around_a_body_does_not_take_its_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.memprof");
    profiler_alloc::wrappers::set_output(profiler_alloc::wrappers::Output::writer(std::io::sink()));
    let recording = Recording::builder()
        .path(&path)
        .sample(Sample::All)
        .start()
        .unwrap();
    below_a_runtime();
    assert_eq!(returns(), 7 << 20);
    black_box(on_one_line());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(without_attribute());
    drop(recording);
    let tree = memprof(
        &["tree", "--of", "allocated", "--least", "0", "--all"],
        &path,
    );
    let tree = String::from_utf8(tree).unwrap();
    let page = memprof(&["report", "--format", "html", "-o", "-"], &path);
    let page = String::from_utf8(page).unwrap();
    let is_passed = |marker: &str| {
        let at = number(marker);
        let on_page = format!("attribute_lines.rs\",{at},");
        let in_tree = |line: &str| line.ends_with(&format!("attribute_lines.rs:{at}"));
        (tree.lines().any(in_tree), page.contains(&on_page))
    };
    for marker in ["runtime first", "returns first"] {
        assert_eq!(is_passed(marker), (true, true), "{marker}: {tree}");
    }
    for marker in ["runtime last", "returns last"] {
        assert!(!is_passed(marker).0, "{marker}: {tree}");
    }
    let report = report(&path);
    const MIB: i64 = 1 << 20;
    // What a span, a probe or a runtime takes itself is small.
    let small = 0..MIB / 2;
    let expected = [
        (
            "instrumented",
            "async fn",
            &[("first", MIB), ("second", 2 * MIB)][..],
            3 * MIB,
        ),
        ("both", "async fn", &[("first", MIB)], MIB),
        (
            "plain",
            "fn plain",
            &[("last", 3 * MIB), ("again", 3 * MIB)],
            3 * MIB,
        ),
        ("measured", "async fn", &[("first", 4 * MIB)], 4 * MIB),
        ("serves", "async fn", &[("first", 5 * MIB)], 5 * MIB),
        (
            "runtime",
            "async fn",
            &[("first", 6 * MIB), ("last", 0)],
            22 * MIB,
        ),
        (
            "returns",
            "async fn",
            &[("first", 7 * MIB), ("last", 0)],
            7 * MIB,
        ),
        ("without", "async fn", &[("first", 9 * MIB)], 9 * MIB),
    ];
    for (name, signature, lines, whole) in expected {
        let function = match name {
            "runtime" => "below_a_runtime",
            "without" => "without_attribute",
            name => name,
        };
        let table = table(&report, function);
        for (marker, bytes) in lines {
            let found = allocated(table, &format!("// {name} {marker}"));
            assert!(small.contains(&(found - bytes)), "{name} {marker}: {found}");
        }
        let around = allocated(table, signature);
        assert!(small.contains(&around), "{name}: {around}");
        let found = table["total"]["allocated"].as_i64().unwrap();
        assert!(small.contains(&(found - whole)), "{name}: {found}");
    }
    let one_line = table(&report, "on_one_line");
    assert_eq!(allocated(one_line, "fn on_one_line"), 8 * MIB);
}
