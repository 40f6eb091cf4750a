//! Views by context, of a program with two routes and something to do besides.

use memprof::defect::Defect;
use memprof::export::Folded;
use memprof::profile::{ContextPattern, Frame, Profile};
use memprof::render::{
    Csv, DiffJson, DiffText, Json, LeaksCsv, LeaksJson, LeaksText, Renderer, SummaryText,
    TemporaryText, Text,
};
use memprof::report::diff::{Diff, Grown, GrowthItem, Limit, PartChanges, context_figures};
use memprof::report::{
    CallTree, ContextTables, Extent, Filter, Granularity, Limits, Lines, Metric, Report, Scope,
    Selection, Split, Stacks, StacksBy, Summary,
};
use profiler_alloc_format::COUNT_FRACTION_BITS;
use serde_json::Value;

use crate::built::{MEMPROF, text};
use crate::synthetic::Program;

const SOURCE: &str = "\
fn main() {
    serve();
    idle();
}

fn serve() {
    let order = load();
    keep(order);
}

fn idle() {
    tick();
}
";

/// A function, and what was allocated on its lines.
type LinesOf<'a> = (&'a str, Vec<(u32, i64)>);

/// `/buy` keeps `kept` bytes and takes 500 for a moment, `/look` keeps 40, and 7 are of no route.
fn program(kept: u64) -> Program {
    let mut program = Program::new(SOURCE);
    let main = program.frame(&[("app::main", 2)]);
    let idle = program.frame(&[("app::idle", 12), ("app::main", 3)]);
    let load = program.frame(&[("app::serve", 7)]);
    let keep = program.frame(&[("app::serve", 8)]);
    let [buy, look] = ["/buy", "/look"].map(|route| program.builder.in_context("route", route));
    let builder = &mut program.builder;
    for (frames, bytes) in [
        (vec![keep, main, buy], kept),
        (vec![keep, main, look], 40),
        (vec![idle], 7),
    ] {
        let stack = builder.stack(&frames);
        builder.allocated(stack, bytes, 1);
    }
    let loaded = builder.stack(&[load, main, buy]);
    builder.allocated(loaded, 500, 5);
    builder.freed(loaded, loaded, 500, 5);
    program
}

fn tables(program: &Program, selection: &Selection) -> ContextTables {
    let (profile, defects) = program.profile();
    assert_eq!(defects, []);
    let scope = (Scope::User, "route");
    let (symbols, mut sources) = (&program.symbols, program.sources());
    let mut tables = ContextTables::new(&profile, symbols, &mut sources, scope, defects);
    tables.select(selection).unwrap();
    tables
}

fn written(write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    anstream::adapter::strip_str(std::str::from_utf8(&out).unwrap()).to_string()
}

