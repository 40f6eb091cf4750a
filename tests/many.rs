//! Many processes as one: a prefork server, a pipeline, a Python with two extension modules, and
//! tests that nextest runs; to the byte, with everything recorded.

mod built;
mod packages;
mod place;
mod recording;
mod skip;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use built::{MEMPROF, text};
use memprof::defect::Defect;
use memprof::profile::{self, Profile};
use packages::Package;
use place::Place;
use recording::{Function, Report};
use skip::skip;

/// `memprof` with these arguments, in the place's folder.
fn memprof(place: &Place, arguments: &[&str]) -> Output {
    let output = Command::new(MEMPROF)
        .args(arguments)
        .current_dir(place.folder.path())
        .env("XDG_CACHE_HOME", place.path("cache"))
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    output
}

fn server(place: &Place) -> PathBuf {
    built(place, "server", "-O1")
}

/// `tests/any/prefork.c`, optimized in this way.
fn built(place: &Place, name: &str, optimized: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/any/prefork.c");
    let program = place.path(name);
    let built = Command::new("cc")
        .args([
            "-g",
            optimized,
            "-fno-builtin-malloc",
            "-Wl,--build-id",
            "-o",
        ])
        .args([&program, &source])
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", text(&built.stderr));
    program
}

/// All profiles of the last run, merged into a file and read from it.
fn merged(place: &Place) -> Profile {
    memprof(place, &["merge", "-o", "all.merged", "--run", "1"]);
    profile::read(&place.path("all.merged")).unwrap().0
}

/// The report of profiles as one. Files of the source are named from this folder on.
fn report(profiles: &[PathBuf]) -> Report {
    let mut command = Command::new(MEMPROF);
    command.args(["report", "--format", "json"]).args(profiles);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the report's documented shape")
}

/// What the table of a function says of the line with `marker`: allocated, blocks, freed, live.
fn line(function: &Function, marker: &str) -> (i64, f64, i64, i64) {
    let line = function.line(marker);
    let bytes = |figure: Option<i64>| figure.unwrap_or(0);
    (
        bytes(line.allocated),
        line.count.unwrap_or(0.0),
        bytes(line.freed),
        bytes(line.live),
    )
}

#[test]
fn the_workers_of_a_prefork_server_are_one_to_the_byte() {
    /// 100,000 bytes of the first worker, 800,000 of the eighth.
    const CACHES: i64 = 3_600_000;
    const CONFIGURATION: i64 = 1 << 20;
    let place = Place::new();
    let server = server(&place);
    let program = server.to_str().unwrap();
    memprof(&place, &["run", "--sample", "all", "--", program]);
    assert_eq!(place.profiles().len(), 9);

    let all = merged(&place);
    assert_eq!((all.process_count(), all.programs().len()), (9, 1));
    assert!(all.is_exact());
    // Of the file, and of all that it was made of.
    let paths = place.profiles();
    for profiles in [&[place.path("all.merged")][..], &paths] {
        let report = report(profiles);
        let serve = report.function("serve");
        let own = line(serve, "a cache of each worker's own");
        assert_eq!(own, (CACHES, 8.0, 0, CACHES));
        let request = line(serve, "void *volatile request");
        assert_eq!(request, (1_600_000, 8.0, 0, 0));
        assert_eq!(line(serve, "// is answered"), (0, 0.0, 1_600_000, 0));
        let before = line(report.function("configure"), "before any worker is there");
        assert_eq!(before, (CONFIGURATION, 1.0, 0, CONFIGURATION), "once");
    }
    let read = |path: &PathBuf| profile::read(path).unwrap().0;
    let parts: Vec<Profile> = paths.iter().map(read).collect();
    let sum = |of: fn(&Profile) -> u64| parts.iter().map(of).sum::<u64>();
    assert_eq!(all.counters().allocs, sum(|part| part.counters().allocs));
    let bytes = sum(|part| part.counters().alloc_bytes);
    assert_eq!(all.counters().alloc_bytes, bytes);
    // The recording of a worker begins with its first 64 KiB, which docs/many.md says.
    let first = report(&paths)
        .function("serve")
        .line("begins with this")
        .is_blank();
    assert!(first);
    // All caches are there at one time; a request comes on top in each worker, and how long it is
    // there no timeline says.
    let held = CONFIGURATION + CACHES;
    assert_eq!(all.heap(), held);
    assert!(
        (held..=held + 1_600_000).contains(&all.peak()),
        "{}",
        all.peak()
    );
    assert_eq!(all.peaks_of_processes(), held + 1_600_000);
}

