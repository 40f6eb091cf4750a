//! The invariants of `docs/architecture.md` and the rules of the house, checked on the source
//! itself.

mod imports;
mod metadata;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use imports::Imports;
use metadata::Metadata;
use proc_macro2::{TokenStream, TokenTree};

/// The modules of a crate, lowest first, and which others each may use. The crate's root may use
/// all of them, and is used by none.
type Layers = &'static [(&'static str, &'static [&'static str])];

/// The recorder's modules are its layers: folders of `profiler-alloc/src`, or single files there.
const RECORDER: Layers = &[
    ("hash", &[]),
    ("ffi", &["hash"]),
    ("lockfree", &["hash", "ffi"]),
    ("contexts", &["hash", "ffi", "lockfree"]),
    ("counters", &["hash", "ffi", "lockfree"]),
    ("profile_file", &["ffi", "lockfree"]),
    ("sampling", &["hash", "ffi", "lockfree", "counters"]),
    ("resident", &["ffi"]),
    ("unwinder", &["hash", "ffi", "lockfree", "profile_file"]),
    (
        "stacks",
        &["hash", "ffi", "lockfree", "profile_file", "unwinder"],
    ),
    (
        "session",
        &[
            "ffi",
            "lockfree",
            "contexts",
            "counters",
            "profile_file",
            "sampling",
            "resident",
            "unwinder",
            "stacks",
        ],
    ),
    (
        "slow_path",
        &[
            "ffi", "counters", "sampling", "resident", "unwinder", "session",
        ],
    ),
    (
        "heaps",
        &["ffi", "counters", "unwinder", "session", "slow_path"],
    ),
    (
        "mapped",
        &["counters", "sampling", "unwinder", "session", "heaps"],
    ),
    ("recording", &["ffi", "counters", "profile_file", "session"]),
    ("c_heap", &["counters", "heaps"]),
    (
        "allocator",
        &[
            "ffi",
            "counters",
            "sampling",
            "resident",
            "unwinder",
            "slow_path",
            "c_heap",
        ],
    ),
    ("stats", &["counters", "session", "allocator"]),
    (
        "measure",
        &["ffi", "contexts", "counters", "session", "slow_path"],
    ),
];

const ANALYST: Layers = &[
    ("system", &[]),
    ("units", &[]),
    ("defect", &["units"]),
    ("profile", &["system", "units", "defect"]),
    ("symbolize", &["system", "defect", "profile"]),
    ("source", &["defect"]),
    ("types", &["profile", "symbolize"]),
    (
        "report",
        &["units", "defect", "profile", "symbolize", "source", "types"],
    ),
    ("render", &["units", "defect", "report"]),
    ("export", &["render", "defect", "report"]),
    ("history", &["render", "defect", "report"]),
    ("http", &[]),
    ("debuginfod", &["units", "defect", "symbolize", "http"]),
    ("push", &["report", "http"]),
    (
        "serve",
        &[
            "profile",
            "symbolize",
            "source",
            "report",
            "render",
            "export",
        ],
    ),
    (
        "live",
        &[
            "system",
            "units",
            "defect",
            "profile",
            "symbolize",
            "source",
            "report",
            "render",
        ],
    ),
    ("attach", &["system", "profile", "report"]),
    (
        "run",
        &["system", "units", "profile", "symbolize", "source"],
    ),
    (
        "command",
        &[
            "system",
            "units",
            "defect",
            "profile",
            "symbolize",
            "source",
            "report",
            "render",
            "live",
            "export",
            "history",
            "debuginfod",
            "push",
            "serve",
            "attach",
            "run",
        ],
    ),
];

/// The crates whose layers are checked, by the folder of their `lib.rs`.
const CRATES: &[(&str, Layers)] = &[("profiler-alloc/src", RECORDER), ("src", ANALYST)];

/// Circles of files that import each other. Stays empty.
const CIRCLES: &[&str] = &[];