#[test]
fn each_context_has_its_own_tables_most_memory_first() {
    let program = program(1 << 20);
    let tables = tables(
        &program,
        &Selection {
            lines: Lines::Touched,
            ..Selection::default()
        },
    );
    let groups = tables.groups.iter().map(|group| {
        let lines = group.tables.iter().map(|table| {
            let allocated = |line: &memprof::report::Line| line.figures.unwrap().allocated.bytes;
            let lines = table.lines.iter();
            let lines = lines.map(|line| (line.number.unwrap(), allocated(line)));
            (table.function.as_str(), lines.collect())
        });
        (group.value.as_deref(), lines.collect())
    });
    let groups: Vec<(Option<&str>, Vec<LinesOf>)> = groups.collect();
    let all = (1 << 20) + 500;
    assert_eq!(
        groups,
        [
            (
                Some("/buy"),
                vec![
                    ("app::main", vec![(2, all)]),
                    ("app::serve", vec![(7, 500), (8, 1 << 20)])
                ]
            ),
            (
                Some("/look"),
                vec![("app::main", vec![(2, 40)]), ("app::serve", vec![(8, 40)])]
            ),
            (
                None,
                vec![("app::main", vec![(3, 7)]), ("app::idle", vec![(12, 7)])]
            ),
        ]
    );
    // The contexts' totals are the whole.
    let sum: i64 = (tables.groups.iter())
        .map(|group| group.total.allocated.bytes)
        .sum();
    assert_eq!(sum, all + 47);

    let text = written(|out| Text::default().by_context(&tables, out));
    assert!(
        text.contains(
            "Context: route=/buy\n(1.0 MiB live, 1.0 MiB at the peak, 1.0 MiB allocated in 6 blocks)\n\nFilename: "
        ),
        "{text}"
    );
    assert!(text.contains("Context: route=(none)\n"), "{text}");
    let json: Value = serde_json::from_str(&written(|out| Json.by_context(&tables, out))).unwrap();
    assert_eq!(json["schema"], "memprof-report-by-context/1");
    let none = &json["contexts"][2];
    assert_eq!(
        (&none["value"], &none["total"]["live"]),
        (&Value::Null, &7.into())
    );
    assert_eq!(
        json["contexts"][0]["functions"][1]["lines"][0]["freed"],
        500
    );
    let csv = written(|out| Csv.by_context(&tables, out));
    let rows: Vec<&str> = csv.lines().collect();
    assert!(rows[0].ends_with(",occurrences,context"), "{csv}");
    assert!(rows[3].starts_with("src/main.rs,app::serve,8,"), "{csv}");
    assert!(
        rows[3].ends_with(",/buy") && rows[6].ends_with(",(none)"),
        "{csv}"
    );
}

#[test]
fn contexts_that_hold_little_are_counted_and_functions_are_found_in_any() {
    let mut program = program(1 << 20);
    let main = program.frame(&[("app::main", 2)]);
    for tenant in 0..30 {
        let of_none = program.builder.in_context("route", &format!("/{tenant}"));
        let stack = program.builder.stack(&[main, of_none]);
        program.builder.allocated(stack, 1, 1);
    }
    let what_matters = Selection {
        extent: Extent::WhatMatters,
        ..Selection::default()
    };
    let found = tables(&program, &what_matters);
    assert_eq!((found.groups.len(), found.left_out.unwrap().count), (1, 32));
    let text = written(|out| Text::default().by_context(&found, out));
    assert!(
        text.contains("Left out: 32 more contexts, which hold less than 0.1 % of the peak"),
        "{text}"
    );
    // A function of one context alone is in that.
    let idle = Selection {
        function: Some("idle".to_owned()),
        ..Selection::default()
    };
    let found = tables(&program, &idle);
    assert_eq!(found.groups.len(), 1);
    assert_eq!(found.groups[0].value, None);
}

#[test]
fn a_summary_says_for_whom_and_how_much_is_for_nobody() {
    let program = program(53);
    let (profile, defects) = program.profile();
    let symbols = &program.symbols;
    let mut sources = program.sources();
    let summary = Summary::new(&profile, symbols, &mut sources, defects);
    let text = written(|out| SummaryText { top: 3 }.summary(&summary, out));
    let at = text
        .find("Contexts: route, by the peak\n")
        .expect("a section");
    let section: Vec<&str> = text[at..].lines().skip(1).take(4).collect();
    assert_eq!(
        section,
        [
            "        Live      At peak    Allocated",
            "        53 B        553 B        553 B  /buy",
            "        40 B         40 B         40 B  /look",
            "         7 B          7 B          7 B  (no route: 1 % of the peak)",
        ]
    );
    let json: Value = serde_json::from_str(&written(|out| Json.summary(&summary, out))).unwrap();
    assert_eq!(json["contexts"][0]["contexts"][1]["live"], 40);
    // Of a program without contexts there is none.
    let mut bare = Program::new(SOURCE);
    let main = bare.frame(&[("app::main", 2)]);
    let stack = bare.builder.stack(&[main]);
    bare.builder.allocated(stack, 1, 1);
    let (profile, defects) = bare.profile();
    let summary = Summary::new(&profile, &bare.symbols, &mut bare.sources(), defects);
    let text = written(|out| SummaryText { top: 3 }.summary(&summary, out));
    assert!(!text.contains("Contexts"), "{text}");
}

