//! Programs that know nothing of memprof, in C and C++, recorded by `memprof run`.

mod built;
mod place;
mod skip;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use memprof::profile::{self, Profile};
use place::Place;

impl Place {
    /// Builds `source` of `tests/any` by `compiler`.
    fn build(&self, compiler: &str, source: &str, to: &str, flags: &[&str]) -> PathBuf {
        let from = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/any")
            .join(source);
        let to = self.path(to);
        let built = Command::new(compiler)
            .args(["-g", "-O1", "-fno-builtin-malloc", "-pthread", "-o"])
            .arg(&to)
            .arg(from)
            .args(flags)
            .output();
        let built = built.unwrap_or_else(|error| panic!("{compiler}: {error}"));
        assert!(built.status.success(), "{}", text(&built.stderr));
        to
    }

    /// `memprof run` with everything recorded.
    fn run(&self, program: &Path, arguments: &[&OsStr]) -> Output {
        self.run_with(&["--sample", "all"], program, arguments, &[])
    }

    fn run_with(
        &self,
        options: &[&str],
        program: &Path,
        arguments: &[&OsStr],
        variables: &[(&str, &Path)],
    ) -> Output {
        Command::new(built::MEMPROF)
            .arg("run")
            .args(options)
            .arg("--")
            .arg(program)
            .args(arguments)
            .current_dir(self.folder.path())
            .env("XDG_CACHE_HOME", self.path("cache"))
            .envs(variables.iter().copied())
            .output()
            .unwrap()
    }

    /// The only profile of the folder.
    fn profile(&self) -> Profile {
        let profiles = self.profiles();
        assert_eq!(profiles.len(), 1, "{profiles:?}");
        profile::read(&profiles[0]).unwrap().0
    }

