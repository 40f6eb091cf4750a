//! Reports of synthetic profiles, as a user would read them.

use std::collections::HashMap;
use std::io;

use crate::synthetic::Program;
use md5::Digest;
use memprof::profile::Frame;
use memprof::render::{Column, Csv, Html, Json, Renderer, SummaryText, Text};
use memprof::report::{
    CallTree, Calls, Extent, Granularity, Limits, Lines, Metric, Report, Scope, Selection, Stacks,
    Summary, Timeline,
};
use memprof::symbolize::CodeFrame;
use serde_json::Value;

fn shown(renderer: &dyn Renderer, report: &Report) -> String {
    let mut out = Vec::new();
    renderer.report(report, &mut out).unwrap();
    anstream::adapter::strip_str(std::str::from_utf8(&out).unwrap()).to_string()
}

fn text(report: &Report) -> String {
    shown(&Text::default(), report)
}

/// Output whose reader has gone away.
struct Gone;

impl io::Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn every_renderer_says_that_its_reader_went_away() {
    // Longer than what a renderer may keep back.
    let mut program = Program::new(&format!("fn main() {{\n{}}}\n", "    a();\n".repeat(2000)));
    let frame = program.frame(&[("app::main", 2)]);
    let stack = program.builder.stack(&[frame]);
    program.builder.allocated(stack, 1 << 20, 1);
    let report = program.selected();
    let text = Text::default();
    for renderer in [&text as &dyn Renderer, &Json, &Csv] {
        let error = renderer.report(&report, &mut Gone).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}

const LISTS: &str = "\
use std::vec;

fn main() {
    let a = random_list(100_000);
    let b = random_list(100_000);
    drop(a);
    println!(\"{}\", b.len());
}

/// A list.
fn random_list(len: usize) -> Vec<i64> {
    (0..len).map(|i| i as i64).collect()
}
";

fn lists() -> Program {
    let mut program = Program::new(LISTS);
    let first = program.frame(&[("app::main", 4)]);
    let second = program.frame(&[("app::main", 5)]);
    let collect = program.frame(&[("app::random_list", 12)]);
    let dropping = program.frame(&[("app::main", 6)]);
    let hook = program.frame_of(vec![CodeFrame::new(
        "<profiler_alloc::ProfilerAlloc as core::alloc::global::GlobalAlloc>::alloc",
        "/x/profiler-alloc/src/lib.rs",
        1,
    )]);
    let a = program.builder.stack(&[hook, collect, first]);
    let b = program.builder.stack(&[hook, collect, second]);
    let dropped = program.builder.stack(&[hook, dropping]);
    program.builder.allocated(a, 800_000, 1);
    program.builder.heap_after(&[first], 800_000);
    program.builder.heap_after(&[collect, first], 800_000);
    program.builder.allocated(b, 800_000, 1);
    program.builder.heap_after(&[second], 1_600_000);
    program.builder.heap_after(&[collect, second], 1_600_000);
    program.builder.freed(dropped, a, 800_000, 1);
    program.builder.heap_after(&[dropping], 800_000);
    program
}

#[test]
fn tables_have_memory_profilers_layout() {
    insta::assert_snapshot!(text(&lists().selected()), @r##"
Filename: src/main.rs

Line #    Mem usage    Increment   Line Contents
================================================
     3                             fn main() {
     4      0.8 MiB      0.8 MiB       let a = random_list(100_000);
     5      1.5 MiB      0.8 MiB       let b = random_list(100_000);
     6      0.8 MiB     -0.8 MiB       drop(a);
     7                                 println!("{}", b.len());
     8                             }

Filename: src/main.rs

Line #    Mem usage    Increment   Line Contents
================================================
    11                             fn random_list(len: usize) -> Vec<i64> {
    12      1.5 MiB      1.5 MiB       (0..len).map(|i| i as i64).collect()
    13                             }

Sampling: exact; every allocation was recorded.
"##);
}

#[test]
fn context_leaves_marks_for_lines_that_touched_nothing() {
    let mut lines: Vec<String> = (2..14).map(|line| format!("    let a = {line};")).collect();
    lines[3] = "    let a = take(5);".to_owned();
    lines[7] = "    let a = take(9);".to_owned();
    let mut program = Program::new(&format!("fn main() {{\n{}\n}}\n", lines.join("\n")));
    for (line, mib) in [(5, 1), (9, 2)] {
        let frame = program.frame(&[("app::main", line)]);
        let stack = program.builder.stack(&[frame]);
        program.builder.allocated(stack, mib << 20, 1);
    }
    let mut report = program.report(Scope::User);
    let selection = Selection {
        lines: Lines::Context,
        ..Selection::default()
    };
    report.select(&selection).unwrap();
    // A single line is no longer than the mark.
    insta::assert_snapshot!(text(&report), @r##"
Filename: src/main.rs

Line #    Mem usage    Increment   Line Contents
================================================
     1                             fn main() {
     ⋮
     4                                 let a = 4;
     5                   1.0 MiB       let a = take(5);
     6                                 let a = 6;
     7                                 let a = 7;
     8                                 let a = 8;
     9                   2.0 MiB       let a = take(9);
    10                                 let a = 10;
     ⋮

`⋮` stands for lines that touched no memory; `--lines all` shows them.
Sampling: exact; every allocation was recorded.
"##);
}

/// A program whose `main` is below a runtime. A frame whose name is not known may be the body's as
/// well.
fn below_a_runtime() -> Program {
    let source = "#[tokio::main]\nasync fn main() {\n    let a = take();\n    drop(a);\n}\n";
    let mut program = Program::new(source);
    let runtime = program.frame(&[("app::main", 4)]);
    let body = program.frame(&[("app::main::{{closure}}", 3)]);
    let nameless = program.frame(&[("", 4)]);
    let attribute = program.frame(&[("app::main::{{closure}}", 1)]);
    for (frames, bytes) in [
        (&[body, runtime][..], 1 << 20),
        (&[body, attribute, runtime], 1 << 20),
        (&[runtime], 2048),
        (&[attribute, runtime], 1024),
        (&[nameless, runtime], 4096),
    ] {
        let stack = program.builder.stack(frames);
        program.builder.allocated(stack, bytes, 1);
    }
    program
}

/// In trees, on the page and in exports too: no stack passes by the last line of the body, where
/// the runtime runs it.
#[test]
fn stacks_pass_by_the_signature_for_what_is_around_a_body() {
    let program = below_a_runtime();
    let (profile, _) = program.profile();
    let (symbols, sources) = (&program.symbols, &mut program.sources());
    let all = Stacks::new(&profile, symbols, sources, Vec::new());
    let stacks = all.restricted(Scope::User, Granularity::Line);
    let tree = CallTree::new(&stacks, Metric::Allocated, false, Limits::default());
    let shown = tree.nodes.iter().skip(1).map(|node| {
        let frame = &stacks.frames[node.frame as usize];
        (node.depth, frame.line, node.sum.bytes, node.own)
    });
    const MIB: i64 = 1 << 20;
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [
            (1, Some(2), 2 * MIB + 7168, 2048),
            (2, Some(2), MIB + 1024, 1024),
            (3, Some(3), MIB, MIB),
            (2, Some(3), MIB, MIB),
            (2, Some(4), 4096, 4096),
        ]
    );
    let timeline = Timeline::new(&profile, Vec::new());
    let mut page = Vec::new();
    (Html::default().page(&program.selected(), &stacks, &timeline, &mut page)).unwrap();
    let page = String::from_utf8(page).unwrap();
    let (_, data) = page.split_once("id=\"data\">").expect("data");
    let (data, _) = data.split_once("</script>").expect("an end");
    let data: Value = serde_json::from_str(data).unwrap();
    let tree = data["trees"]["allocated"].as_array().unwrap().iter();
    let lines = tree.skip(1).map(|node| {
        let frame = node[0].as_u64().unwrap() as usize;
        (data["frames"][frame][2].as_i64(), node[2].as_i64())
    });
    assert_eq!(
        lines.collect::<Vec<_>>(),
        [
            (Some(2), Some(2 * MIB + 7168)),
            (Some(2), Some(MIB + 1024)),
            (Some(3), Some(MIB)),
            (Some(3), Some(MIB)),
            (Some(4), Some(4096)),
        ]
    );
    let calls = Calls::new(&profile, symbols, sources, Vec::new());
    let outermost = calls.nodes.iter().skip(1).filter(|node| node.parent == 0);
    let lines = outermost.map(|node| {
        let location = &calls.locations[node.location as usize];
        calls.frames[location.frames[0] as usize].line
    });
    assert!(lines.eq([Some(2)]), "pprof and its kin");
}

#[test]
fn what_an_attribute_does_around_a_body_is_on_the_signature() {
    insta::assert_snapshot!(text(&below_a_runtime().selected()), @r##"
Filename: src/main.rs

Line #    Mem usage    Increment   Line Contents
================================================
     2                   3.0 KiB   async fn main() {
     3                   2.0 MiB       let a = take();
     4                   4.0 KiB       drop(a);
     5                             }

Sampling: exact; every allocation was recorded.
"##);
}

/// A program of 60 functions, of which two hold nearly all.
fn many() -> Program {
    let source: String = (0..60)
        .map(|number| format!("fn f{number}() {{\n    take();\n}}\n"))
        .collect();
    let mut program = Program::new(&source);
    let main = program.frame(&[("app::f0", 2)]);
    for number in 1..60 {
        let frame = program.frame(&[(&format!("app::f{number}"), 3 * number + 2)]);
        let stack = program.builder.stack(&[frame, main]);
        let bytes = match number {
            1 => 60 << 20,
            2 => 40 << 20,
            _ => 8192,
        };
        program.builder.allocated(stack, bytes, 1);
    }
    program
}

#[test]
fn what_is_left_out_is_said_and_can_be_had() {
    let report = |selection: Selection| {
        let mut report = many().report(Scope::User);
        report.select(&selection).unwrap();
        report
    };
    let names = |report: &Report| -> Vec<String> {
        let names = report.tables.iter().map(|table| table.function.clone());
        names.collect()
    };
    let hurried = Selection {
        extent: Extent::WhatMatters,
        ..Selection::default()
    };
    let shown = report(hurried.clone());
    assert_eq!(names(&shown), ["app::f0", "app::f1", "app::f2"]);
    let said = text(&shown);
    let foot = "Left out: 57 more functions, which hold 0.4 % of the peak and 0.4 % of the bytes allocated; \
                `--all-functions` shows them.\n";
    assert!(said.contains(foot), "{said}");
    // What is asked for is shown, whatever it holds.
    let asked = [
        Selection {
            function: Some("f3".to_owned()),
            ..hurried.clone()
        },
        Selection {
            file: Some("main.rs".to_owned()),
            ..hurried.clone()
        },
        Selection {
            top: Some(33),
            ..hurried
        },
    ];
    for (selection, count) in asked.into_iter().zip([11, 60, 33]) {
        let report = report(selection);
        assert_eq!((report.tables.len(), report.left_out), (count, None));
    }
    let all = report(Selection::default());
    assert_eq!((all.tables.len(), all.left_out), (60, None));
    let own: i64 = all
        .tables
        .iter()
        .map(|table| table.own.allocated.bytes)
        .sum();
    assert_eq!(own, all.tables[0].total.allocated.bytes, "each stack once");
}

#[test]
fn more_columns_stand_before_the_source() {
    let renderer = Text {
        columns: vec![
            Column::Allocated,
            Column::Live,
            Column::AtPeak,
            Column::Count,
        ],
        precision: 3,
        width: Some(120),
    };
    let mut report = lists().report(Scope::User);
    let selection = Selection {
        function: Some("main".to_owned()),
        lines: Lines::Touched,
        ..Selection::default()
    };
    report.select(&selection).unwrap();
    insta::assert_snapshot!(shown(&renderer, &report), @r##"
Filename: src/main.rs
Function: app::main

Line #    Mem usage    Increment    Allocated         Live      At peak        Count   Line Contents
====================================================================================================
     4    0.763 MiB    0.763 MiB    0.763 MiB    0.000 MiB    0.763 MiB            1       let a = random_list(100_000);
     5    1.526 MiB    0.763 MiB    0.763 MiB    0.763 MiB    0.763 MiB            1       let b = random_list(100_000);
     6    0.763 MiB   -0.763 MiB    0.000 MiB    0.000 MiB    0.000 MiB            0       drop(a);

Sampling: exact; every allocation was recorded.
"##);
}

#[test]
fn a_stack_counts_once_for_a_recursive_line() {
    let mut program =
        Program::new("fn deep(n: u32) {\n    let _x = vec![n];\n    deep(n - 1);\n}\n");
    let allocate = program.frame(&[("app::deep", 2)]);
    let recurse = program.frame(&[("app::deep", 3)]);
    let mut path = Vec::new();
    for _ in 0..200 {
        let mut stack = path.clone();
        stack.insert(0, allocate);
        let stack = program.builder.stack(&stack);
        program.builder.allocated(stack, 10, 1);
        path.insert(0, recurse);
    }
    let report = program.selected();
    assert_eq!(report.tables.len(), 1);
    let allocated = |row: usize| {
        report.tables[0].lines[row]
            .figures
            .map(|f| f.allocated.bytes)
    };
    assert_eq!(allocated(1), Some(2000), "all levels, each once");
    assert_eq!(allocated(2), Some(1990), "all but the outermost, each once");
    assert_eq!(report.tables[0].total.allocated.bytes, 2000);
}

#[test]
fn closures_instances_and_inlined_copies_are_one_table() {
    let mut program = Program::new(
        "fn run<T>() {\n    let f = || {\n        vec![1]\n    };\n}\nfn main() {\n    run();\n}\n",
    );
    let frames = [
        program.frame(&[
            ("app::run<u8>::{{closure}}", 3),
            ("app::run<u8>", 2),
            ("app::main", 7),
        ]),
        program.frame(&[("{closure#0}<u16>", 3)]),
        program.frame(&[("run<u16>", 2)]),
    ];
    for frame in frames {
        let stack = program.builder.stack(&[frame]);
        program.builder.allocated(stack, 1 << 20, 1);
    }
    let report = program.selected();
    let tables: Vec<_> = report
        .tables
        .iter()
        .map(|t| (t.function.as_str(), t.total.allocated.bytes >> 20))
        .collect();
    assert_eq!(tables, [("app::run", 3), ("app::main", 1)]);
}

#[test]
fn an_inlined_function_gets_its_path_from_its_neighbours() {
    let mut program = Program::new("impl Tree {\n    fn new() {}\n}\nfn plant() {}\n");
    for place in [("app::garden::Tree::new", 2), ("plant<u8>", 4)] {
        let frame = program.frame(&[place]);
        let stack = program.builder.stack(&[frame]);
        program.builder.allocated(stack, 1, 1);
    }
    let report = program.selected();
    let names = report.tables.iter().map(|table| table.function.as_str());
    assert_eq!(
        names.collect::<Vec<_>>(),
        ["app::garden::Tree::new", "app::garden::plant"]
    );
}

#[test]
fn code_outside_functions_has_tables_of_its_own() {
    let mut program = Program::new(
        "static TABLE: LazyLock<Vec<u8>> = LazyLock::new(|| {\n    vec![1]\n});\n\
         #[derive(Clone)]\nstruct Big {\n    data: Vec<u8>,\n}\n\
         macro_rules! make {\n    () => { vec![2] };\n}\n",
    );
    let places = [
        ("{closure#0}", 2),
        ("<app::Big as core::clone::Clone>::clone", 6),
        ("clone", 6),
        ("app::main", 9),
    ];
    for place in places {
        let frame = program.frame(&[place]);
        let stack = program.builder.stack(&[frame]);
        program.builder.allocated(stack, 1 << 20, 1);
    }
    let report = program.selected();
    let tables = report.tables.iter().map(|table| {
        let lines: Vec<_> = table.lines.iter().filter_map(|line| line.number).collect();
        (table.function.as_str(), lines, table.total.count)
    });
    assert_eq!(
        tables.collect::<Vec<_>>(),
        [
            (
                "<app::Big as core::clone::Clone>::clone",
                vec![4, 5, 6, 7],
                2
            ),
            ("TABLE", vec![1, 2, 3], 1),
            ("make!", vec![8, 9, 10], 1),
        ]
    );
}

#[test]
fn sampled_figures_state_their_error_and_noise_is_marked() {
    let mut program = lists();
    program.builder.header.interval = 512 << 10;
    program.builder.header.interval_widest = 1 << 20;
    program.builder.stacks[1].alloc_variance = 9e10_f64.to_bits();
    let report = program.selected();
    let line = report.tables[0].lines[1].figures.unwrap();
    assert_eq!(line.increment.standard_error, 3e5);
    let text = text(&report);
    assert!(
        text.contains("     4      0.8 MiB     ~0.8 MiB       let a"),
        "{text}"
    );
    let foot: Vec<&str> = text.lines().rev().take(2).collect();
    insta::assert_snapshot!(format!("{}\n{}", foot[1], foot[0]), @r##"
Sampling: auto: every allocation at first, one in 1.0 MiB at the sparsest, one in 512.0 KiB at the end; 2 allocations and 1 frees sampled.
`~` marks figures whose standard error is above 33 %.
"##);
}

#[test]
fn dependencies_are_shown_only_on_request() {
    let mut program = lists();
    let dependency = program.frame_of(vec![CodeFrame::new(
        "serde::de::<T>::read",
        "/root/.cargo/registry/src/index.crates.io-0000/serde-1.0.0/src/de.rs",
        7,
    )]);
    let stack = program.builder.stack(&[dependency]);
    program.builder.allocated(stack, 4096, 1);
    assert_eq!(program.report(Scope::User).elsewhere.allocated.bytes, 4096);
    assert_eq!(program.report(Scope::User).tables.len(), 2);
    let mut report = program.report(Scope::All);
    let function = Some("serde".to_owned());
    report
        .select(&Selection {
            function,
            ..Selection::default()
        })
        .unwrap();
    insta::assert_snapshot!(text(&report), @r##"
Filename: serde-1.0.0/src/de.rs
Function: serde::de::read
(source not found: /root/.cargo/registry/src/index.crates.io-0000/serde-1.0.0/src/de.rs; use --source-root or --path-map)

Line #    Mem usage    Increment   Line Contents
================================================
     7                   4.0 KiB

Sampling: exact; every allocation was recorded.
"##);
}

#[test]
fn a_stripped_program_gives_addresses() {
    let mut program = Program::new("");
    for (address, mib) in [(0x1235, 1), (0x1301, 3), (0x1411, 2)] {
        let frame = Frame::new(0, address);
        program
            .symbols
            .insert(frame, vec![CodeFrame::unknown("app", frame)]);
        let stack = program.builder.stack(&[frame]);
        program.builder.allocated(stack, mib << 20, 1);
    }
    // Most first: addresses are in no order that anybody reads.
    insta::assert_snapshot!(text(&program.selected()), @r##"
Filename: /bin/app
(no line information: rows are addresses)

Line #    Mem usage    Increment   Line Contents
================================================
                         3.0 MiB   app+0x1300
                         2.0 MiB   app+0x1410
                         1.0 MiB   app+0x1234

Sampling: exact; every allocation was recorded.
"##);
}

#[test]
fn nothing_from_a_profile_or_a_source_steers_the_terminal() {
    let mut program = Program::new("fn main() {\n\t// \x1b[2J\u{202e}\n}\n");
    let main = program.frame(&[("app::main", 2)]);
    let evil = program.frame_of(vec![CodeFrame::new("\x1b]0;x\x07", "src/\x1b[31m.rs", 3)]);
    let stack = program.builder.stack(&[evil, main]);
    program.builder.allocated(stack, 1 << 20, 1);
    let report = program.selected();
    let steering = |text: &str| {
        text.chars()
            .any(|c| (c.is_control() && c != '\n') || c == '\u{202e}')
    };
    for renderer in [&Text::default() as &dyn Renderer, &Json, &Csv] {
        let mut out = Vec::new();
        renderer.report(&report, &mut out).unwrap();
        let written = String::from_utf8(out).unwrap();
        // Our own styles are the only escapes in the text, and they are gone when stripped as the
        // bytes they are.
        let ours = ["\x1b[1m", "\x1b[2m", "\x1b[0m"];
        let rest = ours
            .iter()
            .fold(written, |text, style| text.replace(style, ""));
        assert!(!steering(&rest.replace('\t', "")), "{rest:?}");
    }
    insta::assert_snapshot!(text(&report), @r##"
Filename: src/\u{1b}[31m.rs
Function: \u{1b}]0;x\u{7}
(source not found: src/\u{1b}[31m.rs; use --source-root or --path-map)

Line #    Mem usage    Increment   Line Contents
================================================
     3                   1.0 MiB

Filename: src/main.rs

Line #    Mem usage    Increment   Line Contents
================================================
     1                             fn main() {
     2                   1.0 MiB       // \u{1b}[2J\u{202e}
     3                             }

Sampling: exact; every allocation was recorded.
"##);
}

#[test]
fn json_is_versioned_and_exact() {
    let report = lists().selected();
    let json: Value = serde_json::from_str(&shown(&Json, &report)).unwrap();
    assert_eq!(json["schema"], "memprof-report/1");
    let main = &json["functions"][0];
    assert_eq!(main["name"], "app::main");
    assert_eq!(main["lines"][3]["line"], 6);
    assert_eq!(main["lines"][3]["increment"], -800_000);
    assert!(main["lines"][0].get("increment").is_none());
}

#[test]
fn csv_guards_against_formulas() {
    let mut program = Program::new("");
    let frame = program.frame_of(vec![CodeFrame::new("=cmd()", "@evil, \"quoted\".rs", 1)]);
    let stack = program.builder.stack(&[frame]);
    program.builder.allocated(stack, 5, 1);
    insta::assert_snapshot!(shown(&Csv, &program.selected()), @r##"
file,function,line,contents,mem_usage,increment,increment_standard_error,allocated,allocated_standard_error,freed,freed_standard_error,live,live_standard_error,at_peak,at_peak_standard_error,temporary,temporary_standard_error,reallocated,reallocated_standard_error,count,count_standard_error,freed_count,freed_count_standard_error,samples,verified,occurrences
"'@evil, ""quoted"".rs",'=cmd(),1,,,5,0,5,0,0,0,5,0,5,0,0,0,0,0,1,0,0,0,1,true,
"##);
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest() {
    let mut report = lists().report(Scope::User);
    let function = Some("randm_lst".to_owned());
    let error = report
        .select(&Selection {
            function,
            ..Selection::default()
        })
        .unwrap_err();
    insta::assert_snapshot!(error.to_string(), @r##"
no function matches `randm_lst`; the nearest are:
  app::random_list
  app::main
"##);
}

#[test]
fn a_leak_after_a_higher_peak_is_first_in_the_live_list() {
    let mut program = lists();
    let hook = program.frame_of(vec![CodeFrame::new("alloc::alloc", "/rustc/x/alloc.rs", 1)]);
    let leak = program.frame(&[("app::main", 7)]);
    let b = 2;
    let dropping = program.frame(&[("app::main", 6)]);
    let dropped = program.builder.stack(&[dropping]);
    program.builder.freed(dropped, b, 800_000, 1);
    let leak = program.builder.stack(&[hook, leak]);
    program.builder.allocated(leak, 12_345, 3);
    let (profile, defects) = program.profile();
    let summary = Summary::new(&profile, &program.symbols, &mut program.sources(), defects);
    let live = summary.top(1, |figures| figures.live.bytes);
    assert_eq!(
        (live[0].line, live[0].figures.live.bytes),
        (Some(7), 12_345)
    );
    let mut out = Vec::new();
    SummaryText { top: 10 }.summary(&summary, &mut out).unwrap();
    let text = anstream::adapter::strip_str(std::str::from_utf8(&out).unwrap()).to_string();
    insta::assert_snapshot!(text, @r##"
app (process 1), recording finished
  started      1970-01-01 00:00:00 UTC
  recorded     2.000 s
  allocations  5 (and 0 reallocations), 1.5 MiB (1,612,345 B)
  frees        2, 1.5 MiB (1,600,000 B)
  rate         2 allocations/s, 787.3 KiB/s
  peak         1.5 MiB (1,600,000 B) after 0.000 s
  heap in use  12.1 KiB (12,345 B) at the end, 0 B at the start

Top lines: live at the end
    12.1 KiB          12,345 B        3 blocks  src/main.rs:7  app::main

Top lines: in use at the peak
     1.5 MiB       1,600,000 B        2 blocks  src/main.rs:12  app::random_list

Top lines: allocated
     1.5 MiB       1,600,000 B        2 blocks  src/main.rs:12  app::random_list
    12.1 KiB          12,345 B        3 blocks  src/main.rs:7  app::main

Sizes of the blocks allocated
    from 4.0 KiB              3     12.1 KiB  ########################################
  from 512.0 KiB              2      1.5 MiB  ###########################

Threads
     1.5 MiB allocated       1.5 MiB freed  main

Recorder
Sampling: exact; every allocation was recorded.
Own time: 0.000 s measured; own memory: 0 B.
Stacks walked: 0 by frame pointers, 0 by unwind tables.
"##);
}

#[test]
fn a_missing_source_leaves_the_touched_lines() {
    let mut program = Program::new("");
    let frame = program.frame_of(vec![CodeFrame::new("app::gone", "/nowhere/gone.rs", 9)]);
    let stack = program.builder.stack(&[frame]);
    program.builder.allocated(stack, 3 << 20, 1);
    insta::assert_snapshot!(text(&program.selected()), @r##"
Filename: /nowhere/gone.rs
Function: app::gone
(source not found: /nowhere/gone.rs; use --source-root or --path-map)

Line #    Mem usage    Increment   Line Contents
================================================
     9                   3.0 MiB

Sampling: exact; every allocation was recorded.
"##);
}

#[test]
fn a_source_that_contradicts_an_older_program_is_said_to_have_changed() {
    let mut program = lists();
    program.builder.modules[0].modified_ns = 1;
    let said = "(source changed since the build";
    assert!(
        !text(&program.selected()).contains(said),
        "newer, and the same"
    );
    let file = program.folder.path().join("src/main.rs");
    let source = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("\n\n\n\n\n\n{source}")).unwrap();
    assert!(text(&program.selected()).contains(said));
}

/// The debug information has the MD5 of a file from DWARF 5 on; modification times count for
/// nothing then.
#[test]
fn the_digest_of_a_file_tells_whether_it_changed() {
    let mut program = lists();
    let file = program.folder.path().join("src/main.rs");
    let digest: [u8; 16] = md5::Md5::digest(std::fs::read(&file).unwrap()).into();
    let known = HashMap::from([(file.to_str().unwrap().to_owned(), digest)]);
    program.symbols.add_digests(0, known);
    let said = "(source changed since the build";
    assert!(!text(&program.selected()).contains(said));
    let edited = std::fs::read_to_string(&file).unwrap() + "// The end.\n";
    std::fs::write(&file, edited).unwrap();
    // A module that was never built is newer than every file.
    program.builder.modules[0].modified_ns = u64::MAX;
    assert!(text(&program.selected()).contains(said));
}

/// What the compiler makes for `#[global_allocator]` is on the line of the static. Where names are
/// wrong, as after `--icf=all`, it may look like a function of the program's.
#[test]
fn the_allocators_static_has_no_table() {
    let source = "#[global_allocator]\nstatic ALLOC: Mine = Mine;\n\nfn main() {\n    grow();\n}\n";
    let mut program = Program::new(source);
    let inner = program.frame(&[("app::merged_with_alloc", 2)]);
    let outer = program.frame(&[("app::main", 5)]);
    let stack = program.builder.stack(&[inner, outer]);
    program.builder.allocated(stack, 3 << 20, 1);
    let report = program.selected();
    let names: Vec<_> = report.tables.iter().map(|table| &table.function).collect();
    assert_eq!(names, ["app::main"]);
    assert_eq!(report.tables[0].total.allocated.bytes, 3 << 20);
}