#[test]
fn stacks_stand_below_their_context() {
    let program = program(1000);
    let (profile, defects) = program.profile();
    let (symbols, mut sources) = (&program.symbols, program.sources());
    let by = Split {
        key: Some("route"),
        granularity: Granularity::Function,
        ..Split::default()
    };
    let stacks = Stacks::split(&profile, symbols, &mut sources, defects, by);
    let folded = Folded {
        metric: Metric::Allocated,
        lines: false,
    };
    let lines = written(|out| folded.export(&stacks, out));
    assert_eq!(
        lines.lines().collect::<Vec<_>>(),
        [
            "route=/buy;app::main;app::serve 1500",
            "route=/look;app::main;app::serve 40",
            "route=(none);app::main;app::idle 7",
        ]
    );
    assert_eq!(stacks.total.allocated.bytes, 1547);
    let tree = CallTree::new(&stacks, Metric::Allocated, false, Limits::default());
    assert_eq!(tree.nodes[0].sum.bytes, 1547);
    // Without a frame of the user's own, a stack is outside of the source in its context too.
    let mut outside = Program::new(SOURCE);
    let foreign = memprof::symbolize::CodeFrame::new("libc::start", "/usr/lib/libc.so", 1);
    let foreign = outside.frame_of(vec![foreign]);
    let job = outside.builder.in_context("job", "a;b");
    let main = outside.frame(&[("app::main", 2)]);
    for frames in [[foreign, job], [main, job]] {
        let stack = outside.builder.stack(&frames);
        outside.builder.allocated(stack, 5, 1);
    }
    let (profile, defects) = outside.profile();
    let by = Split {
        key: Some("job"),
        ..Split::default()
    };
    let stacks = Stacks::split(
        &profile,
        &outside.symbols,
        &mut outside.sources(),
        defects,
        by,
    );
    let lines = written(|out| folded.export(&stacks, out));
    assert!(
        lines.contains("job=a:b;(outside the program's own source);libc::start 5\n"),
        "{lines}"
    );
}

#[test]
fn a_diff_says_which_context_grew() {
    let report = |program: &Program| -> (Report, Profile) {
        let (profile, defects) = program.profile();
        let mut sources = program.sources();
        let report = Report::new(
            &profile,
            &program.symbols,
            &mut sources,
            Scope::User,
            defects,
        );
        (report, profile)
    };
    let (base, new) = (program(1000), program(61_000));
    let ((base_report, base), (new_report, new)) = (report(&base), report(&new));
    let mut diff = Diff::new(base_report, new_report);
    let figures = [&base, &new].map(|profile| context_figures(profile, "route"));
    diff.contexts = Some(PartChanges::new("route", &figures[0], &figures[1]));
    diff.sort(Metric::Live);
    let text = DiffText {
        metric: Metric::Live,
        precision: 3,
        top: None,
    };
    let shown = written(|out| text.diff(&diff, out));
    let table = "        Base          New       Change  live, by route\n   \
                 0.001 MiB    0.058 MiB   +0.057 MiB  /buy\n\n";
    assert!(shown.contains(table), "{shown}");
    let json = DiffJson {
        metric: Metric::Live,
        grown: None,
    };
    let json: Value = serde_json::from_str(&written(|out| json.diff(&diff, out))).unwrap();
    let change = &json["contexts"]["contexts"][0];
    assert_eq!(change["change"]["live"]["value"], 60_000);
}

