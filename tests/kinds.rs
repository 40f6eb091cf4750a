//! One small program, built in many ways: its lines must come out the same.
//!
//! Each build is a package of its own below the target folder, made by cargo as a user would.

mod built;
mod packages;
mod skip;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use built::{MEMPROF, text};
use packages::Package;
use serde_json::Value;
use skip::skip;

const MAIN: &str = r#"//! The program under test.
use std::hint::black_box;
use profiler_alloc::ProfilerAlloc;

ALLOCATOR

#[inline(never)]
fn take(bytes: usize) -> Vec<u8> {
    black_box(Vec::with_capacity(bytes)) // takes
}

#[inline(always)]
fn inlined() -> Vec<u8> {
    black_box(Vec::with_capacity(3_000_000)) // takes inlined
}

fn generic<T>(value: T, bytes: usize) -> (T, Vec<u8>) {
    (value, black_box(Vec::with_capacity(bytes))) // takes generic
}

/// A block at every depth.
#[inline(never)]
fn deeper(depth: usize) {
    if depth > 0 {
        deeper(depth - 1);
    }
    drop(black_box(Vec::<u8>::with_capacity(depth + 1)));
}

fn main() {
    let mut numbers = vec![3u32, 1, 2];
    numbers.sort_by_key(|&number| {
        drop(take(100_000)); // within a sort
        number
    });
    let first = take(1_000_000); // first
    let second = inlined(); // second
    std::thread::spawn(|| drop(take(700_000))).join().unwrap(); // on a thread
    let third = (generic(1u8, 10_000), generic("x", 20_000), generic(1.5, 30_000)); // third
    drop(first); // gives back
    match std::env::args().nth(1).as_deref() {
        Some("exit") => std::process::exit(3),
        Some("panic") => panic!("on purpose"),
        Some("abort") => std::process::abort(),
        Some("many") => (0..2).for_each(|_| deeper(64)),
        _ => {}
    }
    black_box((second, third, numbers));
}
"#;

const SYSTEM: &str = "#[global_allocator] static ALLOC: ProfilerAlloc = ProfilerAlloc::system();";

/// A package built in one way.
struct Kind {
    name: &'static str,
    /// The `[profile.release]` section.
    profile: &'static str,
    /// Whether the recorder is optimized as the program is. It takes three times as long to build.
    with_optimized_recorder: bool,
    rustflags: &'static str,
    /// Of the recorder, in quotes.
    features: &'static str,
    allocator: &'static str,
    dependencies: &'static str,
    /// Of the environment of what cargo starts: name and value.
    variable: Option<(&'static str, &'static Path)>,
    /// Another target than this machine's own.
    target: Option<&'static str>,
}

const PLAIN: Kind = Kind {
    name: "plain",
    profile: "debug = 1",
    with_optimized_recorder: false,
    rustflags: "",
    features: "",
    allocator: SYSTEM,
    dependencies: "",
    variable: None,
    target: None,
};

impl Kind {
    /// The package that has `source`.
    fn package<'a>(&'a self, source: &'a str) -> Package<'a> {
        Package {
            name: self.name,
            crate_name: self.name,
            is_library: false,
            source,
            features: self.features,
            dependencies: self.dependencies,
            profile: self.profile,
            of_dependencies: match self.with_optimized_recorder {
                true => "",
                false => "opt-level = 0",
            },
            rustflags: self.rustflags,
            variable: self.variable,
            target: self.target,
        }
    }

    fn folder(&self) -> PathBuf {
        self.package("").folder()
    }

    /// The built program.
    fn build(&self) -> PathBuf {
        let source = MAIN.replace("ALLOCATOR", self.allocator);
        self.package(&source).build().join(self.name)
    }

    /// The profile of one run, which ended with `code`.
    fn record(&self, program: &Path, how: &str, code: i32) -> PathBuf {
        let profile = self.folder().join(format!("{how}.memprof"));
        let output = Command::new(MEMPROF)
            .args(["run", "--sample", "all", "--overwrite", "-o"])
            .arg(&profile)
            .arg("--")
            .arg(program)
            .arg(how)
            .output()
            .unwrap();
        assert_eq!(
            output.status.code(),
            Some(code),
            "{}: {}",
            self.name,
            text(&output.stderr)
        );
        profile
    }

    fn check(&self) {
        let program = self.build();
        let report = report(&self.record(&program, "end", 0));
        check(&report, self.name);
    }
}

