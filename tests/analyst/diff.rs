//! Differences of synthetic profiles whose source was edited in between, and `memprof diff` as a
//! user runs it.

use std::fs;
use std::process::Command;

use crate::built;
use crate::synthetic::Program;
use memprof::profile::builder::Builder;
use memprof::render::{Base, DiffHtml, DiffJson, DiffText, Flamegraph};
use memprof::report::diff::{Diff, FunctionChange, GrowthItem, Limit};
use memprof::report::{CallTree, Granularity, Limits, Metric, Report, Scope, Stacks};
use memprof::source::{Places, Sources};
use memprof::symbolize::CodeFrame;

const MIB: u64 = 1 << 20;

const BEFORE: &str = "\
fn main() {
    let a = load(10);
    let b = load(20);
    keep(a, b);
}

fn load(n: usize) -> Vec<u8> {
    vec![0; n]
}

fn gone() {
    keep(vec![0; 5], vec![]);
}
";

/// A comment above, a line between, an edited line, a function renamed, one new.
const AFTER: &str = "\
//! Now with a comment.

fn fresh() {
    keep(vec![9; 9], vec![]);
}

fn main() {
    let a = load(10);
    println!(\"between\");
    let b = load(200);
    keep(a, b);
}

fn load_all(n: usize) -> Vec<u8> {
    vec![0; n]
}
";

/// Allocates `mib` MiB on each line given as (function, line).
fn program(source: &str, lines: &[(&str, u32, u64)]) -> Program {
    let mut program = Program::new(source);
    for &(function, line, mib) in lines {
        let frame = program.frame(&[(function, line)]);
        let stack = program.builder.stack(&[frame]);
        program.builder.allocated(stack, mib * MIB, 1);
    }
    program
}

fn edited() -> Diff {
    let before = program(
        BEFORE,
        &[
            ("app::main", 2, 10),
            ("app::main", 3, 20),
            ("app::load", 8, 30),
            ("app::gone", 12, 5),
        ],
    );
    let after = program(
        AFTER,
        &[
            ("app::fresh", 4, 9),
            ("app::main", 8, 10),
            ("app::main", 10, 200),
            ("app::load_all", 15, 31),
        ],
    );
    let mut diff = Diff::new(before.report(Scope::User), after.report(Scope::User));
    diff.sort(Metric::Peak);
    diff
}

fn text(diff: &Diff) -> String {
    let mut out = Vec::new();
    DiffText::default().diff(diff, &mut out).unwrap();
    anstream::adapter::strip_str(std::str::from_utf8(&out).unwrap()).to_string()
}

#[test]
fn lines_that_moved_are_matched() {
    insta::assert_snapshot!(text(&edited()), @r##"
Base: app of 1970-01-01 00:00:00 UTC
New:  app of 1970-01-01 00:00:00 UTC

Whole program              Base          New       Change
peak                   65.0 MiB    250.0 MiB   +185.0 MiB
live at the end        65.0 MiB    250.0 MiB   +185.0 MiB
allocated              65.0 MiB    250.0 MiB   +185.0 MiB
freed                   0.0 MiB      0.0 MiB            =
blocks                        4            4            =

Filename: src/main.rs
Function: app::main: peak 30.0 MiB -> 210.0 MiB, +180.0 MiB

Line # (base)         Base          New       Change   Line Contents
====================================================================
     8      2     10.0 MiB     10.0 MiB            =       let a = load(10);
    10      3     20.0 MiB    200.0 MiB   +180.0 MiB ~     let b = load(200);
                                                     was let b = load(20);

Filename: src/main.rs
Function: app::fresh  (new): peak 0.0 MiB -> 9.0 MiB, +9.0 MiB

Line # (base)         Base          New       Change   Line Contents
====================================================================
     4                          9.0 MiB     +9.0 MiB +     keep(vec![9; 9], vec![]);

Filename: src/main.rs
Function: app::gone  (gone): peak 5.0 MiB -> 0.0 MiB, -5.0 MiB

Line # (base)         Base          New       Change   Line Contents
====================================================================
           12      5.0 MiB                  -5.0 MiB -     keep(vec![0; 5], vec![]);

Filename: src/main.rs
Function: app::load_all: peak 30.0 MiB -> 31.0 MiB, +1.0 MiB
(was app::load in src/main.rs)

Line # (base)         Base          New       Change   Line Contents
====================================================================
    15      8     30.0 MiB     31.0 MiB     +1.0 MiB       vec![0; n]

Lines marked `~`, `+` and `-` were edited, are new, or are gone.
Base: Sampling: exact; every allocation was recorded.
New: Sampling: exact; every allocation was recorded.
"##);
}

#[test]
fn growth_is_found_in_the_whole_in_functions_and_in_lines() {
    let grown = edited().grown(Metric::Peak, "50%".parse().unwrap());
    let what: Vec<String> = (grown.iter())
        .map(|growth| {
            assert!(!growth.within_noise, "exact figures have no noise");
            match &growth.what {
                GrowthItem::Whole => "whole".to_owned(),
                GrowthItem::Part { of, .. } => of.clone(),
                GrowthItem::Function { function, .. } => function.clone(),
                GrowthItem::Line { line, function, .. } => format!("{function}:{}", line.unwrap()),
            }
        })
        .collect();
    // 65 MiB before: 180 more on a line is over half of that, 9 MiB of a new function is not.
    assert_eq!(what, ["whole", "app::main", "app::main:10"]);
    let grown = edited().grown(Metric::Peak, Limit::Amount(8 * MIB));
    assert_eq!(grown.len(), 5, "{grown:?}");
    assert_eq!(edited().grown(Metric::Peak, Limit::Amount(999 * MIB)), []);
}

/// One line that allocated `mib` MiB, known to `error` MiB.
fn sampled(mib: u64, error: u64) -> Program {
    let mut program = program(BEFORE, &[("app::main", 2, mib)]);
    let builder: &mut Builder = &mut program.builder;
    builder.header.interval = 512 << 10;
    builder.header.interval_widest = 512 << 10;
    let variance = ((error * MIB) as f64).powi(2);
    builder.stacks[1].peak_variance = variance.to_bits();
    builder.stacks[1].live_variance = variance.to_bits();
    builder.stacks[1].alloc_variance = variance.to_bits();
    // The counters are exact, and did not change.
    builder.header.peak = 100 * MIB;
    program
}

#[test]
fn growth_within_the_error_of_sampling_is_no_failure_and_said() {
    let diff = |before: Program, after: Program| {
        Diff::new(before.report(Scope::User), after.report(Scope::User))
    };
    // 10 more, with an error of hypot(5, 5) = 7.
    let noisy = diff(sampled(100, 5), sampled(110, 5));
    let limit = Limit::Amount(4 * MIB);
    let grown = noisy.grown(Metric::Peak, limit);
    assert_eq!(grown.len(), 2, "the function and its line: {grown:?}");
    assert!(grown.iter().all(|growth| growth.within_noise));
    let mut out = Vec::new();
    DiffText::default()
        .growths(&grown, "4MiB", &mut out)
        .unwrap();
    let said = String::from_utf8(out).unwrap();
    assert!(
        said.starts_with("peak grew nowhere by more than 4MiB.\n"),
        "{said}"
    );
    assert!(
        said.contains("within the error of sampling: not counted"),
        "{said}"
    );
    assert!(text(&noisy).contains("~+10.0 MiB"), "{}", text(&noisy));

    let real = diff(sampled(100, 1), sampled(110, 1)).grown(Metric::Peak, limit);
    assert_eq!(real.len(), 2);
    assert!(real.iter().all(|growth| !growth.within_noise));
}

const NAMESAKES: &str = "\
impl From<u8> for Error {
    fn from(n: u8) -> Error {
        Error(n.to_string().repeat(10_000))
    }
}

impl From<bool> for Error {
    fn from(b: bool) -> Error {
        Error(b.to_string().repeat(10_000))
    }
}
";

/// What `From<u8>` and `From<bool>` took; the debug information says `from`, or all of the name.
fn namesakes(source: &str, lines: [(&str, u32, u64); 2]) -> Program {
    let lines = lines.map(|(of, line, mib)| {
        let name = match of {
            "" => "from".to_owned(),
            of => format!("<app::Error as core::convert::From<{of}>>::from"),
        };
        (name, line, mib)
    });
    let lines = lines
        .each_ref()
        .map(|(name, line, mib)| (name.as_str(), *line, *mib));
    program(source, &lines)
}

/// Changes of peak in MiB, those of nothing left out.
fn changes(base: Report, new: Report) -> Vec<i64> {
    let mut diff = Diff::new(base, new);
    diff.sort(Metric::Peak);
    let change = |f: &FunctionChange| f.total.change(Metric::Peak).difference().bytes >> 20;
    diff.functions.iter().map(change).collect()
}

#[test]
fn functions_of_one_name_are_the_same_if_their_arguments_text_or_order_is() {
    let report = |program: &Program| program.report(Scope::User);
    let (first, second) = NAMESAKES.split_once("\n\n").unwrap();
    let swapped = format!("{second}\n{first}\n");
    for names in [["u8", "bool"], ["", ""]] {
        let [a, b] = names;
        let base = || namesakes(NAMESAKES, [(a, 3, 30), (b, 9, 50)]);
        assert_eq!(
            changes(report(&base()), report(&base())),
            [0i64; 0],
            "{names:?}"
        );
        // The other way round in the file, and the later one grew.
        let new = namesakes(&swapped, [(a, 9, 31), (b, 3, 50)]);
        assert_eq!(changes(report(&base()), report(&new)), [1], "{names:?}");
    }
    // Neither arguments nor text: the order is left.
    let unknown = |lines: [(u32, u64); 2]| {
        let mut program = Program::new("");
        for (line, mib) in lines {
            let code = CodeFrame::new(&format!("app::f{line}"), "/nowhere/src/lost.rs", line);
            let code = CodeFrame {
                function: "from".to_owned(),
                ..code
            };
            let frame = program.frame_of(vec![code]);
            let stack = program.builder.stack(&[frame]);
            program.builder.allocated(stack, mib * MIB, 1);
        }
        program.report(Scope::User)
    };
    assert_eq!(
        changes(unknown([(3, 30), (9, 50)]), unknown([(13, 30), (19, 50)])),
        [0i64; 0]
    );
}

/// As seen from a folder that neither is in, so that paths are whole.
#[test]
fn two_checkouts_of_one_source_are_the_same() {
    let report = |program: Program| {
        let (profile, defects) = program.profile();
        let mut sources = Sources::new(Places::default());
        Report::new(
            &profile,
            &program.symbols,
            &mut sources,
            Scope::User,
            defects,
        )
    };
    let recorded = || namesakes(NAMESAKES, [("u8", 3, 30), ("bool", 9, 50)]);
    let mut diff = Diff::new(report(recorded()), report(recorded()));
    assert!(diff.functions.iter().all(|function| function.was.is_none()));
    assert_eq!(diff.functions.len(), 2);
    diff.sort(Metric::Peak);
    assert_eq!(diff.functions, []);
}

#[test]
fn a_block_that_is_taken_one_line_further_down_is_no_growth() {
    let moved = Diff::new(
        program(BEFORE, &[("app::main", 2, 50), ("app::main", 3, 5)]).report(Scope::User),
        program(BEFORE, &[("app::main", 2, 5), ("app::main", 3, 50)]).report(Scope::User),
    );
    assert_eq!(moved.grown(Metric::Peak, Limit::Amount(MIB)), []);
}

#[test]
fn a_source_that_was_only_touched_is_not_changed() {
    let touched = |source: &str| {
        let mut program = program(source, &[("app::main", 3, 10), ("app::load", 8, 5)]);
        program.builder.modules[0].modified_ns = 1;
        let diff = Diff::new(program.report(Scope::User), program.report(Scope::User));
        diff.new.source_changed
    };
    assert!(!touched(BEFORE));
    // An edit further up brings another function, a comment or nothing there.
    assert!(touched(&format!("//! A comment.\n\n\n\n\n\n{BEFORE}")));
    assert!(touched(&BEFORE.replace("    let b", "    // let b")));
    assert!(touched("fn main() {\n}\n"));
}

#[test]
fn lines_without_source_are_matched_by_their_distance() {
    let program = |lines: &[(u32, u64)]| {
        let mut program = Program::new("");
        for &(line, mib) in lines {
            let code = CodeFrame::new("app::lost", "/nowhere/lost.rs", line);
            let frame = program.frame_of(vec![code]);
            let stack = program.builder.stack(&[frame]);
            program.builder.allocated(stack, mib * MIB, 1);
        }
        program.report(Scope::User)
    };
    let mut diff = Diff::new(
        program(&[(10, 1), (12, 1), (15, 1), (17, 9)]),
        program(&[(101, 9), (110, 1), (112, 1), (114, 2)]),
    );
    diff.sort(Metric::Peak);
    let lines: Vec<_> = (diff.functions.iter())
        .flat_map(|function| &function.lines)
        .map(|line| (line.base_number, line.number))
        .collect();
    // What took the same is the same, wherever it stands.
    let expected = [
        (Some(10), Some(110)),
        (Some(12), Some(112)),
        (Some(15), None),
        (Some(17), Some(101)),
        (None, Some(114)),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn json_has_the_documented_shape() {
    let diff = edited();
    let grown = diff.grown(Metric::Peak, "50%".parse().unwrap());
    let renderer = DiffJson {
        metric: Metric::Peak,
        grown: Some(&grown),
    };
    let mut out = Vec::new();
    renderer.diff(&diff, &mut out).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(json["schema"], "memprof-diff/1");
    assert_eq!(
        json["whole"]["peak"],
        serde_json::json!([65 * MIB, 250 * MIB])
    );
    assert_eq!(json["grown"][2]["line"], 10);
    let main = &json["functions"][0];
    assert_eq!(main["name"], "app::main");
    assert_eq!(main["total"]["change"]["peak"]["value"], 180 * MIB);
    let line = &main["lines"][1];
    assert_eq!((&line["line"], &line["base_line"]), (&10.into(), &3.into()));
    assert_eq!(line["base_source"], "    let b = load(20);");
    assert_eq!(json["functions"][1]["presence"], serde_json::Value::Null);
}

/// The data of a page.
fn page_data(page: &str) -> serde_json::Value {
    let (_, behind) = page.split_once("id=\"data\">").expect("data");
    let (data, _) = behind.split_once("</script>").expect("an end");
    serde_json::from_str(data).expect("JSON")
}

#[test]
fn the_page_has_the_figures_of_the_text() {
    let diff = edited();
    let grown = diff.grown(Metric::Peak, "50%".parse().unwrap());
    let page = |renderer: DiffHtml<'_>| {
        let mut out = Vec::new();
        renderer.page(&diff, &mut out).unwrap();
        page_data(std::str::from_utf8(&out).unwrap())
    };
    let data = page(DiffHtml {
        grown: Some((&grown, "50%")),
        ..DiffHtml::default()
    });
    let both = |base: u64, new: u64| serde_json::json!([base * MIB, new * MIB]);
    assert_eq!(data["whole"]["peak"], both(65, 250));
    let main = &data["functions"][0];
    assert_eq!(main["name"], "app::main");
    let figures = serde_json::json!([20 * MIB, 200 * MIB, false]);
    let line = &main["lines"][1];
    assert_eq!(line["figures"]["peak"], figures);
    assert_eq!(
        (&line["number"], &line["base_number"]),
        (&10.into(), &3.into())
    );
    assert_eq!(
        (&line["mark"], &line["was"]),
        (&"~".into(), &"    let b = load(20);".into())
    );
    let states: Vec<_> = (data["functions"].as_array().unwrap().iter())
        .map(|function| function["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["", "new", "gone", ""]);
    assert_eq!(data["functions"][3]["was"][1], "app::load");
    assert_eq!(data["grown"][0], "peak grew by more than 50%:");
    assert_eq!(data["grown"].as_array().unwrap().len(), 4);

    let cut = page(DiffHtml {
        functions: 1,
        ..DiffHtml::default()
    });
    assert_eq!(cut["functions"].as_array().unwrap().len(), 1);
    assert!(
        cut["notes"]
            .to_string()
            .contains("Cut: 3 functions that changed less")
    );
}

/// What `svg` says of its frames: `name (bytes, …)`.
fn titles(svg: &str) -> Vec<String> {
    let titles = svg.split("<title>").skip(1);
    let titles = titles.map(|title| title.split("</title>").next().unwrap().to_owned());
    titles.collect()
}

#[test]
fn a_flamegraph_shows_what_grew_and_what_shrank() {
    let source = "fn main() {\n    grow();\n    shrink();\n    fresh();\n    gone();\n}\n";
    let stacks = |calls: &[(u32, u64)]| -> Stacks {
        let mut program = Program::new(source);
        let outer = program.frame(&[("app::main", 1)]);
        for &(line, mib) in calls {
            let frame = program.frame(&[("app::main", line)]);
            let stack = program.builder.stack(&[frame, outer]);
            program.builder.allocated(stack, mib * MIB, 1);
        }
        let (profile, defects) = program.profile();
        let stacks = Stacks::new(&profile, &program.symbols, &mut program.sources(), defects);
        stacks.restricted(Scope::User, Granularity::Line)
    };
    let base = stacks(&[(2, 10), (3, 40), (5, 30)]);
    let new = stacks(&[(2, 60), (3, 20), (4, 20)]);
    let shown = |inverted| {
        let tree = |stacks| CallTree::new(stacks, Metric::Peak, inverted, Limits::default());
        let base = Base {
            stacks: &base,
            tree: &tree(&base),
        };
        let mut svg = Vec::new();
        (Flamegraph.svg_with_base((&new, &tree(&new)), base, &mut svg)).unwrap();
        let svg = String::from_utf8(svg).unwrap();
        let wholes = "80.0 MiB in the base, 100.0 MiB in the new recording";
        assert!(svg.contains(wholes), "{svg}");
        let mut titles = titles(&svg);
        titles.sort();
        titles
    };
    // Of the outer frame itself, the 30 MiB are gone that only the base has below it.
    let downwards = [
        "all (104,857,600 bytes, 100%)",
        "app::main (main.rs:1) (104,857,600 bytes, 100.00%; -30.00%)",
        "app::main (main.rs:2) (62,914,560 bytes, 60.00%; +50.00%)",
        "app::main (main.rs:3) (20,971,520 bytes, 20.00%; -20.00%)",
        "app::main (main.rs:4) (20,971,520 bytes, 20.00%; +20.00%)",
    ];
    assert_eq!(shown(false), downwards);
    let upwards = [
        "all (104,857,600 bytes, 100%)",
        "app::main (main.rs:1) (20,971,520 bytes, 20.00%; +20.00%)",
        "app::main (main.rs:1) (20,971,520 bytes, 20.00%; -20.00%)",
        "app::main (main.rs:1) (62,914,560 bytes, 60.00%; +50.00%)",
        "app::main (main.rs:2) (62,914,560 bytes, 60.00%; 0.00%)",
        "app::main (main.rs:3) (20,971,520 bytes, 20.00%; 0.00%)",
        "app::main (main.rs:4) (20,971,520 bytes, 20.00%; 0.00%)",
    ];
    assert_eq!(shown(true), upwards);
}

/// Two profiles of nothing known, the second of more.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [("a.memprof", 100), ("b.memprof", 103)] {
        let mut builder = Builder::new();
        builder.module("/nowhere/app");
        let stack = builder.stack(&[memprof::profile::Frame::new(0, 16)]);
        builder.allocated(stack, bytes, 1);
        fs::write(folder.path().join(name), builder.to_bytes()).unwrap();
    }
    folder
}

#[test]
fn the_exit_code_tells_what_grew() {
    let folder = folder();
    let diff = |arguments: &[&str]| {
        let output = (Command::new(env!("CARGO_BIN_EXE_memprof")))
            .current_dir(folder.path())
            .args(["diff", "a.memprof", "b.memprof"])
            .args(arguments)
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    assert_eq!(diff(&[]).0, Some(0));
    let (code, out, _) = diff(&["--fail-over", "2%"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("peak grew by more than 2%:\n"), "{out}");
    assert!(
        out.contains("+3 B  100 B -> 103 B  the whole program"),
        "{out}"
    );
    assert_eq!(diff(&["--fail-over", "3%"]).0, Some(0));
    assert_eq!(diff(&["--fail-over", "2B", "--format", "json"]).0, Some(1));
    let (_, out, _) = diff(&["--fail-over", "2%", "--fail-on", "whole"]);
    let (_, grown) = out.split_once("grew by more than").unwrap();
    assert!(
        grown.contains("the whole program") && !grown.contains("app"),
        "{out}"
    );
    let (code, _, error) = diff(&["--fail-over", "much"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("such as 5% or 10MiB"), "{error}");
}

/// A program recorded in two folders, both of a repository, and what `memprof diff` says of the two
/// profiles.
#[test]
fn one_program_recorded_twice_has_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let run = |program: &str, arguments: &[&str], place: &str| {
        let output = (Command::new(program).args(arguments))
            .current_dir(folder.path().join(place))
            .output()
            .unwrap();
        let said = built::text(&output.stdout) + &built::text(&output.stderr);
        (output.status.code(), said)
    };
    let git = |arguments: &[&str]| {
        let who = [
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.org",
            "-c",
            "commit.gpgsign=false",
        ];
        let (code, said) = run("git", &[&who, arguments].concat(), ".");
        assert_eq!(code, Some(0), "{said}");
    };
    git(&["init", "-q"]);
    fs::write(folder.path().join("README"), "one").unwrap();
    git(&["add", "README"]);
    git(&["commit", "-qm", "one"]);
    for place in ["one", "two"] {
        let program = folder.path().join(place).join("lists");
        fs::create_dir(folder.path().join(place)).unwrap();
        fs::copy(built::example("lists"), &program).unwrap();
        // A program older than its source, as after a fresh checkout or `touch`.
        let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(9);
        (fs::File::open(&program).unwrap().set_modified(long_ago)).unwrap();
        let options = ["run", "--sample", "all", "-o", "x.memprof", "--", "./lists"];
        let (code, said) = run(built::MEMPROF, &options, place);
        assert_eq!(code, Some(0), "{said}");
    }
    let here = folder.path().to_str().unwrap();
    let elsewhere = format!("{here}=/nowhere");
    for options in [
        &[][..],
        &["--base-rev", "HEAD"],
        &["--base-path-map", &elsewhere],
    ] {
        let profiles = [
            "diff",
            "one/x.memprof",
            "two/x.memprof",
            "--fail-over",
            "1B",
        ];
        let (code, said) = run(built::MEMPROF, &[&profiles[..], options].concat(), ".");
        assert_eq!(code, Some(0), "{options:?}: {said}");
        assert!(!said.contains("changed since"), "{options:?}: {said}");
        assert!(
            !said.contains("Function:") && !said.contains("Filename:"),
            "{options:?}: {said}"
        );
    }
}

/// An allocator, which has no table; two functions of one name, one that is generic, a closure,
/// what is derived, a macro, a static.
const PARTS: [&str; 7] = [
    "\
use std::alloc::System;
#[global_allocator]
static ALLOC: System = System;
",
    "\
impl From<u8> for Text {
    #[inline(never)]
    fn from(n: u8) -> Text {
        Text(n.to_string().repeat(10_000))
    }
}
",
    "\
impl From<bool> for Text {
    #[inline(never)]
    fn from(b: bool) -> Text {
        Text(b.to_string().repeat(20_000))
    }
}
",
    "\
fn twice<T: Clone>(of: &T) -> Vec<T> {
    let once = || vec![of.clone(); 30];
    let mut all = once();
    all.extend(once());
    all
}
",
    "\
#[derive(Clone)]
struct Text(String);
",
    "\
macro_rules! filled {
    ($bytes:expr) => {
        vec![1u8; $bytes]
    };
}
",
    "\
static LIST: std::sync::LazyLock<Vec<u8>> =
    std::sync::LazyLock::new(|| vec![7; 70_000]);
",
];

