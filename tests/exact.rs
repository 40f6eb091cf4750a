//! The exact tables of functions with `#[profile]` in the profile file: the same as the program
//! prints, and there too when it can print nothing any more.

#![forbid(unsafe_code)]

mod built;
#[path = "../profiler-alloc/tests/executor/mod.rs"]
mod executor;

use std::fs;
use std::hint::black_box;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Child, Command, Stdio, exit};
use std::sync::{Barrier, Mutex, PoisonError};
use std::thread;

use memprof::profile::{self, Profile, ProfiledFunction, ProfiledLine};
use profiler_alloc::measure::{Format, set_format};
use profiler_alloc::{ProfilerAlloc, Recording, profile, profile_block};

use built::{MEMPROF, example, stripped_example, text};
use executor::{give_way, run};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

const MIB: usize = 1 << 20;

fn block(bytes: usize) -> Vec<u8> {
    black_box(Vec::with_capacity(bytes))
}

// ---- programs, each run in a process of its own

#[profile]
fn keeps_and_drops(rounds: usize) -> Vec<u8> {
    let kept = block(3000);
    for _ in 0..rounds {
        let short = block(500);
        drop(short);
    }
    kept
}

#[profile]
fn recurses(depth: usize) -> usize {
    let own = block(100);
    let below = match depth {
        0 => 0,
        _ => recurses(depth - 1),
    };
    below + own.capacity()
}

#[profile(embed)]
async fn gives_way(rounds: usize) {
    let kept = block(700);
    for _ in 0..rounds {
        give_way().await;
    }
    drop(kept);
}

#[test]
#[ignore = "a program for the tests below"]
fn does_it_all() {
    set_format(Format::Json);
    let work = || {
        for _ in 0..100 {
            drop(keeps_and_drops(7));
        }
        recurses(50);
    };
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(work);
        }
    });
    // More at once than there are blocks of counters.
    let all = Barrier::new(48);
    thread::scope(|scope| {
        for _ in 0..48 {
            scope.spawn(|| crowded(&all));
        }
    });
    run((0..10).map(|_| -> Pin<Box<dyn Future<Output = ()> + Send>> { Box::pin(gives_way(20)) }));
    let sum: usize = (0..3).map(takes_a_block).sum();
    assert_eq!(sum, 3 * 900);
    let caught = std::panic::catch_unwind(panics);
    assert!(caught.is_err());
}

#[profile]
fn crowded(all: &Barrier) {
    let kept = block(1234);
    all.wait();
    drop(kept);
}

fn takes_a_block(_: usize) -> usize {
    profile_block!("in the middle", {
        let kept = block(900);
        kept.capacity()
    })
}

#[profile]
fn panics() {
    let kept = block(60);
    assert!(kept.capacity() < 60, "as it should");
}

/// Says that it is where the test wants it, and stays there.
fn stays() -> ! {
    println!("ready");
    loop {
        thread::park();
    }
}

/// Holds memory while something happens.
fn uses<R>(_held: Vec<u8>, work: impl FnOnce() -> R) -> R {
    work()
}

#[profile]
fn never_comes_back(depth: usize) {
    let kept = block(1000);
    if depth > 0 {
        drop(kept);
        never_comes_back(depth - 1);
    } else {
        uses(block(2000), stays);
    }
}

#[profile]
fn outer_work(depth: usize) {
    let kept = block(5 * MIB);
    never_comes_back(depth);
    drop(kept);
}

#[test]
#[ignore = "a program for the tests below"]
fn waits() {
    outer_work(2);
}

#[profile]
fn leaves() {
    let kept = block(4000);
    uses(block(50), || exit(kept.capacity() as i32 / 1000));
}

#[test]
#[ignore = "a program for the tests below"]
fn exits() {
    leaves();
}

#[test]
#[ignore = "a program for the tests below"]
fn aborts() {
    let kept = keeps_and_drops(3);
    black_box(kept);
    std::process::abort();
}

#[profile(each_call)]
fn reports_each() {
    let kept = block(800);
    drop(kept);
}

#[test]
#[ignore = "a program for the tests below"]
fn calls_each() {
    for _ in 0..5 {
        reports_each();
    }
    std::process::abort();
}

#[profile]
fn first_called_late() {
    drop(block(10));
}

#[test]
#[ignore = "a program for the tests below"]
fn has_no_room() {
    first_called_late();
    // Nothing but the file is short of room.
    let kept = keeps_and_drops(1);
    assert_eq!(kept.capacity(), 3000);
}

// ---- the tests