    fn library(&self) -> PathBuf {
        let folder = self.path("cache/memprof");
        let file = fs::read_dir(&folder).unwrap().next().unwrap();
        file.unwrap().path()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What only memprof says.
fn only_ours(output: &Output) -> String {
    let said = text(&output.stderr);
    let foreign = said
        .lines()
        .filter(|line| line.contains("ld.so") || line.contains("ERROR"));
    assert_eq!(foreign.collect::<Vec<_>>(), Vec::<&str>::new());
    said
}

#[test]
fn the_family_does_what_glibcs_does() {
    let place = Place::new();
    let program = place.build("cc", "family.c", "family", &[]);
    let alone = Command::new(&program).output().unwrap();
    let recorded = place.run(&program, &[]);
    assert!(alone.status.success() && recorded.status.success());
    assert_eq!(text(&recorded.stdout), text(&alone.stdout));
    let profile = place.profile();
    let counters = profile.counters();
    // stdio's buffer for a pipe is all that is left.
    let left = counters.alloc_bytes - counters.freed_bytes;
    assert!((1..=8192).contains(&left), "{left}");
    assert_eq!(profile.heap(), left as i64);
}

#[test]
fn sizes_are_those_that_were_asked_for() {
    let place = Place::new();
    let program = place.build("cc", "sizes.c", "sizes", &[]);
    let output = place.run(&program, &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let profile = place.profile();
    let counters = profile.counters();
    let sum: u64 = (1..=40).sum::<u64>() * 1_000;
    // pthread_create asks calloc for the thread-locals of each thread, which are never given back.
    let threads = counters.alloc_bytes - (sum * (37 + 41) + 77);
    assert_eq!(counters.allocs - 4, 40_000 + 1);
    assert_eq!(counters.reallocs, 40_000);
    assert_eq!(
        counters.freed_bytes,
        sum * (37 + 41) + threads - kept_of(&profile)
    );
    assert!(threads < 4 * 4096, "{threads}");
    let line = |line: u32| lines_of(&place, "sizes.c", line);
    assert_eq!(line(10), (sum * 37, 40_000), "malloc");
    assert_eq!(line(12), (sum * 41, 40_000), "realloc");
    assert_eq!(line(24), (77, 1), "what is left");
}

/// Bytes that live at the end beside the 77 of the program.
fn kept_of(profile: &Profile) -> u64 {
    profile.heap() as u64 - 77
}

/// Allocated bytes and blocks of one line of the only profile.
fn lines_of(place: &Place, file: &str, line: u32) -> (u64, u64) {
    let output = Command::new(built::MEMPROF)
        .args(["report", "--all", "--format", "csv"])
        .arg(&place.profiles()[0])
        .current_dir(place.folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut rows = csv::Reader::from_reader(&output.stdout[..]);
    let headers = rows.headers().unwrap().clone();
    let column = |name: &str| {
        let at = headers.iter().position(|header| header == name);
        at.unwrap_or_else(|| panic!("no column {name} in {headers:?}"))
    };
    let (file_at, line_at) = (column("file"), column("line"));
    let (bytes_at, count_at) = (column("allocated"), column("count"));
    let found = rows
        .records()
        .map(Result::unwrap)
        .find(|row| row[file_at].ends_with(file) && row[line_at] == line.to_string());
    let row =
        found.unwrap_or_else(|| panic!("no row of {file}:{line} in {}", text(&output.stdout)));
    (
        row[bytes_at].parse().unwrap(),
        row[count_at].parse().unwrap(),
    )
}

#[test]
fn a_program_of_cpp_has_its_tables() {
    let place = Place::new();
    let program = place.build("c++", "shop.cpp", "shop", &[]);
    assert!(place.run(&program, &[]).status.success());
    let report = Command::new(built::MEMPROF)
        .args(["report", "--function", "main"])
        .arg(&place.profiles()[0])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/any"))
        .output()
        .unwrap();
    insta::assert_snapshot!(text(&report.stdout));
}

#[test]
fn thread_locals_of_two_hundred_libraries() {
    let place = Place::new();
    let program = place.build("cc", "loads.c", "loads", &["-ldl"]);
    let library = place.build("cc", "local.c", "local.so", &["-shared", "-fPIC"]);
    // The loader takes each copy for a library of its own.
    let libraries: Vec<_> = (0..200)
        .map(|number| {
            let copy = place.path(&format!("local{number}.so"));
            fs::copy(&library, &copy).unwrap();
            copy
        })
        .collect();
    let libraries: Vec<&OsStr> = libraries.iter().map(|path| path.as_os_str()).collect();
    let output = place.run(&program, &libraries);
    assert_eq!(text(&output.stdout), "200\n", "{}", text(&output.stderr));
    assert!(place.profile().counters().allocs >= 400);
}

#[test]
fn children_that_are_forked_end_as_they_would() {
    let place = Place::new();
    let program = place.build("cc", "forks.c", "forks", &[]);
    let output = place.run(&program, &[]);
    assert_eq!(text(&output.stdout), "0\n", "{}", text(&output.stderr));
    let read = |path: &PathBuf| profile::read(path).unwrap().0;
    let profiles: Vec<Profile> = place.profiles().iter().map(read).collect();
    let parent = profiles
        .iter()
        .find(|profile| profile.header.forked_from == 0);
    let parent = u64::from(parent.unwrap().header.pid);
    let children = profiles
        .iter()
        .filter(|profile| profile.header.forked_from == parent);
    // The first blocks, of 64 KiB in all, are those of 0 to 361 bytes.
    let allocs: Vec<u64> = children.map(|child| child.counters().allocs).collect();
    assert_eq!((allocs.len(), profiles.len()), (4, 5));
    assert!(
        allocs.iter().all(|allocs| (9_500..10_000).contains(allocs)),
        "{allocs:?}"
    );
    let said = text(&output.stderr);
    assert_eq!(
        said.matches("of it from before the fork").count(),
        4,
        "{said}"
    );

    let place = Place::new();
    let program = place.build("cc", "forks.c", "forks", &[]);
    place.run_with(&["--no-fork"], &program, &[], &[]);
    assert_eq!(place.profile().header.forks, 4);
}

/// The library is loaded into it, as it is into all that a shell starts, and never called.
#[test]
fn a_program_with_its_own_malloc_leaves_no_profile_behind() {
    let place = Place::new();
    let own_malloc = place.build(
        "cc",
        "own_malloc.c",
        "own_malloc",
        &["-rdynamic", "-fno-builtin"],
    );
    let script = place.path("script");
    fs::write(&script, format!("{}\n:\n", own_malloc.display())).unwrap();
    let output = place.run(Path::new("/bin/sh"), &[script.as_os_str()]);
    assert!(output.status.success(), "{}", only_ours(&output));
    let names = place.profiles();
    assert!(
        names
            .iter()
            .all(|path| !path.to_string_lossy().contains("own_malloc")),
        "{names:?}"
    );
}

#[test]
fn what_cannot_be_loaded_into_is_said_and_runs() {
    let place = Place::new();
    let own_malloc = place.build(
        "cc",
        "own_malloc.c",
        "own_malloc",
        &["-rdynamic", "-fno-builtin"],
    );
    let fixed = place.build("cc", "sizes.c", "fixed", &["-static"]);
    let setuid = place.build("cc", "sizes.c", "setuid", &[]);
    fs::set_permissions(&setuid, fs::Permissions::from_mode(0o4755)).unwrap();
    let cases = [
        (own_malloc, "brings its own malloc"),
        (fixed, "statically linked"),
        (setuid, "setuid"),
    ];
    for (program, reason) in cases {
        let output = place.run(&program, &[]);
        let said = only_ours(&output);
        assert!(output.status.success(), "{said}");
        assert!(
            said.starts_with("memprof: nothing was recorded of ") && said.contains(reason),
            "{said}"
        );
        assert_eq!(place.profiles(), Vec::<PathBuf>::new());
    }
}

/// A script, and what it starts, are recorded.
#[test]
fn a_shell_is_recorded_with_what_it_starts() {
    let place = Place::new();
    place.build("cc", "sizes.c", "sizes", &[]);
    let script = place.path("script");
    fs::write(&script, "#!/bin/sh\n./sizes; ./sizes\nexit 3\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let output = place.run(&script, &[]);
    assert_eq!(output.status.code(), Some(3), "{}", only_ours(&output));
    let names = place.profiles();
    let of = |name: &str| {
        names
            .iter()
            .filter(|path| {
                path.file_name()
                    .unwrap()
                    .to_string_lossy()
                    .starts_with(name)
            })
            .count()
    };
    assert_eq!((of("sizes."), names.len()), (2, 3), "{names:?}");
}

/// Another allocator that is preloaded serves the program, and is recorded.
#[test]
fn what_a_process_becomes_is_named_after_the_program() {
    let place = Place::new();
    let script = ["-c", "exec bash -c 'exec bash -c :'"].map(OsStr::new);
    let bash = Path::new("bash");
    let names = |options: &[&str]| -> Vec<String> {
        let output = place.run_with(options, bash, &script, &[]);
        only_ours(&output);
        let names = place.profiles().into_iter().map(|path| {
            fs::remove_file(&path).unwrap();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            // The number of the process.
            let parts = name.split('.');
            let parts = parts.map(|part| match part.len() > 1 && part.parse::<u32>().is_ok() {
                true => "PID",
                false => part,
            });
            parts.collect::<Vec<_>>().join(".")
        });
        names.collect()
    };
    let own = [
        "bash.PID.2.memprof",
        "bash.PID.3.memprof",
        "bash.PID.memprof",
    ];
    assert_eq!(names(&[]), own);
    let given = [
        "x.memprof",
        "x.memprof.bash.PID.2.memprof",
        "x.memprof.bash.PID.memprof",
    ];
    assert_eq!(names(&["-o", "x.memprof"]), given);
}

#[test]
fn what_was_preloaded_already_stays() {
    let place = Place::new();
    let program = place.build("cc", "sizes.c", "sizes", &[]);
    let other = place.build(
        "cc",
        "counts.c",
        "counts.so",
        &["-shared", "-fPIC", "-fno-builtin"],
    );
    let output = place.run_with(
        &["--sample", "all"],
        &program,
        &[],
        &[("LD_PRELOAD", &other)],
    );
    // The command loads it too.
    assert_eq!(
        text(&output.stdout),
        "called\ncalled\n",
        "{}",
        only_ours(&output)
    );
    assert!(place.profile().counters().allocs > 40_000);
}

/// A program with the crate records itself, once, also where the library is loaded into it.
#[test]
fn a_program_with_the_crate_is_counted_once() {
    let place = Place::new();
    let program = place.build("cc", "sizes.c", "sizes", &[]);
    place.run(&program, &[]);
    let library = place.library();
    fs::remove_file(&place.profiles()[0]).unwrap();
    let with_crate = built::example("lists");
    let mut figures = Vec::new();
    for variables in [&[][..], &[("LD_PRELOAD", &*library)]] {
        let output = place.run_with(&["--sample", "all"], &with_crate, &[], variables);
        assert!(output.status.success(), "{}", only_ours(&output));
        let counters = place.profile().counters();
        figures.push((counters.allocs, counters.alloc_bytes));
        fs::remove_file(&place.profiles()[0]).unwrap();
    }
    assert_eq!(figures[0], figures[1]);
}

#[test]
fn without_preload_nothing_is_loaded() {
    let place = Place::new();
    let program = place.build("cc", "sizes.c", "sizes", &[]);
    let output = place.run_with(&["--no-preload"], &program, &[], &[]);
    assert!(text(&output.stderr).contains("nothing was recorded"));
    assert_eq!(place.profiles(), Vec::<PathBuf>::new());
}

/// Other libraries in a program change what its own `dlopen` does, and musl's loader has none of
/// glibc's.
#[test]
fn the_library_needs_libc_alone() {
    let place = Place::new();
    let program = place.build("cc", "sizes.c", "sizes", &[]);
    place.run(&program, &[]);
    let bytes = fs::read(place.library()).unwrap();
    let file = object::read::elf::ElfFile64::<object::Endianness>::parse(&*bytes).unwrap();
    use object::read::elf::FileHeader;
    use object::{Object, ObjectSymbol};
    let endian = file.endian();
    let sections = file.elf_header().sections(endian, &*bytes).unwrap();
    let (entries, strings) = sections.dynamic(endian, &*bytes).unwrap().unwrap();
    let strings = sections.strings(endian, &*bytes, strings).unwrap();
    let needed = entries
        .iter()
        .filter(|entry| entry.d_tag.get(endian) == object::elf::DT_NEEDED);
    let needed: Vec<_> = needed
        .map(|entry| text(strings.get(entry.d_val.get(endian) as u32).unwrap()))
        .collect();
    assert_eq!(needed, ["libc.so.6"]);
    let mut exported = Vec::new();
    for symbol in file.dynamic_symbols() {
        let name = symbol.name().unwrap().to_owned();
        if symbol.is_definition() {
            exported.push(name);
        } else {
            let is_glibcs = [
                "__libc_",
                "_Unwind_",
                "__register_atfork",
                "__tls_get_addr",
                "_dl_",
            ];
            let wrong = is_glibcs.iter().find(|start| name.starts_with(*start));
            assert!(wrong.is_none(), "{name} is not in musl");
        }
    }
    exported.sort();
    let family = [
        "aligned_alloc",
        "brk",
        "calloc",
        "free",
        "malloc",
        "malloc_usable_size",
        "memalign",
        // For programs that have the crate.
        "memprof_c_heap_1",
        "mmap",
        "mmap64",
        "mprotect",
        "mremap",
        "munmap",
        "posix_memalign",
        "pvalloc",
        "realloc",
        "reallocarray",
        "sbrk",
        "valloc",
    ];
    assert_eq!(exported, family);
}

/// One file serves programs of musl, too.
#[test]
fn a_program_of_musl_is_recorded() {
    if Command::new("musl-gcc").arg("--version").output().is_err() {
        return skip::skip("a program of musl: no musl-gcc (apt-get install musl-tools)");
    }
    let place = Place::new();
    let program = place.build("musl-gcc", "sizes.c", "sizes", &[]);
    let output = place.run(&program, &[]);
    assert!(output.status.success(), "{}", only_ours(&output));
    let counters = place.profile().counters();
    assert_eq!((counters.allocs, counters.reallocs), (40_001, 40_000));
    assert_eq!(counters.alloc_bytes - counters.freed_bytes, 77);
}
