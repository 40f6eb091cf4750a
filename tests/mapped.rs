//! What programs map themselves: a heap of its own, beside what malloc gives.

mod built;
mod skip;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use memprof::profile::{self, Heap, HeapChoice, HeapKind, Profile, Totals};
use tempfile::TempDir;

const PAGE: i64 = 4096;

/// A folder with a program of `tests/any`, and what was recorded of it.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn build(&self, compiler: &str, source: &str) -> PathBuf {
        let from = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/any")
            .join(source);
        let built = Command::new(compiler)
            .args(["-g", "-O1", "-fno-builtin-malloc", "-pthread", "-o"])
            .arg(self.path("program"))
            .arg(from)
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", built::text(&built.stderr));
        self.path("program")
    }

    fn run(&self, options: &[&str], program: &Path, arguments: &[&str]) -> Output {
        let output = Command::new(built::MEMPROF)
            .arg("run")
            .args(options)
            .arg("--")
            .arg(program)
            .args(arguments)
            .current_dir(self.0.path())
            .env("XDG_CACHE_HOME", self.path("cache"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", built::text(&output.stderr));
        output
    }

    fn profiles(&self) -> Vec<(PathBuf, Profile)> {
        let files = fs::read_dir(self.0.path()).unwrap();
        let paths = files.map(|file| file.unwrap().path());
        let paths = paths.filter(|path| path.extension() == Some("memprof".as_ref()));
        let read = |path: PathBuf| {
            let profile = profile::read(&path).unwrap().0;
            (path, profile)
        };
        paths.map(read).collect()
    }

    /// The only profile of the folder.
    fn profile(&self) -> Profile {
        let mut profiles = self.profiles();
        assert_eq!(profiles.len(), 1);
        profiles.remove(0).1
    }

    fn memprof(&self, arguments: &[&str]) -> String {
        let profiles = self.profiles();
        let output = Command::new(built::MEMPROF)
            .args(arguments)
            .arg(&profiles[0].0)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", built::text(&output.stderr));
        built::text(&output.stdout)
    }
}

fn mapped(profile: &Profile) -> &Heap {
    let [heap] = &*profile.heaps else {
        panic!("{} heaps", profile.heaps.len());
    };
    assert_eq!((&*heap.name, heap.kind), ("mapped", HeapKind::Mapped));
    heap
}

/// The sum over the stacks of the heap.
fn recorded(profile: &Profile) -> Totals {
    let mut profile = profile.clone();
    profile
        .select_heap(&HeapChoice::Named("mapped".into()))
        .unwrap();
    let mut sum = profile.unattributed;
    assert_eq!(sum, Totals::default());
    profile
        .stacks
        .iter()
        .for_each(|stack| sum.add(&stack.totals));
    sum
}

/// Every way to map memory, and to give back a part of it: the program itself says what it holds.
#[test]
fn bytes_are_right_however_they_are_mapped_and_cut() {
    let place = Place::new();
    let program = place.build("cc", "maps.c");
    let output = place.run(&["--sample", "all"], &program, &[]);
    let held: i64 = built::text(&output.stdout).trim().parse().unwrap();
    let profile = place.profile();
    let heap = mapped(&profile);
    assert_eq!((heap.in_use(), heap.base), (held * PAGE, 0));
    assert_eq!((heap.lost_frees, heap.lost_mappings), (0, 0));
    let totals = recorded(&profile);
    assert_eq!(totals.live_bytes, heap.in_use());
    assert_eq!(totals.peak_bytes, heap.peak);
    assert_eq!(totals.alloc_bytes, heap.counters.alloc_bytes as i64);
    assert_eq!(totals.freed_bytes, heap.counters.freed_bytes as i64);
    // 1 + 10 + 30 + 10 + (4 + 100 + 20) + 50 + 5 + 8 pages were taken.
    assert_eq!(totals.alloc_bytes, 238 * PAGE);
    // Nothing of it is malloc's: stdio's buffer, and the memory of four threads.
    assert!(profile.peak() < 8192, "{}", profile.peak());

    let csv = place.memprof(&[
        "report",
        "--heap",
        "mapped",
        "--format",
        "csv",
        "--columns",
        "live",
    ]);
    for (line, pages) in [
        ("the one way in", 1 + 6 + 5 + 8),
        ("in its place", 2),
        ("20 */", 20),
        ("50 */", 30),
        ("sbrk(3", 2),
        ("brk((char", 2),
    ] {
        let row = csv.lines().find(|row| row.contains(line));
        let live = format!(",{},", pages * PAGE);
        assert!(
            row.is_some_and(|row| row.contains(&live)),
            "{line}{live}: {row:?}"
        );
    }
}

/// A child that runs on has the parent's mappings as what was there before, and its own on lines.
#[test]
fn a_forked_child_knows_what_was_mapped_before() {
    let place = Place::new();
    let program = place.build("cc", "maps.c");
    place.run(&["--sample", "all"], &program, &["fork"]);
    let profiles = place.profiles();
    let child = profiles
        .iter()
        .find(|(_, profile)| profile.header.forked_from != 0);
    let (_, child) = child.expect("the child's profile");
    let heap = mapped(child);
    assert_eq!((heap.base, heap.in_use()), (126 * PAGE, 126 * PAGE));
    assert_eq!(
        (heap.peak, heap.counters.alloc_bytes as i64),
        (186 * PAGE, 60 * PAGE)
    );
    assert_eq!(recorded(child).live_bytes, 0);
    let parent = profiles
        .iter()
        .find(|(_, profile)| profile.header.forked_from == 0);
    assert_eq!(mapped(&parent.unwrap().1).in_use(), 86 * PAGE);
}

/// A thread that another one keeps from the table says so: nobody waits, and what is wrong by it is
/// counted.
#[test]
fn threads_and_signal_handlers_map_at_once() {
    let place = Place::new();
    let program = place.build("cc", "map_storm.c");
    for options in [&["--sample", "all"][..], &["--sample", "1MiB"], &[]] {
        let output = place.run(options, &program, &[]);
        assert_eq!(built::text(&output.stdout), "done\n");
        let profile = place.profile();
        let heap = mapped(&profile);
        let lost = heap.lost_mappings + heap.lost_frees;
        // Each loss is of two pages at most, to the one side or the other.
        assert!(
            heap.in_use().unsigned_abs() <= lost * 2 * PAGE as u64,
            "{heap:?}"
        );
        // Only a handler that has interrupted the very thread which is at the table loses.
        assert!(lost < 100, "{lost} of 60,000 lost");
        assert!(
            heap.counters.allocs >= 20_000 - lost,
            "{}",
            heap.counters.allocs
        );
        for (path, _) in place.profiles() {
            fs::remove_file(path).unwrap();
        }
    }
}

/// 20,000 mappings of two pages at one sample in 1 MiB: some 155 samples, so the standard error is
/// 8 %; five of these are exceeded once in two million times.
#[test]
fn sampled_mappings_are_within_their_error() {
    let place = Place::new();
    let program = place.build("cc", "map_storm.c");
    place.run(&["--sample", "1MiB"], &program, &[]);
    let profile = place.profile();
    let heap = mapped(&profile);
    let totals = recorded(&profile);
    let truth = heap.counters.alloc_bytes as f64;
    let stated = totals.alloc_variance.sqrt();
    assert!(
        (0.05..0.12).contains(&(stated / truth)),
        "{}",
        stated / truth
    );
    let off = (totals.alloc_bytes as f64 - truth).abs();
    assert!(off <= 5.0 * stated, "{off} of {truth}, stated {stated}");
    // Both halves of each sampled mapping went, each rounded to a byte.
    let lost = heap.lost_mappings as i64;
    let samples = totals.alloc_samples as i64;
    assert!(
        totals.live_bytes.abs() <= 2 * samples + lost * (2 << 20),
        "{totals:?}"
    );
}

/// Of 100,000 objects of Python's, malloc has next to nothing: they are in arenas.
#[test]
fn arenas_of_python_are_seen() {
    let python = Path::new("/usr/bin/python3");
    if !python.exists() {
        return skip::skip("arenas of Python: no /usr/bin/python3 (apt-get install python3)");
    }
    let place = Place::new();
    let objects = "x = [{'a': i, 'b': str(i)} for i in range(100000)]";
    place.run(&["--sample", "all"], python, &["-c", objects]);
    let profile = place.profile();
    let heap = mapped(&profile);
    assert!(
        heap.peak > 4 * profile.peak(),
        "{} {}",
        heap.peak,
        profile.peak()
    );
    assert!(heap.peak > 20 << 20, "{}", heap.peak);
    assert_eq!(heap.lost_mappings, 0);
    let totals = recorded(&profile);
    assert_eq!(totals.peak_bytes, heap.peak);
    let tree = place.memprof(&["tree", "--heap", "mapped"]);
    assert!(
        tree.contains("PyUnicode_New") || tree.contains("python3"),
        "{tree}"
    );
    let summary = place.memprof(&["summary"]);
    assert!(summary.contains("  mapped"), "{summary}");
}

/// A malloc that maps by the functions that programs call is loaded behind the library: what it
/// maps is malloc's, and is not counted twice.
#[test]
fn what_another_malloc_maps_is_not_the_programs() {
    let place = Place::new();
    let program = place.build("cc", "maps.c");
    let library = place.path("map_malloc.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/any/map_malloc.c");
    let built = Command::new("cc")
        .args(["-O1", "-fno-builtin", "-shared", "-fPIC", "-o"])
        .args([&library, Path::new(source)])
        .status();
    assert!(built.unwrap().success());
    let output = Command::new(built::MEMPROF)
        .args(["run", "--sample", "all", "--"])
        .arg(&program)
        .current_dir(place.0.path())
        .env("XDG_CACHE_HOME", place.path("cache"))
        .env("LD_PRELOAD", &library)
        .output()
        .unwrap();
    let said = built::text(&output.stderr);
    assert_eq!(built::text(&output.stdout), "86\n", "{said}");
    let profile = place.profile();
    assert_eq!(profile.heaps, [], "{said}");
    assert!(profile.counters().allocs >= 5);
}

/// A library of musl's, too, and its `brk` that gives nothing.
#[test]
fn a_program_of_musl_maps_too() {
    if Command::new("musl-gcc").arg("--version").output().is_err() {
        return skip::skip(
            "mappings of a program of musl: no musl-gcc (apt-get install musl-tools)",
        );
    }
    let place = Place::new();
    let program = place.build("musl-gcc", "map_storm.c");
    let output = place.run(&["--sample", "all"], &program, &[]);
    assert_eq!(built::text(&output.stdout), "done\n");
    let profile = place.profile();
    let heap = mapped(&profile);
    assert!(heap.counters.allocs >= 19_800, "{}", heap.counters.allocs);
}