#[test]
fn the_parts_of_a_pipeline_are_added_up() {
    let place = Place::new();
    let server = server(&place);
    let script = format!("echo | {0} 700000 | {0} 900000", server.display());
    let shell = ["run", "--sample", "all", "--", "sh", "-c", &script];
    let output = memprof(&place, &shell);
    assert_eq!(text(&output.stdout), "through\n");
    let all = merged(&place);
    let programs = all.programs();
    assert!(programs.contains(&("server".to_owned(), 2)), "{programs:?}");
    let report = report(&[place.path("all.merged")]);
    let kept = line(report.function("pass"), "a part of the pipeline keeps");
    assert_eq!(kept, (1_600_000, 2.0, 0, 1_600_000));

    // What is asked for is kept, the rest is removed, and that is said.
    for path in place.profiles() {
        fs::remove_file(path).unwrap();
    }
    let options = ["run", "--min-peak", "650K", "--keep", "2"];
    let output = memprof(&place, &[&options, &shell[1..]].concat());
    let said = text(&output.stderr);
    assert_eq!(place.profiles().len(), 2, "{said}");
    assert!(
        said.contains(" as asked for, each with a peak of at most "),
        "{said}"
    );
    assert!(said.contains("all 2 profiles take "), "{said}");
    let output = memprof(&place, &["clean"]);
    let said = text(&output.stdout);
    assert!(said.starts_with("removed 2 profiles ("), "{said}");
    assert_eq!(place.profiles().len(), 0);

    let output = memprof(&place, &[&["run", "--merge"], &shell[1..]].concat());
    let said = text(&output.stderr);
    let left = place.profiles();
    assert_eq!(left.len(), 1, "{said}");
    let only = profile::read(&left[0]).unwrap().0;
    assert!(only.process_count() >= 3 && only.counters().alloc_bytes >= 1_600_000);
    let output = memprof(&place, &["clean"]);
    let said = text(&output.stdout);
    assert_eq!(said, "removed 0 profiles\nkept 1 file: a copy, or merged\n");
}

#[test]
fn builds_of_one_program_are_added_up_by_function_and_line() {
    let place = Place::new();
    let (one, other) = (server(&place), built(&place, "other", "-O0"));
    let script = format!(
        "{} 700000 </dev/null; {} 900000 </dev/null",
        one.display(),
        other.display()
    );
    memprof(
        &place,
        &["run", "--sample", "all", "--", "sh", "-c", &script],
    );
    let all = merged(&place);
    let ours = ["server", "other"].map(str::to_owned);
    let builds = all
        .modules
        .iter()
        .filter(|module| ours.contains(&module.name()));
    let mut ids: Vec<_> = builds.map(|module| &module.build_id).collect();
    ids.dedup();
    assert_eq!(ids.len(), 2, "one build-id each");
    let report = report(&[place.path("all.merged")]);
    let kept = line(report.function("pass"), "a part of the pipeline keeps");
    assert_eq!(kept, (1_600_000, 2.0, 0, 1_600_000));
}

const EXTENSION: &str = r#"//! A library that keeps what it is told to.
#[global_allocator]
static ALLOC: profiler_alloc::ProfilerAlloc = profiler_alloc::ProfilerAlloc::system();

#[unsafe(no_mangle)]
pub extern "C" fn keep(bytes: usize) {
    std::mem::forget(std::hint::black_box(Vec::<u8>::with_capacity(bytes))); // kept in SELF
}
"#;

#[test]
fn a_python_with_two_extension_modules_is_one_process() {
    if Command::new("python3").arg("--version").output().is_err() {
        return skip("two extension modules: no python3 (apt install python3)");
    }
    let place = Place::new();
    let library = |name: &'static str| {
        let source = EXTENSION.replace("SELF", name);
        let package = Package {
            name,
            crate_name: name,
            is_library: true,
            source: &source,
            features: "",
            dependencies: "",
            profile: "debug = 1",
            of_dependencies: "",
            rustflags: "",
            variable: None,
            target: None,
        };
        let file = package.source_file();
        (package.build().join(format!("lib{name}.so")), file)
    };
    let (one, one_source) = library("many_one");
    let (two, two_source) = library("many_two");
    let script = format!(
        "import ctypes\nctypes.CDLL('{}').keep(3_000_000)\nctypes.CDLL('{}').keep(5_000_000)",
        one.display(),
        two.display()
    );
    let own = "--own=many_one,many_two";
    let python = ["--", "python3", "-c", &script];
    let run = ["run", "--sample", "all", "--no-preload", own];
    memprof(&place, &[&run[..], &python].concat());
    let all = merged(&place);
    assert_eq!((all.process_count(), all.processes.len()), (1, 2));
    assert_eq!((all.heap(), all.peak()), (8_000_000, 8_000_000));
    let is_twice = |defect: &Defect| matches!(defect, Defect::CountedTwice { processes: 1 });
    let (_, defects) = profile::read(&place.path("all.merged")).unwrap();
    assert!(!defects.iter().any(is_twice), "{defects:?}");
    let report = report(&[place.path("all.merged")]);
    for (source, bytes) in [(one_source, 3_000_000), (two_source, 5_000_000)] {
        let is_of = |table: &&Function| table.file == source || source.ends_with(&table.file);
        let table = report.functions.iter().find(is_of).expect("a table");
        let kept = table.lines.iter().find(|line| line.live == Some(bytes));
        assert!(kept.is_some(), "{table:?}");
    }

    // Where Python itself is recorded too, its malloc is what the modules' allocators ask.
    memprof(&place, &[&["run", "--sample", "all"][..], &python].concat());
    merged(&place);
    let (_, defects) = profile::read(&place.path("all.merged")).unwrap();
    assert!(defects.iter().any(is_twice), "{defects:?}");
}