/// The folders and files that may hold `unsafe`: no others, and each of these does.
const UNSAFE: &[&str] = &[
    "examples/operations.rs",
    "examples/resident.rs",
    "examples/stack_use.rs",
    // The types of C's functions.
    "profiler-alloc/format/src/c_heap.rs",
    "profiler-alloc/preload/src/",
    "profiler-alloc/src/allocator.rs",
    "profiler-alloc/src/ffi/",
    "profiler-alloc/src/lockfree/",
    "profiler-alloc/src/profile_file/",
    "profiler-alloc/src/stacks/workspace.rs",
    "profiler-alloc/src/unwinder/",
    "profiler-alloc/tests/counts.rs",
    "profiler-alloc/tests/wrap_unsafe.rs",
    "tests/dlopen.rs",
    "tests/faults/crash.rs",
    "tests/faults/early_and_late.rs",
    "tests/faults/fork.rs",
    "tests/faults/inner.rs",
    "tests/faults/libraries.rs",
    "tests/faults/odd.rs",
    "tests/faults/other_stacks.rs",
    "tests/faults/refusals.rs",
    "tests/faults/signals.rs",
    "tests/faults/small_stacks.rs",
    "tests/faults/stack_ends.rs",
    "tests/faults/system_calls.rs",
    "tests/hook_fork.rs",
    "tests/hook_order.rs",
    "tests/hook_quiet.rs",
];

/// Packages and modules that only some folders and files of a crate may name, so that the rest
/// stays free of what they are for: the system, unwind tables, the command line.
const CONFINED: &[(&str, &str, &[&str])] = &[
    (
        "libc",
        "profiler-alloc/src/",
        &["ffi/", "unwinder/unwind/tests.rs", "unwinder/unwind/tests/"],
    ),
    ("gimli", "profiler-alloc/src/", &["unwinder/"]),
    ("libsqlite3_sys", "profiler-alloc/src/", &["ffi/"]),
    ("clap", "src/", &["command/", "command.rs"]),
    // `std::os::unix`: the analyst compiles on other systems too.
    (
        "unix",
        "src/",
        &[
            "attach/",
            "command/attach/",
            "command/live/",
            "command/run/",
            "run/",
            "system/",
            "system.rs",
        ],
    ),
];

/// Files whose types are published as JSON, or kept as such: a field there is part of a documented
/// shape.
const SERIALIZED: &[&str] = &["src/export/", "src/history/", "src/render/"];

/// The roots of crates without any `unsafe`.
const SAFE_ROOTS: &[&str] = &[
    "profiler-alloc/format/src/lib.rs",
    "profiler-alloc/macros/src/lib.rs",
    "src/lib.rs",
    "src/main.rs",
];

const LARGEST_FILE: u64 = 200 * 1024;

/// Columns of a comment line, indentation included.
const WIDEST_COMMENT: usize = 100;

#[test]
fn every_source_file_opens_with_its_job() {
    let silent = sources().filter(|(_, text)| !text.starts_with("//!"));
    assert_none(
        "files that do not open with `//!`",
        silent.map(|(path, _)| path),
    );
}

#[test]
fn no_file_has_a_name_that_says_nothing() {
    let empty_names = ["util", "utils", "helper", "helpers", "common", "misc"];
    let says_nothing = |path: &PathBuf| {
        path.iter().any(|part| {
            let stem = Path::new(part).file_stem().and_then(|stem| stem.to_str());
            stem.is_some_and(|stem| empty_names.contains(&stem))
        })
    };
    assert_none(
        "files to name by their job",
        files().into_iter().filter(says_nothing),
    );
}

#[test]
fn no_file_is_large() {
    let is_large = |path: &PathBuf| fs::metadata(root().join(path)).unwrap().len() > LARGEST_FILE;
    assert_none("files over 200 KB", files().into_iter().filter(is_large));
}