/// A profile of one of the programs above, in a folder of its own.
struct Recorded {
    folder: tempfile::TempDir,
}

impl Recorded {
    fn new() -> Recorded {
        Recorded {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("x.memprof")
    }

    /// `memprof run` on a program above.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(MEMPROF);
        (command.arg("run").arg("-o").arg(self.path()).arg("--"))
            .arg(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "--test-threads=1"])
            .arg(program)
            .stdin(Stdio::null());
        command
    }

    fn profile(&self) -> Profile {
        let (profile, defects) = profile::read(&self.path()).unwrap();
        assert_eq!(defects, []);
        profile
    }

    fn report(&self, options: &[&str]) -> String {
        report(&self.path(), options)
    }
}

fn report(path: &Path, options: &[&str]) -> String {
    let output = Command::new(MEMPROF)
        .args(["report", "--exact"])
        .args(options)
        .arg(path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn function<'a>(profile: &'a Profile, name: &str) -> &'a ProfiledFunction {
    let end = format!("::{name}");
    let mut found = profile.functions.iter().filter(|f| f.name.ends_with(&end));
    let function = found.next().unwrap_or_else(|| panic!("{name} is there"));
    assert!(found.next().is_none(), "one table for {name}");
    function
}

/// The one line of this file that holds `marker` within the function.
fn line<'a>(function: &'a ProfiledFunction, marker: &str) -> &'a ProfiledLine {
    let source = fs::read_to_string(file!()).unwrap();
    let span = function.first_line..=function.last_line;
    let lines = (1..).zip(source.lines());
    let found: Vec<u32> = lines
        .filter(|(number, line)| span.contains(number) && line.contains(marker))
        .map(|(number, _)| number)
        .collect();
    assert_eq!(found.len(), 1, "lines of {} with {marker}", function.name);
    let line = function.lines.iter().find(|line| line.number == found[0]);
    line.unwrap_or_else(|| panic!("{} counts {marker}", function.name))
}

fn counted(line: &ProfiledLine) -> (u64, u64, u64) {
    (line.runs, line.allocated, line.freed)
}