/// The stacks of the whole, and of each context of `route`.
fn stacks_by_route(program: &Program) -> (Stacks, StacksBy) {
    let (profile, defects) = program.profile();
    let (symbols, mut sources) = (&program.symbols, program.sources());
    let by = StacksBy::new(&profile, symbols, &mut sources, (Scope::User, "route"));
    let stacks = Stacks::new(&profile, symbols, &mut sources, defects);
    (stacks.restricted(Scope::User, Granularity::Line), by)
}

#[test]
fn leaks_stand_below_the_context_that_has_them() {
    let mut program = program(1 << 20);
    // `/look` has less on the same line, and frees all that it takes elsewhere.
    let main = program.frame(&[("app::main", 2)]);
    let load = program.frame(&[("app::serve", 7)]);
    let closed = program.builder.in_context("route", "/closed");
    let gone = program.builder.stack(&[load, main, closed]);
    program.builder.allocated(gone, 90, 1);
    program.builder.freed(gone, gone, 90, 1);
    let (stacks, mut by) = stacks_by_route(&program);
    by.sort_by_leak();
    let text = LeaksText {
        top: 2,
        stacks: 1,
        width: None,
    };
    let shown = written(|out| text.by_context(&stacks, &by, out));
    let head = "Live at the end, by route: 1.0 MiB in 3 blocks, of 1.0 MiB allocated\n";
    assert!(shown.starts_with(head), "{shown}");
    let rows = shown.lines().skip(3).take(7);
    let rows: Vec<String> = rows
        .map(|row| {
            let words: Vec<&str> = row.split_whitespace().collect();
            words.join(" ")
        })
        .collect();
    let kept = |bytes: &str| format!("{bytes} {bytes} 1 100% 0 B");
    for (row, (figures, name)) in rows.iter().zip([
        // 500 more at the peak, which is not its line's that holds most.
        ("1023.5 KiB 1.0 MiB 1 100% -500 B".to_owned(), "route=/buy"),
        (kept("1.0 MiB"), "app::serve src/main.rs:8"),
        (
            "1.0 MiB".to_owned(),
            "app::serve (main.rs:8) ← app::main (main.rs:2)",
        ),
        (kept("40 B"), "route=/look"),
        (kept("40 B"), "app::serve src/main.rs:8"),
        (
            "40 B".to_owned(),
            "app::serve (main.rs:8) ← app::main (main.rs:2)",
        ),
        ("7 B".to_owned(), "in 1 more contexts"),
    ]) {
        assert!(
            row.starts_with(&figures) && row.ends_with(name),
            "{row}: {figures} {name}"
        );
    }
    let json: Value =
        serde_json::from_str(&written(|out| LeaksJson.leaks(&stacks, Some(&by), out))).unwrap();
    assert_eq!(json["schema"], "memprof-leaks/1");
    assert_eq!(
        (&json["key"], &json["lines"][0]["live"]),
        (&"route".into(), &((1 << 20) + 40).into())
    );
    let contexts = json["contexts"].as_array().unwrap();
    let live = |context: &Value| {
        (
            context["value"].clone(),
            context["lines"][0]["live"].clone(),
        )
    };
    let of_json: Vec<(Value, Value)> = contexts.iter().map(live).collect();
    let expected = [
        ("/buy".into(), (1 << 20).into()),
        ("/look".into(), 40.into()),
        (Value::Null, 7.into()),
    ];
    assert_eq!(of_json, expected);
    let csv = written(|out| LeaksCsv.leaks(&stacks, Some(&by), out));
    let rows: Vec<&str> = csv.lines().collect();
    assert!(rows[0].ends_with(",growth_standard_error,context"), "{csv}");
    assert_eq!(rows.len(), 4, "{csv}");
    assert!(
        rows[2].starts_with("src/main.rs,app::serve,8,40,40,0,1,") && rows[2].ends_with(",/look"),
        "{csv}"
    );
    // Lines are chosen in all contexts.
    by.select(&Filter {
        function: Some("idle".to_owned()),
        ..Filter::default()
    });
    assert_eq!(by.contexts.len(), 1);
    assert_eq!(by.contexts[0].value, None);
}