/// Code is kept within this width by rustfmt, comments by nobody else.
#[test]
fn comments_keep_to_the_width_of_code() {
    let mut wide = Vec::new();
    for (path, text) in sources() {
        let lines = (1..).zip(text.lines());
        let is_wide = |line: &str| {
            line.trim_start().starts_with("//") && line.chars().count() > WIDEST_COMMENT
        };
        let found = lines.filter(|(_, line)| is_wide(line));
        wide.extend(found.map(|(number, _)| format!("{}:{number}", path.display())));
    }
    assert_none("comment lines over 100 columns", wide);
}

#[test]
fn modules_use_only_what_lies_below_them() {
    let mut wrong = BTreeSet::new();
    for &(folder, layers) in CRATES {
        let imports = Imports::of(root(), folder, &files());
        let unknown = imports.modules().filter_map(|module| module.first());
        let unknown = unknown.filter(|&first| !layers.iter().any(|(name, _)| name == first));
        wrong.extend(unknown.map(|first| format!("{folder}: module `{first}` has no layer")));
        for (from, to) in imports.pairs() {
            let may_use = |used: Option<&String>| match (from.first(), used) {
                (None, _) => true,
                (_, None) => false,
                (Some(module), Some(used)) => {
                    let layer = layers.iter().find(|(name, _)| name == module);
                    module == used
                        || layer.is_some_and(|(_, allowed)| allowed.contains(&used.as_str()))
                }
            };
            if !may_use(to.first()) {
                let (from, to) = (imports::name(from), imports::name(to));
                wrong.insert(format!("{folder}: `{from}` uses `{to}`"));
            }
        }
    }
    assert_none("uses against the layers", wrong);
}

#[test]
fn layers_are_listed_from_the_bottom_up() {
    for (_, layers) in CRATES {
        for (i, (module, allowed)) in layers.iter().enumerate() {
            for used in *allowed {
                let below = layers[..i].iter().any(|(name, _)| name == used);
                assert!(
                    below,
                    "`{module}` may use `{used}`, which is not listed before it"
                );
            }
        }
    }
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let found = CRATES.iter().flat_map(|(folder, _)| {
        let circles = Imports::of(root(), folder, &files()).circles();
        circles
            .into_iter()
            .map(move |circle| format!("{folder}: {circle}"))
    });
    let found: Vec<_> = found.collect();
    let new = found
        .iter()
        .filter(|circle| !CIRCLES.contains(&circle.as_str()));
    assert_none("circles of imports", new);
    let opened = CIRCLES
        .iter()
        .filter(|circle| !found.iter().any(|other| other == *circle));
    assert_none("circles that are open, to be taken off the list", opened);
}

#[test]
fn unsafe_stands_in_few_folders() {
    let has_unsafe = |text: &str| names(tokens(text)).contains("unsafe");
    let found = sources().filter(|(_, text)| has_unsafe(text));
    let found: Vec<_> = found.map(|(path, _)| path.display().to_string()).collect();
    let wrong = found.iter().filter(|path| !is_in(path, UNSAFE));
    assert_none("files with `unsafe`", wrong);
    let idle = UNSAFE
        .iter()
        .filter(|place| !found.iter().any(|path| is_in(path, &[**place])));
    assert_none("places without `unsafe`", idle);
}

#[test]
fn packages_are_named_where_they_belong() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let path = path.display().to_string();
        for (package, folder, places) in CONFINED {
            let inside = path.strip_prefix(folder);
            if inside.is_some_and(|inside| !is_in(inside, places))
                && names(tokens(&text)).contains(*package)
            {
                wrong.push(format!("{path} names `{package}`"));
            }
        }
    }
    assert_none("packages out of place", wrong);
}

