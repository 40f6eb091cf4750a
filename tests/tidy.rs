//! The invariants of `docs/architecture.md` and the rules of the house, checked on the source itself.

mod metadata;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use metadata::Metadata;
use proc_macro2::{TokenStream, TokenTree};

/// The modules of the analyst, lowest first, and which others each may use.
const LAYERS: &[(&str, &[&str])] = &[
    ("units", &[]),
    ("defect", &["units"]),
    ("profile", &["defect"]),
    ("symbolize", &["defect", "profile"]),
    ("source", &["defect"]),
    (
        "report",
        &["units", "defect", "profile", "symbolize", "source"],
    ),
    ("render", &["units", "defect", "report"]),
    ("export", &["render", "defect", "report"]),
    ("history", &["render", "defect", "report"]),
    ("push", &["report"]),
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
            "units",
            "defect",
            "profile",
            "symbolize",
            "source",
            "report",
            "render",
        ],
    ),
    ("run", &["units", "profile"]),
    (
        "command",
        &[
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
            "push",
            "serve",
            "run",
        ],
    ),
];

/// The files with `unsafe` in them: no others, and each of these.
const UNSAFE_FILES: &[&str] = &[
    "examples/operations.rs",
    "profiler-alloc/src/allocator.rs",
    "profiler-alloc/src/cfi.rs",
    "profiler-alloc/src/descriptor.rs",
    "profiler-alloc/src/fork.rs",
    "profiler-alloc/src/in_force.rs",
    "profiler-alloc/src/lazy_slice.rs",
    "profiler-alloc/src/loaded.rs",
    "profiler-alloc/src/machine/aarch64.rs",
    "profiler-alloc/src/memory.rs",
    "profiler-alloc/src/portable.rs",
    "profiler-alloc/src/registers.rs",
    "profiler-alloc/src/scratch.rs",
    "profiler-alloc/src/sqlite.rs",
    "profiler-alloc/src/stack_memory.rs",
    "profiler-alloc/src/start.rs",
    "profiler-alloc/src/store.rs",
    "profiler-alloc/src/store/mapping.rs",
    "profiler-alloc/src/sys.rs",
    "profiler-alloc/src/thread_exit.rs",
    "profiler-alloc/src/unwind/tests.rs",
    "profiler-alloc/src/unwind/tests/aarch64.rs",
    "tests/counts.rs",
    "tests/dlopen.rs",
    "tests/faults/crash.rs",
    "tests/faults/early_and_late.rs",
    "tests/faults/fork.rs",
    "tests/faults/inner.rs",
    "tests/faults/libraries.rs",
    "tests/faults/odd.rs",
    "tests/faults/refusals.rs",
    "tests/faults/signals.rs",
    "tests/faults/small_stacks.rs",
    "tests/faults/stack_ends.rs",
    "tests/faults/system_calls.rs",
    "tests/hook_fork.rs",
    "tests/hook_order.rs",
    "tests/hook_quiet.rs",
    "tests/wrap_unsafe.rs",
];

/// The roots of crates without any.
const SAFE_ROOTS: &[&str] = &[
    "profiler-alloc/format/src/lib.rs",
    "profiler-alloc/macros/src/lib.rs",
    "src/lib.rs",
    "src/main.rs",
];

/// Lines above an `unsafe` block or impl in which its SAFETY comment has to start.
const SAFETY_LINES: usize = 6;

const LARGEST_FILE: u64 = 200 * 1024;

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

#[test]
fn modules_use_only_what_lies_below_them() {
    let mut wrong = BTreeSet::new();
    for (path, text) in sources() {
        let Some(module) = module_of(&path) else {
            continue;
        };
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == module) else {
            wrong.insert(format!(
                "{}: module `{module}` has no layer",
                path.display()
            ));
            continue;
        };
        for used in modules_used(tokens(&text)) {
            if used != module && !allowed.contains(&used.as_str()) {
                wrong.insert(format!("{}: uses `{used}`", path.display()));
            }
        }
    }
    assert_none("uses against the layers", wrong);
}

#[test]
fn layers_are_listed_from_the_bottom_up() {
    for (i, (module, allowed)) in LAYERS.iter().enumerate() {
        for used in *allowed {
            let below = LAYERS[..i].iter().any(|(name, _)| name == used);
            assert!(
                below,
                "`{module}` may use `{used}`, which is not listed before it"
            );
        }
    }
}

#[test]
fn unsafe_stands_in_few_files() {
    let found = sources().filter(|(_, text)| !unsafes(tokens(text)).is_empty());
    let found: BTreeSet<_> = found.map(|(path, _)| path).collect();
    assert_eq!(found, UNSAFE_FILES.iter().map(PathBuf::from).collect());
}