#[test]
fn what_is_temporary_stands_in_its_context() {
    let mut program = program(100);
    let main = program.frame(&[("app::main", 2)]);
    let look = program.builder.in_context("route", "/look");
    let stack = program.builder.stack(&[main, look]);
    program.builder.allocated(stack, 300, 3);
    program.builder.stacks[stack].temporary_bytes = 300;
    program.builder.stacks[stack].temporary_count = 3 << COUNT_FRACTION_BITS;
    let (stacks, mut by) = stacks_by_route(&program);
    by.sort_by(&[Metric::Temporary, Metric::Reallocated]);
    let text = TemporaryText {
        top: 20,
        stacks: 1,
        width: None,
    };
    let shown = written(|out| text.by_context(&stacks, &by, out));
    let head = "Context: route=/look\nTemporary: 300 B in 3 blocks, ";
    assert!(shown.starts_with(head), "{shown}");
    assert_eq!(shown.matches("Context: ").count(), 1, "{shown}");
}

#[test]
fn a_context_that_grew_too_much_fails() {
    let diff = |kept| {
        let (base, new) = (program(1000), program(kept));
        let side = |program: &Program| {
            let (profile, _) = program.profile();
            (
                program.report(Scope::User),
                context_figures(&profile, "route"),
            )
        };
        let ((base, of_base), (new, of_new)) = (side(&base), side(&new));
        let mut diff = Diff::new(base, new);
        diff.contexts = Some(PartChanges::new("route", &of_base, &of_new));
        diff.sort(Metric::Live);
        diff
    };
    let limit: Limit = "10KiB".parse().unwrap();
    assert_eq!(diff(2000).grown(Metric::Live, limit), []);
    let grown = diff(61_000).grown(Metric::Live, limit);
    let buy = GrowthItem::Part {
        of: "route".to_owned(),
        name: Some("/buy".to_owned()),
    };
    assert_eq!((grown[0].what.kind(), &grown[1].what), (Grown::Whole, &buy));
    assert!(buy.kind() > Grown::Whole && buy.kind() < Grown::Function);
    let text = DiffText {
        metric: Metric::Live,
        precision: 1,
        top: None,
    };
    let shown = written(|out| text.growths(&grown, "10KiB", out));
    assert!(
        shown.contains("+58.6 KiB  1000 B -> 59.6 KiB  route=/buy\n"),
        "{shown}"
    );
    let json = DiffJson {
        metric: Metric::Live,
        grown: Some(&grown),
    };
    let json: Value = serde_json::from_str(&written(|out| json.diff(&diff(61_000), out))).unwrap();
    assert_eq!(
        json["grown"][1]["part"],
        serde_json::json!({ "of": "route", "name": "/buy" })
    );
}

#[test]
fn a_selection_drops_what_no_stack_goes_through() {
    let program = program(1000);
    let (mut profile, _) = program.profile();
    let whole = profile.nodes.len();
    let pattern: ContextPattern = "route=(none)".parse().unwrap();
    profile.select_contexts(&[pattern]).unwrap();
    assert!(profile.nodes.len() < whole);
    let frames = |profile: &Profile| -> Vec<Option<Frame>> {
        let stack = profile.stacks[0].node as usize;
        vec![profile.nodes[stack].frame]
    };
    let idle = program.profile().0.stacks[2];
    let (all, _) = program.profile();
    assert_eq!(frames(&profile), [all.nodes[idle.node as usize].frame]);
    let mut sources = program.sources();
    let defects: Vec<Defect> = Vec::new();
    let report = Report::new(
        &profile,
        &program.symbols,
        &mut sources,
        Scope::User,
        defects,
    );
    let with_lines = report.tables.iter();
    let with_lines = with_lines.filter(|table| table.total.allocated.bytes > 0);
    assert_eq!(with_lines.count(), 2);
}

