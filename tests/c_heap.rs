//! C code in a program with the crate, under the preload library: a heap of its own, to the byte,
//! and no block in two heaps, whatever the program's own allocator is.

mod built;
mod packages;

use std::path::{Path, PathBuf};
use std::process::Command;

use built::{MEMPROF, text};
use memprof::profile::{self, Profile};
use packages::Package;
use serde_json::Value;

const MAIN: &str = r#"//! The program under test.
use std::hint::black_box;
use profiler_alloc::ProfilerAlloc;

ALLOCATOR

unsafe extern "C" {
    fn c_keep();
    fn c_take(size: usize) -> *mut u8;
    fn c_take_back(block: *mut u8);
    fn c_threads();
    fn free(block: *mut u8);
}

#[repr(align(256))]
#[derive(Clone)]
struct Aligned([u8; 512]);

fn main() {
    let mut kept: Vec<Vec<u8>> = (0..100).map(|n| vec![1; 2000 + n]).collect(); // of Rust
    let aligned = black_box(vec![Aligned([0; 512]); 3]); // aligned by Rust
    let zeroed = black_box(vec![0u8; 70_000]); // zeroed by Rust
    kept.iter_mut().for_each(|block| block.resize(3000, 0)); // grown by Rust
    unsafe {
        c_keep();
        let (one, two) = (c_take(30_000), c_take(40_000));
        c_take_back(one);
        free(two); // freed by Rust
        if std::env::args().nth(1).is_some() {
            c_threads();
        }
    }
    std::mem::forget(black_box((kept, aligned, zeroed)));
}
"#;

/// A program over one allocator.
struct Program {
    name: &'static str,
    path: PathBuf,
    folder: PathBuf,
}

impl Program {
    fn new(name: &'static str, allocator: &str, dependencies: &str) -> Program {
        let object = object_file();
        let source = MAIN.replace("ALLOCATOR", allocator);
        let package = Package {
            name,
            crate_name: name,
            is_library: false,
            source: &source,
            features: "",
            dependencies,
            profile: "debug = 1",
            of_dependencies: "opt-level = 0",
            rustflags: &format!("-Clink-arg={}", object.display()),
            variable: None,
            target: None,
        };
        Program {
            name,
            folder: package.folder(),
            path: package.build().join(name),
        }
    }

    fn system() -> Program {
        let allocator =
            "#[global_allocator] static ALLOC: ProfilerAlloc = ProfilerAlloc::system();";
        Program::new("c-heap", allocator, "")
    }

    fn record(&self, to: &str, options: &[&str], arguments: &[&str]) -> Recorded {
        self.record_with(to, options, arguments, &[])
    }

    fn record_with(
        &self,
        to: &str,
        options: &[&str],
        arguments: &[&str],
        variables: &[(&str, &Path)],
    ) -> Recorded {
        let path = self.folder.join(format!("{to}.memprof"));
        let output = Command::new(MEMPROF)
            .args(["run", "--overwrite", "-o"])
            .arg(&path)
            .args(options)
            .arg("--")
            .arg(&self.path)
            .args(arguments)
            .env("XDG_CACHE_HOME", self.folder.join("cache"))
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let said = text(&output.stderr);
        assert!(output.status.success(), "{}: {said}", self.name);
        let profile = profile::read(&path).unwrap().0;
        Recorded {
            path,
            profile,
            said,
        }
    }
}

/// The C code, built once for all programs, so that they are built in one way.
fn object_file() -> PathBuf {
    static BUILT: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    let build = || {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/any/c_heap.c");
        let object = folder.join("c_heap.o");
        let built = Command::new("cc")
            .args(["-g", "-O1", "-fno-builtin", "-pthread", "-c", "-o"])
            .args([&object, &source])
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", text(&built.stderr));
        object
    };
    BUILT.get_or_init(build).clone()
}

struct Recorded {
    path: PathBuf,
    profile: Profile,
    said: String,
}

impl Recorded {
    /// Bytes allocated, freed and in use of a heap on the line that ends with a comment.
    fn line(&self, heap: &str, comment: &str) -> [i64; 3] {
        let output = Command::new(MEMPROF)
            .args(["report", "--format", "json", "--all", "--heap", heap])
            .arg(&self.path)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let ending = format!("// {comment}");
        let tables = report["functions"].as_array().unwrap().iter();
        let lines = tables.flat_map(|table| table["lines"].as_array().unwrap());
        let lines = lines.filter(|line| {
            let source = line["source"].as_str();
            source.is_some_and(|text| text.ends_with(&ending))
        });
        lines.fold([0; 3], |sums, line| {
            let figures = ["allocated", "freed", "live"].map(|figure| line[figure].as_i64());
            [0, 1, 2].map(|at| sums[at] + figures[at].unwrap_or(0))
        })
    }

    fn c_heap(&self) -> Option<&profile::Heap> {
        self.profile.heaps.iter().find(|heap| heap.name == "C heap")
    }