#[test]
fn the_file_says_what_the_program_prints() {
    let recorded = Recorded::new();
    let output = recorded.command("does_it_all").output().unwrap();
    let stderr = text(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let profile = recorded.profile();
    let mut compared = 0;
    for printed in stderr.lines().filter(|line| line.starts_with('{')) {
        let printed: serde_json::Value = serde_json::from_str(printed).unwrap();
        let name = printed["function"].as_str().unwrap();
        let function = (profile.functions.iter()).find(|function| function.name == name);
        let function = function.unwrap_or_else(|| panic!("{name} is in the file"));
        assert_eq!(printed["calls"], function.calls(), "{name}");
        let (first, last) = (function.first_ns.unwrap(), function.last_ns.unwrap());
        assert!(first <= last && last <= profile.duration_ns(), "{name}");
        assert!(!function.is_open, "{name}");
        let mut touched = function.lines.iter().filter(|line| line.is_touched());
        let printed_lines = printed["lines"].as_array().unwrap().iter();
        for (index, printed) in printed_lines.enumerate() {
            if printed["occurrences"].is_null() && printed["increment"].is_null() {
                continue;
            }
            let line = touched.next().expect("as many lines");
            assert_eq!(printed["line"], line.number, "{name}");
            assert_eq!(printed["mem_usage"].as_i64(), line.mem_usage, "{name}");
            assert_eq!(printed["occurrences"].as_u64().unwrap_or(0), line.runs);
            if index > 0 {
                assert_eq!(printed["allocated"], line.allocated, "{name} {index}");
                assert_eq!(printed["freed"], line.freed, "{name} {index}");
            }
        }
        assert_eq!(touched.next(), None, "{name}");
        compared += 1;
    }
    assert_eq!(compared, 6, "{stderr}");
    // The text that is embedded in the program is in the file.
    let embedded = function(&profile, "gives_way").source.as_deref();
    assert!(embedded.unwrap().starts_with("async fn gives_way"));

    let json = recorded.report(&["--format", "json", "--function", "crowded"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["basis"], "counters");
    let first = &json["functions"][0]["lines"][1];
    let figures = serde_json::json!({
        "line": first["line"], "source": "    let kept = block(1234);", "occurrences": 48,
        "mem_usage": first["mem_usage"], "increment": 48 * 1234, "allocated": 48 * 1234, "freed": 0,
    });
    assert_eq!(*first, figures);
    let csv = recorded.report(&["--format", "csv", "--function", "crowded"]);
    let row = csv.lines().find(|row| row.contains("let kept")).unwrap();
    let cells: Vec<&str> = row.split(',').collect();
    assert_eq!(
        cells[5..11],
        ["59232", "0", "59232", "0", "0", "0"],
        "{row}"
    );
    assert!(cells[11..24].iter().all(|cell| cell.is_empty()), "{row}");
    assert_eq!(cells[24..], ["true", "48"], "{row}");

    let calls = line(function(&profile, "keeps_and_drops"), "let kept");
    assert_eq!(counted(calls), (800, 800 * 3000, 0));
    let crowd = function(&profile, "crowded");
    assert_eq!(counted(line(crowd, "let kept")), (48, 48 * 1234, 0));
}

/// Starts a program that waits, and waits until it does.
fn start(recorded: &Recorded, program: &str) -> Child {
    let mut child = recorded
        .command(program)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let is_ready = lines.any(|line| line.unwrap().contains("ready"));
    assert!(is_ready, "{program} comes to its end");
    child
}

/// The functions without what other threads of the process, the test harness's, change.
fn without_heap(profile: &Profile) -> Vec<ProfiledFunction> {
    let mut functions = profile.functions.clone();
    let lines = functions
        .iter_mut()
        .flat_map(|function| &mut function.lines);
    lines.for_each(|line| line.mem_usage = None);
    functions
}

#[test]
fn a_killed_program_leaves_its_tables_with_the_lines_it_was_on() {
    let recorded = Recorded::new();
    let mut child = start(&recorded, "waits");
    let live = recorded.profile();
    let pid = live.header.pid.to_string();
    let killed = Command::new("kill").args(["-KILL", &pid]).status().unwrap();
    assert!(killed.success());
    child.wait().unwrap();
    let profile = recorded.profile();
    assert_eq!(without_heap(&live), without_heap(&profile));

    let outer = function(&profile, "outer_work");
    assert!(outer.first_ns.is_some() && outer.last_ns.is_none() && outer.is_open);
    let stays_for_ever = line(outer, "never_comes_back(depth)");
    let size = 5 * MIB as u64;
    assert_eq!(counted(line(outer, "let kept")), (1, size, 0));
    // What was allocated on a line that is not over: three times 1000, twice given back, and 2000.
    let printing = stays_for_ever.allocated - 5000;
    assert_eq!(stays_for_ever.freed, 2000);
    assert!(printing < 4096, "println has a buffer: {printing}");
    assert!(stays_for_ever.mem_usage.unwrap() > 5 * MIB as i64);

    // A line of outer calls counts once, and the inner calls are in it.
    let inner = function(&profile, "never_comes_back");
    assert_eq!(counted(line(inner, "let kept")), (3, 3000, 0));
    assert_eq!(counted(line(inner, "drop(kept)")), (2, 0, 2000));
    let waiting = line(inner, "never_comes_back(depth - 1)");
    assert_eq!(counted(waiting), (2, 4000 + printing, 1000));
    let last = line(inner, "uses(block(2000)");
    assert_eq!(counted(last), (1, 2000 + printing, 0));
}

#[test]
fn a_program_that_exits_or_aborts_leaves_its_tables() {
    let recorded = Recorded::new();
    let output = recorded.command("exits").output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    let profile = recorded.profile();
    let leaves = function(&profile, "leaves");
    assert_eq!(counted(line(leaves, "let kept")), (1, 4000, 0));
    let last = line(leaves, "exit(");
    assert!((50..8192).contains(&last.allocated), "{last:?}");

    let recorded = Recorded::new();
    let output = recorded.command("aborts").output().unwrap();
    assert!(!output.status.success());
    let profile = recorded.profile();
    let function = function(&profile, "keeps_and_drops");
    assert_eq!(counted(line(function, "let kept")), (1, 3000, 0));
    assert_eq!(counted(line(function, "drop(short)")), (3, 0, 1500));
}

#[test]
fn calls_that_are_reported_each_are_in_the_file_when_they_end() {
    let recorded = Recorded::new();
    let output = recorded.command("calls_each").output().unwrap();
    let tables = text(&output.stderr).matches("Filename: ").count();
    assert_eq!(tables, 5);
    let profile = recorded.profile();
    let function = function(&profile, "reports_each");
    assert_eq!(function.calls(), 5);
    assert!(function.first_ns.unwrap() < function.last_ns.unwrap());
    assert_eq!(counted(line(function, "let kept")), (5, 4000, 0));
}

#[test]
fn a_file_without_room_says_how_many_calls_it_does_not_have() {
    let recorded = Recorded::new();
    let program = recorded.command("has_no_room");
    let mut shell = Command::new("bash");
    // In KiB: enough to open the profile, and no more.
    shell
        .args(["-c", "ulimit -f 400; exec \"$0\" \"$@\""])
        .arg(program.get_program())
        .args(program.get_args());
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    // The program's own table is whole.
    assert!(text(&output.stderr).contains("let kept = block(3000);"));
    let profile = recorded.profile();
    assert_eq!(profile.functions, []);
    assert_eq!(profile.header.lost_calls, 2);
    let text = recorded.report(&[]);
    assert!(
        text.contains("2 calls of #[profile] functions that the exact tables do not have"),
        "{text}"
    );
}

#[profile]
fn starts_and_stops(path: &Path) {
    drop(block(11));
    let recording = Recording::builder().path(path).start().unwrap();
    drop(block(22));
    recording.pause();
    drop(block(33));
    recording.resume();
    recurses(3);
    drop(recording);
    drop(block(55));
}

/// A process has one recording at a time.
static ONE: Mutex<()> = Mutex::new(());

#[test]
fn a_recording_from_code_has_the_lines_between_its_start_and_its_end() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let path = folder.path().join(format!("{round}.memprof"));
        starts_and_stops(&path);
        let (profile, defects) = profile::read(&path).unwrap();
        assert_eq!(defects, []);
        let function_here = function(&profile, "starts_and_stops");
        let touched = |marker| counted(line(function_here, marker));
        assert_eq!(touched("block(11)"), (0, 0, 0));
        assert_eq!(touched("block(22)"), (1, 22, 22));
        // Exact counts go on during a pause.
        assert_eq!(touched("block(33)"), (1, 33, 33));
        assert_eq!(touched("block(55)"), (0, 0, 0));
        // The recording ended before the call did, so its end is not in it.
        assert!(function_here.first_ns.is_some());
        assert_eq!(function_here.last_ns, None);
        let recursion = function(&profile, "recurses");
        assert_eq!(counted(line(recursion, "let own")), (4, 400, 0));
    }
    // And the program's own tables have all of it.
    let tables = profiler_alloc::measure::profiles();
    let table = tables
        .iter()
        .find(|table| table.function.ends_with("starts_and_stops"));
    let table = table.unwrap();
    assert_eq!(table.calls, 3);
    let freed = |size| {
        let lines = table.lines.iter();
        let sizes = lines.filter(|line| {
            let contents = line.contents.as_deref().unwrap_or_default();
            contents.contains(&format!("block({size})"))
        });
        sizes.map(|line| line.freed.unwrap()).sum::<u64>()
    };
    assert_eq!([11, 22, 33, 55].map(freed), [33, 66, 99, 165]);
}