#[test]
fn only_published_shapes_are_serialized() {
    let found = sources().filter(|(path, text)| {
        path.starts_with("src") && names(tokens(text)).contains("Serialize")
    });
    let found = found.map(|(path, _)| path.display().to_string());
    let found = found.filter(|path| !is_in(path, SERIALIZED));
    assert_none("types of the model that are serialized", found);
}

#[test]
fn no_two_types_of_a_crate_share_a_name() {
    let is_of_tests = |path: &Path| {
        path.iter()
            .any(|part| part == "tests" || part == "tests.rs")
    };
    // The types of `ffi/linux`, as they are where nothing is recorded.
    let is_elsewhere = |path: &Path| path.starts_with("profiler-alloc/src/ffi/elsewhere");
    for (folder, _) in CRATES {
        let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let own =
            |path: &Path| path.starts_with(folder) && !is_of_tests(path) && !is_elsewhere(path);
        for (path, text) in sources().filter(|(path, _)| own(path)) {
            for name in types(&imports::without_tests(tokens(&text))) {
                places
                    .entry(name)
                    .or_default()
                    .push(path.display().to_string());
            }
        }
        places.retain(|_, files| files.len() > 1);
        assert_none("types of one name", places);
    }
}

#[test]
fn safe_crates_forbid_unsafe() {
    let forbids = |root_file: &&str| {
        let text = fs::read_to_string(root().join(root_file)).unwrap();
        text.contains("#![forbid(unsafe_code)]")
    };
    let wrong = SAFE_ROOTS.iter().copied().filter(|file| !forbids(file));
    assert_none("crates without `#![forbid(unsafe_code)]`", wrong);
}

#[test]
fn the_halves_share_the_format_and_it_stands_alone() {
    let metadata = Metadata::load();
    let needs = |name| metadata.needs(metadata.id_of(name));
    assert_eq!(needs("profiler-alloc-format"), BTreeSet::new());
    assert!(!needs("profiler-alloc").contains(metadata.id_of("memprof")));
    assert!(!needs("memprof").contains(metadata.id_of("profiler-alloc")));
}

#[test]
fn no_dependency_needs_a_newer_rust_than_stated() {
    let metadata = Metadata::load();
    let mut newer = Vec::new();
    for package in [
        "profiler-alloc-format",
        "profiler-alloc-macros",
        "profiler-alloc",
        "memprof",
    ] {
        let id = metadata.id_of(package);
        let stated = metadata.rust_of(id);
        assert!(stated > (0, 0), "{package} states its Rust version");
        for needed in metadata.needs(id) {
            if metadata.rust_of(needed) > stated {
                newer.push(format!("{package} needs {needed}"));
            }
        }
    }
    assert_none("dependencies that need a newer Rust", newer);
}

#[test]
fn the_commands_of_the_readme_are_those_of_ci() {
    let read = |path| fs::read_to_string(root().join(path)).unwrap_or_else(|_| panic!("{path}"));
    let (readme, ci) = (read("README.md"), read(".ci/run"));
    let tests: Vec<_> = readme
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| line.starts_with("cargo test"))
        .collect();
    assert!(!tests.is_empty(), "the README says how to run the tests");
    let missing = tests.into_iter().filter(|command| !ci.contains(command));
    assert_none("commands of the README that .ci/run does not run", missing);
}

/// A test that cannot run says so by `skip`, which fails under `.ci/run`: words of its own would
/// pass there.
#[test]
fn tests_are_skipped_in_one_way() {
    let own_words = ["not tested", "not run", "skipped", "skipping"];
    let prints = |text: &str| {
        let strings = strings(tokens(text)).into_iter();
        let mut begins = strings.map(|string| string.trim_start_matches('"').to_lowercase());
        begins.any(|begin| own_words.iter().any(|word| begin.starts_with(word)))
    };
    assert!(prints(
        "fn f() { return eprintln!(\"not tested: {error}\"); }"
    ));
    assert!(!prints(
        "fn f() { return skip(\"{error}\"); } // not tested: f"
    ));
    // Unit tests stand in `src`, so every file is looked at.
    let apart = ["tests/skip/mod.rs", "tests/tidy.rs"].map(Path::new);
    let wrong = sources()
        .filter(|(path, text)| !apart.contains(&&**path) && prints(text))
        .map(|(path, _)| path);
    assert_none("tests that do not call `skip`", wrong);
    let ci = fs::read_to_string(root().join(".ci/run")).unwrap();
    assert!(ci.contains("has_all; then\n        export MEMPROF_TEST_REQUIRE=1"));
}