    /// The lines of C code are what it says, in the C heap, and in no other.
    fn check(&self, kind: &str) {
        let first: i64 = (1000..1050).sum();
        let all: i64 = (1000..1100).sum();
        let expected = [
            // Live is what stands at the end: one became another by its line.
            ("keeps", [all, 0, all - first - 1099]),
            ("frees", [0, first, 0]),
            ("grows", [5000, 1099, 5000]),
            ("zeroed", [300, 0, 300]),
            ("aligned", [640, 0, 640]),
            ("by the C library", [20, 0, 20]),
            ("early", [0, 777, 0]),
            ("for Rust", [70_000, 0, 0]),
            ("back from Rust", [0, 30_000, 0]),
            ("freed by Rust", [0, 40_000, 0]),
        ];
        for (comment, figures) in expected {
            assert_eq!(self.line("C heap", comment), figures, "{kind}: {comment}");
            assert_eq!(self.line("malloc", comment), [0; 3], "{kind}: {comment}");
        }
        for (comment, allocated) in [
            ("of Rust", (2000..2100).sum::<i64>() + 100 * 24),
            ("aligned by Rust", 3 * 512),
            ("zeroed by Rust", 70_000),
            ("grown by Rust", 300_000),
        ] {
            let found = self.line("malloc", comment);
            assert!(
                (allocated..=2 * allocated).contains(&found[0]),
                "{kind}: {comment}: {found:?}"
            );
            assert_eq!(self.line("C heap", comment), [0; 3], "{kind}: {comment}");
        }
        let heap = self.c_heap().unwrap();
        assert_eq!(heap.lost_frees, 0, "{kind}");
    }
}

/// What the program's own allocator gave is the same with the library and without.
fn same_of_rust(program: &Program, with: &Recorded) {
    let without = program.record("without", &["--sample", "all"], &[]);
    assert!(without.c_heap().is_none());
    assert_eq!(
        with.profile.counters(),
        without.profile.counters(),
        "{}",
        program.name
    );
}

#[test]
fn c_code_beside_the_systems_allocator() {
    let program = Program::system();
    let recorded = program.record("with", &["--sample", "all", "--preload"], &[]);
    recorded.check("system");
    same_of_rust(&program, &recorded);
    assert!(
        recorded.said.contains(" in the heap 'C heap'"),
        "{}",
        recorded.said
    );
}

#[test]
fn c_code_beside_mimalloc() {
    let allocator = "#[global_allocator] static ALLOC: ProfilerAlloc<mimalloc::MiMalloc> = \
                     ProfilerAlloc::new(mimalloc::MiMalloc);";
    let program = Program::new("c-heap-mimalloc", allocator, "mimalloc = \"0.1\"");
    let recorded = program.record("with", &["--sample", "all", "--preload"], &[]);
    recorded.check("mimalloc");
    same_of_rust(&program, &recorded);
}

/// Its blocks end in `malloc`, and nothing tells them from C's: so nothing of C's is shown.
#[test]
fn an_allocator_that_ends_in_malloc_has_no_c_heap_beside_it() {
    let allocator = "use std::alloc::{GlobalAlloc, Layout, System};
struct Own;
unsafe impl GlobalAlloc for Own {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 { unsafe { System.alloc(layout) } }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) { unsafe { System.dealloc(block, layout) } }
}
#[global_allocator] static ALLOC: ProfilerAlloc<Own> = ProfilerAlloc::new(Own);";
    let program = Program::new("c-heap-own", allocator, "");
    let recorded = program.record("with", &["--sample", "all", "--preload"], &[]);
    assert!(recorded.c_heap().is_none());
    same_of_rust(&program, &recorded);
}

#[test]
fn blocks_of_c_that_go_from_thread_to_thread() {
    let program = Program::system();
    let recorded = program.record("threads", &["--sample", "all", "--preload"], &["threads"]);
    let each: i64 = 20_000 / 100 * (1..=100).sum::<i64>();
    assert_eq!(recorded.line("C heap", "passed on"), [4 * each, 0, 0]);
    let freed = ["taken over", "the rest"].map(|comment| recorded.line("C heap", comment)[1]);
    assert_eq!(freed.iter().sum::<i64>(), 4 * each);
    let heap = recorded.c_heap().unwrap();
    assert_eq!(heap.lost_frees, 0);
    // Exact, whatever is sampled.
    let sampled = program.record(
        "sampled",
        &["--sample", "1000000", "--preload"],
        &["threads"],
    );
    let other = sampled.c_heap().unwrap();
    assert_eq!(other.counters.alloc_bytes, heap.counters.alloc_bytes);
    assert_eq!(other.counters.freed_bytes, heap.counters.freed_bytes);
}

/// What is in use before the recording begins, in a library that is loaded before the program.
const EARLY: &str = "#include <stdlib.h>
static void *early;
__attribute__((constructor)) static void begin(void) { early = malloc(123456); }
__attribute__((destructor)) static void end(void) { free(early); }
";

#[test]
fn blocks_of_c_from_before_the_recording() {
    let program = Program::system();
    let early = program.folder.join("early.so");
    let source = program.folder.join("early.c");
    std::fs::write(&source, EARLY).unwrap();
    let built = Command::new("cc")
        .args(["-g", "-O1", "-fno-builtin", "-shared", "-fPIC", "-o"])
        .args([&early, &source])
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", text(&built.stderr));
    let recorded = program.record_with(
        "early",
        &["--sample", "all", "--preload"],
        &[],
        &[("LD_PRELOAD", &early)],
    );
    recorded.check("early");
    let heap = recorded.c_heap().unwrap();
    assert!((123_456..133_456).contains(&heap.base), "{}", heap.base);
    let later = program.record("later", &["--sample", "all", "--preload"], &[]);
    let freed = |recorded: &Recorded| recorded.c_heap().unwrap().counters.freed_bytes;
    assert_eq!(freed(&recorded) - freed(&later), 123_456);
}