const TESTS: &str = r#"//! Tests for nextest.
#[cfg(test)]
mod tests {
    #[test]
    fn keeps() {
        std::mem::forget(std::hint::black_box(Vec::<u8>::with_capacity(3_000_000)));
    }

    #[test]
    fn gives_back() {
        drop(std::hint::black_box(Vec::<u8>::with_capacity(5_000_000)));
    }

    #[test]
    fn fails_at_first() {
        let attempt = std::env::var("NEXTEST_ATTEMPT").unwrap();
        drop(std::hint::black_box(Vec::<u8>::with_capacity(MORE)));
        assert_ne!(attempt, "1");
    }
}
"#;

/// Runs the tests of a package under nextest, and gives the last lines.
fn run_tests(place: &Place, more: &str) -> String {
    let package = place.path("shop");
    fs::create_dir_all(package.join("src")).unwrap();
    let manifest = "[package]\nname = \"shop\"\nedition = \"2024\"\n\n[workspace]\n";
    fs::write(package.join("Cargo.toml"), manifest).unwrap();
    fs::write(package.join("src/lib.rs"), TESTS.replace("MORE", more)).unwrap();
    let output = Command::new(MEMPROF)
        .args(["run", "--sample", "all", "--", "cargo", "nextest", "run"])
        .args(["--offline", "--retries", "1", "--manifest-path"])
        .arg(package.join("Cargo.toml"))
        .current_dir(place.folder.path())
        .env("XDG_CACHE_HOME", place.path("cache"))
        .env("CARGO_TARGET_DIR", place.path("target"))
        .env_remove("RUST_BACKTRACE")
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn each_test_that_nextest_runs_has_a_line() {
    let has_nextest = Command::new("cargo")
        .args(["nextest", "--version"])
        .output();
    if !has_nextest.is_ok_and(|output| output.status.success()) {
        return skip("tests as processes: no cargo-nextest (cargo install cargo-nextest)");
    }
    let place = Place::new();
    let said = run_tests(&place, "1_000_000");
    // Three tests and an attempt again: neither the runner, nor the compiler, nor the lists.
    assert_eq!(place.profiles().len(), 4, "{said}");
    assert!(
        said.contains("a line for each: memprof processes --run 1"),
        "{said}"
    );
    let rows = |arguments: &[&str]| -> Vec<serde_json::Value> {
        let arguments = [&["tests", "--format", "json"], arguments].concat();
        let json = memprof(&place, &arguments).stdout;
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json["schema"], "memprof-processes/1");
        assert_eq!(json["are_tests"], true);
        json["processes"].as_array().unwrap().clone()
    };
    let found = rows(&["--run", "1", "--sort", "name"]);
    let told: Vec<_> = found
        .iter()
        .map(|row| {
            (
                row["name"].as_str().unwrap(),
                row["attempt"].as_u64().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("tests::fails_at_first", 1),
        ("tests::fails_at_first", 2),
        ("tests::gives_back", 1),
        ("tests::keeps", 1),
    ];
    assert_eq!(told, expected);
    let figure = |row: usize, name: &str| found[row][name].as_i64().unwrap();
    assert_eq!(figure(1, "attempts"), 2);
    // The harness of tests takes some KiB beside.
    let near = |value: i64, bytes: i64| (bytes..bytes + 100_000).contains(&value);
    assert!(near(figure(2, "peak"), 5_000_000) && near(figure(3, "peak"), 3_000_000));
    assert!(near(figure(2, "live"), 0) && near(figure(3, "live"), 3_000_000));

    // A file of all has the same rows.
    memprof(&place, &["merge", "-o", "base.merged", "--run", "1"]);
    assert_eq!(rows(&["base.merged", "--sort", "name"]), found);

    run_tests(&place, "9_000_000");
    let compare = ["tests", "--run", "1", "--base", "base.merged", "--format"];
    let markdown = memprof(&place, &[&compare[..], &["markdown"]].concat());
    let markdown = text(&markdown.stdout);
    assert!(markdown.lines().count() < 60, "{markdown}");
    let grown = markdown
        .lines()
        .find(|line| line.contains("`tests::fails_at_first`"));
    assert!(
        grown.is_some_and(|line| line.contains("| +7.6 MiB |")),
        "{markdown}"
    );
    assert!(!markdown.contains("`tests::keeps`"), "{markdown}");
    assert!(markdown.contains("src/lib.rs:16"), "{markdown}");
    assert!(
        markdown.contains("1 earlier attempt did not count"),
        "{markdown}"
    );
}