fn report(profile: &Path) -> Value {
    let output = Command::new(MEMPROF)
        .args(["report", "--format", "json"])
        .arg(profile)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A figure of the line that ends with the comment `marker`; 0 if nothing was seen there.
fn figure(report: &Value, marker: &str, figure: &str) -> i64 {
    let ending = format!("// {marker}");
    let tables = report["functions"].as_array().unwrap().iter();
    let lines = tables.flat_map(|table| table["lines"].as_array().unwrap());
    let lines = lines.filter(|line| {
        line["source"]
            .as_str()
            .is_some_and(|text| text.ends_with(&ending))
    });
    lines.map(|line| line[figure].as_i64().unwrap_or(0)).sum()
}

fn check(report: &Value, kind: &str) {
    let expected = [
        ("takes inlined", "allocated", 3_000_000),
        ("takes generic", "allocated", 60_000),
        ("first", "increment", 1_000_000),
        ("second", "increment", 3_000_000),
        ("third", "increment", 60_000),
        ("gives back", "increment", -1_000_000),
        ("within a sort", "increment", 0),
    ];
    for (marker, what, bytes) in expected {
        assert_eq!(
            figure(report, marker, what),
            bytes,
            "{kind}: {marker}, {what}"
        );
    }
    // Of the thread's own closure, which is on the same line: what spawning takes itself is on it
    // too.
    let on_thread = figure(report, "on a thread", "allocated");
    assert!(
        (700_000..710_000).contains(&on_thread),
        "{kind}: {on_thread}"
    );
    let sorted = figure(report, "within a sort", "allocated");
    assert!(
        sorted >= 300_000 && sorted % 100_000 == 0,
        "{kind}: {sorted}"
    );
    assert_eq!(
        figure(report, "takes", "allocated"),
        1_700_000 + sorted,
        "{kind}: takes"
    );
    // Three instances of one function are one table.
    let generic = report["functions"].as_array().unwrap().iter();
    let generic = generic.filter(|table| table["name"].as_str().unwrap().ends_with("::generic"));
    assert_eq!(generic.count(), 1, "{kind}");
}

#[test]
fn plain_release_builds() {
    Kind {
        with_optimized_recorder: true,
        ..PLAIN
    }
    .check();
}

#[test]
fn line_tables_only() {
    Kind {
        name: "lines",
        profile: "debug = \"line-tables-only\"",
        ..PLAIN
    }
    .check();
}

#[test]
fn full_debug_information_split_off() {
    Kind {
        name: "packed",
        profile: "debug = 2\nsplit-debuginfo = \"packed\"",
        ..PLAIN
    }
    .check();
    Kind {
        name: "unpacked",
        profile: "debug = 2\nsplit-debuginfo = \"unpacked\"",
        ..PLAIN
    }
    .check();
}

#[test]
fn link_time_optimization() {
    Kind {
        name: "fat",
        with_optimized_recorder: true,
        profile: "debug = 1\nlto = \"fat\"\ncodegen-units = 1",
        ..PLAIN
    }
    .check();
    Kind {
        name: "thin",
        with_optimized_recorder: true,
        profile: "debug = 1\nlto = \"thin\"\npanic = \"abort\"",
        ..PLAIN
    }
    .check();
}

#[test]
fn not_position_independent() {
    Kind {
        name: "static",
        rustflags: "-Crelocation-model=static",
        ..PLAIN
    }
    .check();
}

/// What the summary says of a run: its losses and its defects.
fn said(profile: &Path) -> (String, String) {
    let output = Command::new(MEMPROF)
        .args(["summary", "--format", "json"])
        .arg(profile)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    (
        summary["losses"].to_string(),
        summary["defects"].to_string(),
    )
}

/// Where a stack begins without a table, no frame of it is known: not because a table was full.
#[test]
fn without_unwind_tables() {
    for (name, rustflags) in [
        ("no-tables", "-Cforce-unwind-tables=no"),
        ("large", "-Ccode-model=large"),
    ] {
        let kind = Kind {
            name,
            profile: "debug = 0\npanic = \"abort\"",
            rustflags,
            ..PLAIN
        };
        let (losses, _) = said(&kind.record(&kind.build(), "end", 0));
        assert!(
            losses.contains("no unwind tables where it allocates"),
            "{name}: {losses}"
        );
        assert!(!losses.contains("full"), "{name}: {losses}");
    }
}

/// The standard library's own blocks pass no allocator of the program's then.
#[test]
fn over_a_standard_library_of_its_own() {
    let kind = Kind {
        name: "dynamic",
        rustflags: "-Cprefer-dynamic -Crpath",
        ..PLAIN
    };
    let (_, defects) = said(&kind.record(&kind.build(), "end", 0));
    assert!(
        defects.contains("-C prefer-dynamic") && defects.contains("libstd-"),
        "{defects}"
    );
}

/// Nothing in a Rust program tells what its sources held, so `memprof run` notes it: an edit that
/// moves no line is seen, and what has only a new date is not taken for one.
#[test]
fn an_edit_since_the_recording_is_told_from_a_new_date() {
    let split = "debug = 2\nsplit-debuginfo = \"packed\"";
    let kinds = [("edited", PLAIN.profile), ("edited-split", split)];
    for (name, profile) in kinds {
        let kind = Kind {
            name,
            profile,
            ..PLAIN
        };
        let program = kind.build();
        let main = kind.folder().join("src/main.rs");
        let built = fs::read_to_string(&main).unwrap();
        let edited = built.replace("// gives back", "// gives-back");
        assert_eq!(edited.len(), built.len());
        let touch = |seconds: u64| {
            let time = std::time::SystemTime::now() + std::time::Duration::from_secs(seconds);
            fs::File::open(&main).unwrap().set_modified(time).unwrap();
        };
        let checkout = kind.folder().join("checkout");
        let map = format!("{}={}", kind.folder().display(), checkout.display());
        fs::create_dir_all(checkout.join("src")).unwrap();
        fs::copy(&main, checkout.join("src/main.rs")).unwrap();

        // Recorded as built; and, after a second checkout or an abort, with a source newer than the
        // program.
        for (how, code, newer) in [("end", 0, false), ("end", 0, true), ("abort", 134, true)] {
            fs::write(&main, &built).unwrap();
            match newer {
                true => touch(10),
                false => {
                    let time = fs::metadata(&program).unwrap().modified().unwrap();
                    fs::File::open(&main).unwrap().set_modified(time).unwrap();
                }
            }
            let profile = kind.record(&program, how, code);
            let changed = |options: &[&str]| -> Vec<String> {
                let output = Command::new(MEMPROF)
                    .arg("report")
                    .arg(&profile)
                    .args(options)
                    .output()
                    .unwrap();
                let report = text(&output.stdout);
                assert!(report.contains("src/main.rs"), "{name}: {report}");
                let tables = report.split("Filename: ").skip(1);
                let changed = tables.filter(|table| table.contains("(source changed since"));
                changed
                    .map(|table| table.lines().next().unwrap().to_owned())
                    .collect()
            };
            let none: [&str; 0] = [];
            let summary = || {
                let mut summary = Command::new(MEMPROF);
                let output = summary.arg("summary").arg(&profile).output().unwrap();
                text(&output.stdout)
            };
            let said = "source changed since the build, so lines may not belong to their text: ";
            assert!(!summary().contains(said), "{name} {how}");
            assert_eq!(changed(&[]), none, "{name} {how}: as recorded");
            touch(20);
            assert_eq!(changed(&[]), none, "{name} {how}: touched");
            let elsewhere = ["--path-map", &map];
            assert_eq!(changed(&elsewhere), none, "{name} {how}: a checkout");
            fs::write(&main, &edited).unwrap();
            let of_edited = changed(&[]);
            assert!(!of_edited.is_empty(), "{name} {how}: edited within a line");
            assert!(of_edited.iter().all(|file| file.ends_with("src/main.rs")));
            let named = format!("{said}{}.", of_edited[0]);
            assert!(summary().contains(&named), "{name} {how}: {}", summary());
            assert_eq!(changed(&elsewhere), none, "{name} {how}: edited elsewhere");
            fs::write(&main, format!("{built}// The end.\n")).unwrap();
            assert_eq!(changed(&[]), of_edited, "{name} {how}: a comment below");
            fs::write(&main, &built).unwrap();
            assert_eq!(changed(&[]), none, "{name} {how}: put back");
        }
    }
}

/// musl has no unwind tables and no address of its own for the end of the main thread's stack, and
/// calls the program `/proc/self/exe` or as it was started.
#[test]
fn over_musl() {
    let Some((target, libraries)) = musl() else {
        return skip(
            "programs of musl: no such target (rustup target add x86_64-unknown-linux-musl)",
        );
    };
    let gcc = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gcc-for-musl");
    fs::create_dir_all(&gcc).unwrap();
    // A dynamic program wants gcc's shared library, of which there is none for musl: what static
    // ones have does.
    let unwinder = libraries.join("self-contained/libunwind.a");
    let script = format!("INPUT({} -lgcc -lc)", unwinder.display());
    fs::write(gcc.join("libgcc_s.so"), script).unwrap();
    let dynamic = format!(
        "-Ctarget-feature=-crt-static -Clinker=musl-gcc -Lnative={}",
        gcc.display()
    );
    let kinds = [
        ("musl-static-pie", "", "debug = 1"),
        (
            "musl-static",
            "-Crelocation-model=static",
            "debug = 1\nlto = \"fat\"",
        ),
        ("musl-dynamic", dynamic.leak(), "debug = 1"),
    ];
    for (name, rustflags, profile) in kinds {
        let kind = Kind {
            name,
            profile,
            rustflags,
            target: Some(target),
            ..PLAIN
        };
        if name == "musl-dynamic" && Command::new("musl-gcc").output().is_err() {
            skip("dynamic programs of musl: no musl-gcc (apt-get install musl-tools)");
            continue;
        }
        let program = kind.build();
        // By a path from the current folder, as most programs are started.
        let folder = program.parent().unwrap();
        let profile = kind.folder().join("end.memprof");
        let output = Command::new(MEMPROF)
            .args(["run", "--sample", "all", "--overwrite", "-o"])
            .arg(&profile)
            .args(["--", &format!("./{name}"), "end", "many", "arguments"])
            .current_dir(folder)
            .output()
            .unwrap();
        let said = text(&output.stderr);
        assert!(output.status.success(), "{name}: {said}");
        assert!(said.contains(" stacks, no losses"), "{name}: {said}");
        let report = report(&profile);
        check(&report, name);
        assert_eq!(report["defects"], serde_json::json!([]), "{name}");
    }
}

/// The target of musl for this machine and the folder of Rust's library for it, if that is
/// installed.
fn musl() -> Option<(&'static str, PathBuf)> {
    let target = match std::env::consts::ARCH {
        "x86_64" => "x86_64-unknown-linux-musl",
        "aarch64" => "aarch64-unknown-linux-musl",
        _ => return None,
    };
    let asked = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", target])
        .output();
    let folder = PathBuf::from(text(&asked.ok()?.stdout).trim());
    folder.is_dir().then_some((target, folder))
}

#[test]
fn frame_pointers_are_used_where_they_are_kept() {
    let kind = Kind {
        name: "pointers",
        with_optimized_recorder: true,
        rustflags: "-Cforce-frame-pointers=yes",
        ..PLAIN
    };
    let program = kind.build();
    let profile = kind.record(&program, "end", 0);
    check(&report(&profile), kind.name);
    // More stacks than are recognized without a walk.
    let profile = kind.record(&program, "many", 0);
    let (profile, _) = memprof::profile::read(&profile).unwrap();
    let walks: u64 = profile
        .threads
        .iter()
        .map(|thread| thread.frame_pointer_walks)
        .sum();
    assert!(walks > 0, "stacks seen before are found by frame pointers");
}

#[test]
fn the_portable_unwinder() {
    Kind {
        name: "portable",
        features: "\"portable-unwinder\"",
        ..PLAIN
    }
    .check();
}

#[test]
fn over_mimalloc() {
    let allocator = "#[global_allocator] static ALLOC: ProfilerAlloc<mimalloc::MiMalloc> = \
                     ProfilerAlloc::new(mimalloc::MiMalloc);";
    Kind {
        name: "mimalloc",
        allocator,
        dependencies: "mimalloc = \"0.1\"",
        ..PLAIN
    }
    .check();
}

#[test]
fn over_jemalloc() {
    // To compile it takes longer than all else here.
    let library = format!(
        "/usr/lib/{}-linux-gnu/libjemalloc_pic.a",
        std::env::consts::ARCH
    );
    if !Path::new(&library).is_file() {
        return skip("over jemalloc: no libjemalloc_pic.a (apt-get install libjemalloc-dev)");
    }
    let allocator = "#[global_allocator] static ALLOC: ProfilerAlloc<tikv_jemallocator::Jemalloc> = \
                     ProfilerAlloc::new(tikv_jemallocator::Jemalloc);";
    Kind {
        name: "jemalloc",
        allocator,
        // Debian's serves C's malloc too.
        dependencies: "[dependencies.tikv-jemallocator]\nversion = \"0.6\"\n\
                       features = [\"unprefixed_malloc_on_supported_platforms\"]",
        variable: Some(("JEMALLOC_OVERRIDE", Path::new(&*library.leak()))),
        ..PLAIN
    }
    .check();
}

#[test]
fn whatever_the_end_the_profile_is_the_same() {
    let kind = Kind {
        name: "ends",
        ..PLAIN
    };
    let program = kind.build();
    for (how, code) in [("exit", 3), ("panic", 101), ("abort", 128 + 6)] {
        let report = report(&kind.record(&program, how, code));
        check(&report, how);
    }
}

const LIBRARY: &str = "\
#[global_allocator]
static ALLOC: profiler_alloc::ProfilerAlloc = profiler_alloc::ProfilerAlloc::system();
#[unsafe(no_mangle)]
extern \"C\" fn take() {
    std::mem::forget(std::hint::black_box(vec![1u8; 1000]));
}
";