const MAIN: &str = "\
fn main() {
    let number = Text::from(std::hint::black_box(1u8));
    let truth = Text::from(std::hint::black_box(true));
    let all = (twice(&1u64), twice(&truth), filled!(50_000));
    std::hint::black_box((number, truth.clone(), all, LIST.len()));
}
";

/// Builds `source` in `folder` as `name`, records it, and gives the profile's path.
fn recorded(folder: &std::path::Path, source: &str, name: &str, options: &str) -> String {
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::write(folder.join("src/app.rs"), source).unwrap();
    let succeeds = |command: &mut Command| {
        let output = command.current_dir(folder).output().unwrap();
        let said = built::text(&output.stderr);
        assert!(output.status.success(), "{said}");
    };
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition", "2024", "src/app.rs", "-o", name]);
    succeeds(rustc.args(options.split(' ')));
    let profile = format!("{name}.memprof");
    let mut run = Command::new(built::MEMPROF);
    run.args(["run", "--sample", "all", "-o", &profile, "--"]);
    succeeds(run.arg(format!("./{name}")));
    profile
}

/// What `memprof diff` says of two profiles in `folder`, and its exit code.
fn diff_in(folder: &std::path::Path, profiles: [&str; 2]) -> (Option<i32>, String) {
    let output = (Command::new(built::MEMPROF).arg("diff"))
        .args(profiles)
        .args(["--fail-over", "1B"])
        .current_dir(folder)
        .output()
        .unwrap();
    let said = built::text(&output.stdout) + &built::text(&output.stderr);
    (output.status.code(), said)
}