/// What the command says of `program`, whose debug information nobody has.
fn memprof(program: &Program, arguments: &[&str]) -> (Option<i32>, String, String) {
    let folder = program.folder.path();
    std::fs::write(folder.join("app.memprof"), program.builder.to_bytes()).unwrap();
    let output = std::process::Command::new(MEMPROF)
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    (output.status.code(), out, err)
}

#[test]
fn commands_take_contexts() {
    let program = program(1 << 20);
    let shown = |arguments: &[&str]| {
        let (code, out, err) = memprof(&program, arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {err}");
        out
    };
    let report = shown(&["report", "--by", "route"]);
    assert!(
        report.contains("Context: route=/look\n(40 B live"),
        "{report}"
    );
    for form in ["json", "csv"] {
        let report = shown(&["report", "--by", "route", "--format", form]);
        assert!(report.contains("/look"), "{report}");
    }
    let page = shown(&["report", "--format", "html"]);
    assert!(page.contains(r#""key":"route","value":"/look""#), "{page}");
    let tree = shown(&["tree", "--by", "route", "--of", "allocated", "--min", "0"]);
    assert!(
        tree.contains("route=/look") && tree.contains("route=(none)"),
        "{tree}"
    );
    let picture = shown(&["flamegraph", "--by", "function", "--by", "route"]);
    assert!(picture.contains("route=/buy"), "{picture}");
    for form in ["folded", "speedscope", "firefox", "dhat", "json", "csv"] {
        let export = shown(&["export", "--format", form, "--by", "route"]);
        assert!(export.contains("route=/buy"), "{form}: {export}");
    }
    let same = ["diff", "app.memprof", "app.memprof"];
    let diff = shown(&[&same[..], &["--by", "route"]].concat());
    assert!(
        diff.contains("None of them changed in any figure."),
        "{diff}"
    );
    let diff = shown(&[&same[..], &["--context", "route=/buy"]].concat());
    assert!(
        diff.contains("only what was done in the context route=/buy"),
        "{diff}"
    );
    let diff = shown(&[&same[..], &["--types"]].concat());
    assert!(diff.contains("peak, by type"), "{diff}");
    let tree = shown(&["tree", "--types", "--by", "route", "--min", "0"]);
    assert!(tree.contains("(untyped) app"), "{tree}");
    let live = ["live", "--once", "--interval", "10ms", "app.memprof"];
    let of_buy = shown(&[&live[..], &["--context", "route=/buy"]].concat());
    assert!(
        of_buy.contains("1.0 MiB") && !of_buy.contains("40 B"),
        "{of_buy}"
    );
    let to_come = shown(&[&live[..], &["--context", "route=/soon"]].concat());
    assert!(
        to_come.contains("no line is shown: the profile has no context"),
        "{to_come}"
    );

    let refused = |arguments: &[&str], why: &str| {
        let (code, _, err) = memprof(&program, arguments);
        assert_eq!(code, Some(2), "{arguments:?}");
        assert!(err.contains(why), "{err}");
    };
    refused(
        &["tree", "--context", "route=/nowhere"],
        "no context route=/nowhere; of this key it has /buy, /look",
    );
    let no_key = "no context of the key tenant; it has route";
    refused(&["leaks", "--context", "tenant=acme"], no_key);
    for view in ["report", "tree", "flamegraph"] {
        refused(&[view, "--by", "tenant"], no_key);
    }
    refused(&["export", "--format", "folded", "--by", "tenant"], no_key);
    refused(
        &["diff", "app.memprof", "app.memprof", "--by", "tenant"],
        no_key,
    );
    refused(
        &["export", "--format", "otlp", "--by", "route"],
        "has all contexts as labels",
    );
    refused(
        &["report", "--format", "html", "--by", "route"],
        "contexts are chosen",
    );
    refused(&["tree", "--by", "route", "--by", "tenant"], "of one key");
}