const HOST: &str = "\
#include <dlfcn.h>
int main(void) {
    void *one = dlopen(\"./one.so\", RTLD_NOW | RTLD_LOCAL), *two = dlopen(\"./two.so\", RTLD_NOW | RTLD_LOCAL);
    if (!one || !two) return 1;
    ((void (*)(void))dlsym(one, \"take\"))();
    ((void (*)(void))dlsym(two, \"take\"))();
    ((void (*)(void))dlsym(two, \"take\"))();
    return 0;
}
";

/// As two extension modules in one Python: each records for itself, the second beside the first and
/// under its own name.
#[test]
fn two_libraries_that_record_in_one_process() {
    let kind = Kind {
        name: "libraries",
        ..PLAIN
    };
    let library = Package {
        is_library: true,
        ..kind.package(LIBRARY)
    };
    let built = library.build().join("liblibraries.so");

    let place = tempfile::tempdir().unwrap();
    let place = place.path().canonicalize().unwrap();
    for name in ["one.so", "two.so"] {
        fs::copy(&built, place.join(name)).unwrap();
    }
    fs::write(place.join("host.c"), HOST).unwrap();
    let cc = std::env::var_os("CC").unwrap_or("cc".into());
    let built = Command::new(cc)
        .args(["-o", "host", "host.c", "-ldl"])
        .current_dir(&place)
        .status();
    assert!(built.unwrap().success());

    let memprof = |arguments: &[&str]| {
        let output = (Command::new(MEMPROF).args(arguments))
            .current_dir(&place)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        output
    };
    let said = text(&memprof(&["run", "--no-preload", "--sample", "all", "--", "./host"]).stderr);
    let names = fs::read_dir(&place).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.ends_with(".memprof")).collect();
    names.sort_by_key(String::len);
    let [first, second] = &names[..] else {
        panic!("{names:?}");
    };
    let stem = first.strip_suffix(".memprof").unwrap();
    assert_eq!(*second, format!("{stem}.two.so.memprof"));
    // The second has more, and the first is the process's own.
    assert!(
        said.ends_with(&format!("next: memprof report {first}\n")),
        "{said}"
    );
    let (profile, _) = memprof::profile::read(&place.join(first)).unwrap();
    let modules: Vec<_> = profile.modules.iter().map(|module| &module.path).collect();
    assert!(modules.contains(&&place.join("one.so")), "{modules:?}");

    let by_default = memprof(&["report"]).stdout;
    assert_eq!(by_default, memprof(&["report", first]).stdout);
    assert_ne!(by_default, memprof(&["report", second]).stdout);
}

/// `outer` does nothing after its call, so the optimizer may make it a jump: what README says of
/// that.
const TAIL_CALLS: &str = r#"use std::hint::black_box;
use profiler_alloc::ProfilerAlloc;

#[global_allocator] static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

#[inline(never)]
fn outer(n: usize) -> Box<[u8; 4096]> {
    inner(n)
}

#[inline(never)]
fn kept(n: usize) -> Box<[u8; 4096]> {
    let made = inner(n);
    black_box(());
    made
}

#[inline(never)]
fn inner(n: usize) -> Box<[u8; 4096]> {
    black_box(Box::new([n as u8; 4096]))
}

fn main() {
    let first = outer(black_box(3)); // jumps
    let second = kept(black_box(4)); // calls
    black_box((first, second));
}
"#;

#[test]
fn a_tail_call_leaves_no_row_and_nothing_wrong() {
    let kind = Kind {
        name: "tail-calls",
        profile: "debug = 1\nlto = \"fat\"",
        ..PLAIN
    };
    let program = kind.package(TAIL_CALLS).build().join(kind.name);
    let report = report(&kind.record(&program, "end", 0));
    let tables = report["functions"].as_array().unwrap();
    let of = |function: &str| {
        let name = format!("tail_calls::{function}");
        let table = tables.iter().find(|table| table["name"] == *name)?;
        Some(table["total"]["allocated"].as_i64().unwrap())
    };
    assert_eq!(
        (of("main"), of("inner")),
        (Some(8192), Some(8192)),
        "{report}"
    );
    // What stands behind its call keeps a function on the stack.
    assert_eq!(of("kept"), Some(4096), "{report}");
    // Whether it is a jump is the compiler's affair: then there is no row, and no other instead.
    assert!(matches!(of("outer"), None | Some(4096)), "{report}");
    println!("outer: {:?}", of("outer"));
}