#[test]
fn every_page_is_in_the_index_of_docs() {
    let index = fs::read_to_string(root().join("docs/README.md")).unwrap();
    let pages = files().into_iter().filter_map(|path| {
        let page = path.strip_prefix("docs").ok()?.to_str()?.to_owned();
        (page.ends_with(".md") && page != "README.md").then_some(page)
    });
    let missing = pages.filter(|page| !index.contains(&format!("]({page})")));
    assert_none("pages that docs/README.md does not link", missing);
}

#[test]
fn names_are_those_of_code_alone() {
    let text = "// alpha\nfn beta() { \"gamma\"; unsafe { delta::f() } }\n";
    let found: Vec<_> = names(tokens(text)).into_iter().collect();
    assert_eq!(found, ["beta", "delta", "f", "fn", "unsafe"]);
}

fn assert_none<T: std::fmt::Debug>(what: &str, found: impl IntoIterator<Item = T>) {
    let found: Vec<_> = found.into_iter().collect();
    assert!(found.is_empty(), "{what}: {found:#?}");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the repository, relative to its root; what .gitignore names is none.
fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let relative = path.strip_prefix(root()).unwrap();
            let ignored = [".git", "target", "mutants.out"].map(Path::new);
            if ignored.contains(&relative) || relative.extension().is_some_and(|e| e == "memprof") {
                continue;
            } else if path.is_dir() {
                folders.push(path);
            } else {
                files.push(relative.to_owned());
            }
        }
    }
    files.sort();
    files
}

/// Every Rust file with its text.
fn sources() -> impl Iterator<Item = (PathBuf, String)> {
    let rust = files()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "rs"));
    rust.map(|path| {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        (path, text)
    })
}

/// True if `path` is one of `places`, or in one that is a folder.
fn is_in(path: &str, places: &[&str]) -> bool {
    places
        .iter()
        .any(|place| path == *place || (place.ends_with('/') && path.starts_with(place)))
}

fn tokens(text: &str) -> TokenStream {
    text.parse().expect("Rust")
}

/// The string literals of the code.
fn strings(tokens: TokenStream) -> Vec<String> {
    let each = tokens.into_iter().flat_map(|tree| match tree {
        TokenTree::Group(group) => strings(group.stream()),
        TokenTree::Literal(literal) => vec![literal.to_string()],
        _ => Vec::new(),
    });
    each.filter(|literal| literal.starts_with('"')).collect()
}

/// Names of the types that are defined in code.
fn types(trees: &[TokenTree]) -> Vec<String> {
    let mut found = Vec::new();
    for (at, tree) in trees.iter().enumerate() {
        match tree {
            TokenTree::Group(group) => {
                found.extend(types(&imports::without_tests(group.stream())));
            }
            TokenTree::Ident(word)
                if ["struct", "enum", "union", "trait"].contains(&word.to_string().as_str()) =>
            {
                if let Some(TokenTree::Ident(name)) = trees.get(at + 1) {
                    found.push(name.to_string());
                }
            }
            _ => {}
        }
    }
    found
}

/// Every name in code, keywords included; what comments and texts say is none.
fn names(tokens: TokenStream) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for tree in tokens {
        match tree {
            TokenTree::Group(group) => found.extend(names(group.stream())),
            TokenTree::Ident(name) => drop(found.insert(name.to_string())),
            _ => {}
        }
    }
    found
}