#[test]
fn every_unsafe_says_why_it_holds() {
    let mut silent = Vec::new();
    for (path, text) in sources() {
        let lines: Vec<_> = text.lines().collect();
        for Unsafe { line, .. } in unsafes(tokens(&text))
            .into_iter()
            .filter(|found| found.gives_reason)
        {
            let above = &lines[line.saturating_sub(1 + SAFETY_LINES)..line];
            if !above.iter().any(|line| line.contains("SAFETY")) {
                silent.push(format!("{}:{line}", path.display()));
            }
        }
    }
    assert_none("`unsafe` without a SAFETY comment", silent);
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

/// A test that cannot run says so by `skip`, which fails under `.ci/run`: words of its own would pass there.
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
    let is_test = |path: &Path| path.iter().any(|part| part == "tests");
    let apart = ["tests/skip/mod.rs", "tests/tidy.rs"].map(Path::new);
    let wrong = sources()
        .filter(|(path, text)| is_test(path) && !apart.contains(&&**path) && prints(text))
        .map(|(path, _)| path);
    assert_none("tests that do not call `skip`", wrong);
    let ci = fs::read_to_string(root().join(".ci/run")).unwrap();
    assert!(ci.contains("export MEMPROF_TEST_REQUIRE=\"${MEMPROF_TEST_REQUIRE-1}\""));
}

#[test]
fn the_check_of_layers_sees_uses_in_all_their_forms() {
    let text = "
        // crate::comment
        use crate::alpha::X;
        use crate::{beta::{self, Y}, gamma};
        pub(crate) fn f() -> crate::delta::Z { \"crate::string\"; mac!(crate::epsilon()) }
    ";
    let used: Vec<_> = modules_used(tokens(text)).into_iter().collect();
    assert_eq!(used, ["alpha", "beta", "delta", "epsilon", "gamma"]);
}

#[test]
fn the_check_of_unsafe_sees_code_alone() {
    let text = "// unsafe\nfn f() { \"unsafe\"; }\nunsafe fn g();\nfn h() { unsafe { g() } }\n";
    let found = unsafes(tokens(text)).into_iter();
    let found: Vec<_> = found
        .map(|found| (found.line, found.gives_reason))
        .collect();
    assert_eq!(found, [(3, false), (4, true)]);
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

/// The module of the analyst a file belongs to: `src/run.rs` and `src/run/child.rs` to `run`.
fn module_of(path: &Path) -> Option<String> {
    let inside = path.strip_prefix("src").ok()?;
    let module = Path::new(inside.iter().next()?).file_stem()?.to_str()?;
    (!["lib", "main"].contains(&module)).then(|| module.to_owned())
}

fn tokens(text: &str) -> TokenStream {
    text.parse().expect("Rust")
}

/// The modules that paths from the crate's root lead to: `alpha` for `crate::alpha::X`.
fn modules_used(tokens: TokenStream) -> BTreeSet<String> {
    let trees: Vec<_> = tokens.into_iter().collect();
    let mut used = BTreeSet::new();
    for (i, tree) in trees.iter().enumerate() {
        if let TokenTree::Group(group) = tree {
            used.extend(modules_used(group.stream()));
        }
        let text = |offset: usize| trees.get(i + offset).map(ToString::to_string);
        let path = [text(0), text(1), text(2)].map(Option::unwrap_or_default);
        if path == ["crate", ":", ":"] {
            match trees.get(i + 3) {
                Some(TokenTree::Ident(module)) => used.extend([module.to_string()]),
                Some(TokenTree::Group(group)) => used.extend(first_names(group.stream())),
                _ => {}
            }
        }
    }
    used
}

/// The first name of each item of a list: `beta` and `gamma` for `beta::{self, Y}, gamma`.
fn first_names(list: TokenStream) -> Vec<String> {
    let trees: Vec<_> = list.into_iter().collect();
    let is_comma = |tree: &TokenTree| matches!(tree, TokenTree::Punct(p) if p.as_char() == ',');
    let items = trees.split(is_comma);
    items
        .filter_map(|item| Some(item.first()?.to_string()))
        .collect()
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

/// The word `unsafe` in code.
struct Unsafe {
    line: usize,
    /// A block, an impl or an attribute has to say why it holds; an `unsafe fn` asks its callers to.
    gives_reason: bool,
}

/// Where `unsafe` stands in the code.
fn unsafes(tokens: TokenStream) -> Vec<Unsafe> {
    let trees: Vec<_> = tokens.into_iter().collect();
    let mut found = Vec::new();
    for (i, tree) in trees.iter().enumerate() {
        match tree {
            TokenTree::Group(group) => found.extend(unsafes(group.stream())),
            TokenTree::Ident(word) if word == "unsafe" => found.push(Unsafe {
                line: word.span().start().line,
                gives_reason: match trees.get(i + 1) {
                    Some(TokenTree::Group(_)) => true,
                    Some(TokenTree::Ident(next)) => next == "impl",
                    _ => false,
                },
            }),
            _ => {}
        }
    }
    found
}