const BUILDS: [&str; 4] = [
    "-Cdebuginfo=2",
    "-Cdebuginfo=1 -O",
    "-Cdebuginfo=2 -O -Cdwarf-version=5 -Csymbol-mangling-version=v0",
    "-Cdebuginfo=line-tables-only -O",
];

/// A comment above and functions in another order: of the base, debug information alone says where
/// its functions were.
#[test]
fn an_edit_of_another_place_in_the_file_is_no_growth() {
    let comment = "// Something is said here.\n".repeat(10);
    let order = [5, 2, 6, 4, 1, 0, 3];
    let moved: String = order
        .iter()
        .flat_map(|&part| [PARTS[part], &comment])
        .collect();
    for (number, build) in BUILDS.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let before = PARTS.concat() + MAIN;
        let base = recorded(folder.path(), &before, "old", build);
        for (name, after) in [
            ("new", format!("{comment}{before}")),
            ("newer", format!("{comment}{moved}{MAIN}")),
        ] {
            let new = recorded(folder.path(), &after, name, build);
            let (code, said) = diff_in(folder.path(), [&base, &new]);
            assert_eq!(code, Some(0), "{number} {name}: {said}");
            assert!(said.contains("source changed"), "{number} {name}: {said}");
            assert!(!said.contains("Function:"), "{number} {name}: {said}");
        }
    }
}

/// The same, and one function takes more on one line.
#[test]
fn what_grew_in_an_edited_file_is_found() {
    let comment = "// Something is said here.\n".repeat(10);
    let folder = tempfile::tempdir().unwrap();
    let before = PARTS.concat() + MAIN;
    let base = recorded(folder.path(), &before, "old", BUILDS[1]);
    let after = comment + &before.replace("repeat(20_000)", "repeat(30_000)");
    let new = recorded(folder.path(), &after, "new", BUILDS[1]);
    let (code, said) = diff_in(folder.path(), [&base, &new]);
    assert_eq!(code, Some(1), "{said}");
    // Those that take a text of 120,000 bytes in place of 80,000, and what calls them.
    let of_line = |function: &str| said.contains(&format!("Function: {function}: "));
    for function in [
        "app::main",
        "app::twice",
        "<app::Text as core::clone::Clone>::clone",
    ] {
        assert!(of_line(function), "{function}: {said}");
    }
    assert!(said.contains("    23     13      0.1 MiB      0.1 MiB    +39.1 KiB           Text(b.to_string().repeat(30_000))"), "{said}");
    assert_eq!(said.matches("Function:").count(), 4, "{said}");
}