#[profile]
fn recurses_and_records(depth: usize, path: &Path) {
    let own = block(100);
    if depth == 2 {
        let recording = Recording::builder().path(path).start().unwrap();
        recurses_and_records(depth - 1, path);
        drop(recording);
    } else if depth > 0 {
        recurses_and_records(depth - 1, path);
    }
    drop(own);
}

#[test]
fn a_recursion_that_began_before_is_not_in_the_recording() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.memprof");
    recurses_and_records(4, &path);
    let (profile, defects) = profile::read(&path).unwrap();
    assert_eq!(defects, []);
    let touched = |function: &ProfiledFunction| function.lines.iter().any(|l| l.is_touched());
    assert!(!profile.functions.iter().any(touched));
}

#[test]
fn a_stripped_program_and_another_machine_show_the_same_table() {
    let stripped = stripped_example("lists_profiled", "lists_profiled_without_symbols");
    let folder = tempfile::tempdir().unwrap();
    let tables = [example("lists_profiled"), stripped].map(|program| {
        let path = folder.path().join("x.memprof");
        let output = Command::new(MEMPROF)
            .args(["run", "-o"])
            .arg(&path)
            .arg("--")
            .arg(&program)
            .output()
            .unwrap();
        assert!(output.status.success());
        // The program itself is not needed any more.
        let shown = report(&path, &["--columns", "occurrences", "--precision", "2"]);
        fs::remove_file(&path).unwrap();
        shown
    });
    assert_eq!(tables[0], tables[1]);
    let row = "    21     1.53 MiB    -0.76 MiB            1       drop(arr1);\n";
    assert!(tables[0].contains(row), "{}", tables[0]);
    let names = "Filename: examples/lists_profiled.rs\nFunction: lists_profiled::main_func\n";
    assert!(tables[0].starts_with(names));
}
