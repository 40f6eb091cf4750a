//! Every view of one profile: all agree on its totals, and no text in it does harm where it is
//! shown.

use std::fmt::Write as _;
use std::path::Path;

use crate::skip::skip;
use memprof::profile::{self, Frame, Profile, builder::Builder};
use memprof::render::{
    Base, Csv, DiffHtml, DiffText, Flamegraph, Html, Json, LeaksJson, LeaksText, Renderer,
    SummaryText, TemporaryText, Text, TimelineSvg, TimelineText, TreeText,
};
use memprof::report::diff::Diff;
use memprof::report::{
    CallTree, Filter, Granularity, Limits, Metric, OUTSIDE, Report, Scope, Selection, Stacks,
    Summary, Timeline,
};
use memprof::source::{Places, Sources};
use memprof::symbolize::{CodeFrame, Pattern, Symbols};
use profiler_alloc_format::Point;
use serde_json::Value;

/// Text that would steer a terminal, end an element, begin a script, or pass for something else.
const HOSTILE: [&str; 30] = [
    "\x1b[2J\x1b[31mred",
    "\x1b]0;title\x07",
    "\u{9b}31m",
    "\u{202e}txt.exe",
    "\u{2066}hidden\u{2069}",
    "a\r\nb",
    "a\0b",
    "\u{7f}\u{8}",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]><svg onload=alert(1)>",
    "<img src=x onerror=alert(1)>",
    "\"><b onclick=\"alert(1)\">",
    "'); alert('1",
    "&lt;b&gt; &amp; &#60;",
    "{csp}{data}{script}",
    "javascript:alert(1)",
    "a;b;c 1 2 3",
    "f 99999",
    "=HYPERLINK(\"http://x\")",
    "+1+1",
    "@SUM(A1)",
    "a,b\"c\n\"d",
    "\u{2028}\u{2029}",
    "\u{fffe}\u{ffff}",
    "\u{feff}bom",
    "\\u003c/script\\u003e",
    "${alert(1)}`",
    "日本語 größe 🦀",
    "../../../../etc/passwd",
];

struct Views {
    report: Report,
    stacks: Stacks,
    all: Stacks,
    summary: Summary,
    timeline: Timeline,
}

fn views(profile: &Profile, symbols: &Symbols) -> Views {
    let mut sources = Sources::new(Places::default());
    let mut report = Report::new(profile, symbols, &mut sources, Scope::User, Vec::new());
    (report.select(&Selection::default())).expect("nothing was asked for");
    let all = Stacks::new(profile, symbols, &mut sources, Vec::new());
    Views {
        report,
        stacks: all.restricted(Scope::User, Granularity::Line),
        all,
        summary: Summary::new(profile, symbols, &mut sources, Vec::new()),
        timeline: Timeline::new(profile, Vec::new()),
    }
}

/// Two functions and std below them; some blocks are freed, some at once, some live.
fn sample() -> (Profile, Symbols) {
    let mut builder = Builder::new();
    builder.module("/bin/app");
    let frame = |address| Frame::new(0, address);
    let mut symbols = Symbols::default();
    let file = "/home/me/app/src/main.rs";
    symbols.insert(frame(1), vec![CodeFrame::new("app::main", file, 3)]);
    symbols.insert(frame(2), vec![CodeFrame::new("app::load", file, 10)]);
    symbols.insert(frame(3), vec![CodeFrame::new("app::keep", file, 20)]);
    let std = "/rustc/abc/library/alloc/src/vec/mod.rs";
    symbols.insert(frame(4), vec![CodeFrame::new("alloc::vec::push", std, 5)]);
    symbols.insert(frame(5), vec![CodeFrame::new("std::rt::start", std, 9)]);
    let load = builder.stack(&[frame(4), frame(2), frame(1), frame(5)]);
    let keep = builder.stack(&[frame(3), frame(1), frame(5)]);
    let outside = builder.stack(&[frame(4), frame(5)]);
    builder.allocated(keep, 40 << 10, 4);
    builder.allocated(load, 8 << 20, 100);
    builder.freed(load, load, 6 << 20, 80);
    builder.allocated(outside, 5000, 5);
    builder.stacks[load].temporary_bytes = 1 << 20;
    builder.stacks[load].temporary_count = 10 << 16;
    builder.stacks[load].realloc_bytes = 2 << 20;
    builder.stacks[load].realloc_count = 7 << 16;
    builder.header.own_bytes = 86 << 20;
    builder.header.peak_ns = 400_000_000;
    builder.header.final_ns = 1_000_000_000;
    for (time_ns, heap) in [(1, 0_u64), (300_000_000, 3 << 20), (900_000_000, 2 << 20)] {
        builder.timeline.push(Point {
            time_ns,
            heap,
            rss: Point::rss_of(heap + (6 << 20), 4 << 20),
            alloc_bytes: heap,
        });
    }
    builder.stacks[keep].first_ms = 101;
    builder.stacks[keep].last_ns = 900_000_001;
    for (number, (name, last_ns)) in [("app::load", 500_000_001), ("app::keep", 0)]
        .iter()
        .enumerate()
    {
        let function = builder.profiled(name, "src/main.rs", (10, 20));
        builder.share(function, &[(10, 3, 0, 0)]);
        builder.functions[function].first_ns = 200_000_001 + 700_000_000 * number as u64;
        builder.shares[function].last_ns = *last_ns;
    }
    let (profile, defects) = profile::parse("x".as_ref(), builder.to_input()).unwrap();
    assert!(defects.is_empty());
    (profile, symbols)
}

fn text(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).expect("written to memory");
    String::from_utf8(out).expect("UTF-8")
}

/// The data of a page.
fn page_data(page: &str) -> Value {
    let (_, behind) = page.split_once("id=\"data\">").expect("data");
    let (data, _) = behind.split_once("</script>").expect("an end");
    serde_json::from_str(data).expect("JSON")
}

/// A program that is a shell over libraries, and threads of one of these that never come by the
/// program's own source.
fn shell(own: &str) -> (Profile, Symbols) {
    let mut builder = Builder::new();
    builder.module("/bin/jaq");
    let frame = |address| Frame::new(0, address);
    let mut symbols = Symbols::default();
    symbols.set_own(Pattern::list(own));
    let registry = "/home/me/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f";
    for (address, function, file, line) in [
        (1, "jaq::main", "/home/me/jaq/src/main.rs".to_owned(), 3),
        (
            2,
            "jaq_core::load::parse",
            format!("{registry}/jaq-core-3.1.0/src/load.rs"),
            10,
        ),
        (
            3,
            "jaq_core::load::lex",
            format!("{registry}/jaq-core-3.1.0/src/lex.rs"),
            20,
        ),
        (
            4,
            "rayon_core::registry::run",
            format!("{registry}/rayon-core-1.12.1/src/registry.rs"),
            30,
        ),
        (
            5,
            "rayon_core::job::execute",
            format!("{registry}/rayon-core-1.12.1/src/job.rs"),
            40,
        ),
        (
            6,
            "alloc::vec::push",
            "/rustc/abc/library/alloc/src/vec/mod.rs".to_owned(),
            50,
        ),
        (
            7,
            "std::thread::start",
            "/rustc/abc/library/std/src/thread.rs".to_owned(),
            60,
        ),
    ] {
        symbols.insert(frame(address), vec![CodeFrame::new(function, &file, line)]);
    }
    let lex = builder.stack(&[frame(6), frame(3), frame(2), frame(1)]);
    let parse = builder.stack(&[frame(2), frame(1)]);
    let worker = builder.stack(&[frame(6), frame(5), frame(4), frame(7)]);
    builder.allocated(lex, 3000, 3);
    builder.allocated(parse, 2000, 2);
    builder.allocated(worker, 500, 1);
    let (profile, defects) = profile::parse("x".as_ref(), builder.to_input()).unwrap();
    assert!(defects.is_empty());
    (profile, symbols)
}

fn leaks_of(stacks: &Stacks, width: Option<usize>) -> String {
    let view = LeaksText {
        top: 9,
        stacks: 1,
        width,
    };
    let shown = text(|out| view.leaks(stacks, out));
    anstream::adapter::strip_str(&shown).to_string()
}

#[test]
fn a_leak_that_no_sample_tells_of_is_said_above_the_list() {
    let (profile, symbols) = sample();
    let with = |interval: u64| {
        let mut profile = profile.clone();
        profile.header.interval = interval;
        profile.header.interval_widest = interval;
        profile.timeline = (1..=100)
            .map(|second| Point {
                time_ns: second * 1_000_000_000,
                heap: second * 1024,
                rss: 0,
                alloc_bytes: 0,
            })
            .collect();
        let mut sources = Sources::new(Default::default());
        let stacks = Stacks::new(&profile, &symbols, &mut sources, Vec::new());
        let json = text(|out| LeaksJson.leaks(&stacks, None, out));
        let json: Value = serde_json::from_str(&json).expect("JSON");
        (leaks_of(&stacks, None), json["heap_growth"].clone())
    };
    let (shown, json) = with(512 << 10);
    let said = "The heap grew steadily, by 50.0 KiB in 50.000 s (1.0 KiB/s): that is counted, but \
                the lines below may have no sample of it, as one in 512.0 KiB is sampled. A \
                longer run shows whose it is, or one with `--sample 4KiB`.";
    assert_eq!(shown.lines().nth(1), Some(said));
    let span_ns = 50_000_000_000_u64;
    let expected = serde_json::json!({
        "bytes": 50 << 10, "span_ns": span_ns, "sample_to_show": 4096
    });
    assert_eq!(json, expected);
    let (shown, json) = with(16 << 10);
    assert!(!shown.contains("grew steadily"), "{shown}");
    assert!(json["sample_to_show"].is_null(), "{json}");
}

#[test]
fn what_the_user_calls_their_own_has_lines_everywhere() {
    let lines = |own: &str| -> Vec<(String, i64)> {
        let (profile, symbols) = shell(own);
        let views = views(&profile, &symbols);
        let sites = views.stacks.sites().into_iter();
        let mut lines: Vec<(String, i64)> = sites
            .map(|site| {
                let frame = &views.stacks.frames[site.frame as usize];
                (frame.function.clone(), site.figures.live.bytes)
            })
            .collect();
        lines.sort();
        let summary = views.summary.lines.iter();
        let mut summed: Vec<(String, i64)> = summary
            .map(|line| (line.function.clone(), line.figures.live.bytes))
            .chain([(OUTSIDE.to_owned(), views.summary.elsewhere.live.bytes)])
            .filter(|&(_, bytes)| bytes != 0)
            .collect();
        summed.sort();
        assert_eq!(lines, summed);
        let tables = views.report.tables.iter();
        assert!(lines.iter().all(|(function, _)| function == OUTSIDE
            || tables.clone().any(|table| table.function == *function)));
        lines
    };
    let line = |function: &str, bytes| (function.to_owned(), bytes);
    assert_eq!(lines(""), [line(OUTSIDE, 500), line("jaq::main", 5000)]);
    let libraries = [
        line("jaq_core::load::lex", 3000),
        line("jaq_core::load::parse", 2000),
    ];
    for own in ["jaq*", "jaq-core", "serde,jaq_core", "/jaq-core-3"] {
        assert_eq!(lines(own)[1..], libraries, "{own}");
    }
    let own = lines("jaq-core,rayon*,alloc");
    assert_eq!(
        own,
        [
            line("alloc::vec::push", 3500),
            line("jaq_core::load::parse", 2000)
        ]
    );
}

#[test]
fn stacks_outside_of_the_own_source_show_the_crates_they_go_through() {
    let (profile, symbols) = shell("");
    let views = views(&profile, &symbols);
    let outside = views
        .stacks
        .stacks
        .iter()
        .find(|stack| stack.figures.live.bytes == 500);
    let path = views.stacks.path(outside.unwrap().node);
    let path: Vec<&str> = path.map(|frame| frame.function.as_str()).collect();
    let expected = [
        "alloc::vec::push",
        "rayon_core::registry::run",
        "std::thread::start",
        OUTSIDE,
    ];
    assert_eq!(path, expected);
    let leaks = leaks_of(&views.stacks, None);
    let stack = "500 B  alloc::vec::push (mod.rs:50) ← rayon_core::registry::run (registry.rs:30) ← std::thread::start (thread.rs:60)\n";
    assert!(leaks.contains(stack), "{leaks}");
}

#[test]
fn a_stack_that_is_too_long_for_the_terminal_has_a_line_for_each_frame() {
    let (profile, symbols) = shell("");
    let views = views(&profile, &symbols);
    let wide = leaks_of(&views.stacks, Some(200));
    assert!(wide.contains("(mod.rs:50) ← rayon_core"), "{wide}");
    let narrow = leaks_of(&views.stacks, Some(64));
    let frames = "
                    500 B  alloc::vec::push (mod.rs:50)
                           ← rayon_…gistry::run (registry.rs:30)
                           ← std::thread::start (thread.rs:60)
";
    assert!(narrow.contains(frames), "{narrow}");
}

#[test]
fn lists_keep_the_lines_that_are_asked_for() {
    let (profile, symbols) = shell("jaq*");
    let mut stacks = views(&profile, &symbols).stacks;
    let filter = |file: Option<&str>, function: Option<&str>| Filter {
        file: file.map(str::to_owned),
        function: function.map(str::to_owned),
    };
    stacks.select(&filter(Some("load.rs"), None)).unwrap();
    let leaks = leaks_of(&stacks, None);
    assert!(
        leaks.contains("jaq_core::load::parse") && !leaks.contains("load::lex"),
        "{leaks}"
    );
    let error = stacks.select(&filter(None, Some("prase"))).unwrap_err();
    assert!(
        error.to_string().contains("jaq_core::load::parse"),
        "{error}"
    );

    let mut summary = views(&profile, &symbols).summary;
    summary.select(&filter(None, Some("lex"))).unwrap();
    assert_eq!(summary.lines.len(), 1);
    // With the lines of all code, the innermost of all counts.
    let all = views(&profile, &symbols).all;
    assert!(
        leaks_of(&all, None).contains("alloc::vec::push  "),
        "{}",
        leaks_of(&all, None)
    );
}

#[test]
fn all_views_agree_on_the_totals() {
    let (profile, symbols) = sample();
    let views = views(&profile, &symbols);
    let (peak, live, allocated) = (8_429_568, 2_143_112, 8_434_568);
    // From the stacks, whole and restricted, downwards and upwards.
    for stacks in [&views.all, &views.stacks] {
        for inverted in [false, true] {
            for (metric, expected) in [
                (Metric::Peak, peak),
                (Metric::Live, live),
                (Metric::Allocated, allocated),
                (Metric::Freed, 6 << 20),
                (Metric::Temporary, 1 << 20),
                (Metric::Reallocated, 2 << 20),
                (Metric::Count, 109),
            ] {
                let tree = CallTree::new(stacks, metric, inverted, Limits::default());
                assert_eq!(tree.whole(), expected, "{metric:?} {inverted}");
                let own: i64 = tree.nodes.iter().map(|node| node.own).sum();
                assert_eq!(own, expected, "{metric:?} {inverted}");
                let svg = text(|out| Flamegraph.svg(stacks, &tree, out));
                let unit = if metric == Metric::Count {
                    "blocks"
                } else {
                    "bytes"
                };
                let with_commas = memprof::units::Count(expected as u64);
                assert!(
                    svg.contains(&format!("({with_commas} {unit}, 100%)")),
                    "{metric:?}"
                );
            }
        }
    }
    // By line, each stack once.
    let sites = views.stacks.sites();
    let sum = |of: Metric| -> i64 { sites.iter().map(|s| of.of(&s.figures).bytes).sum() };
    assert_eq!(
        (sum(Metric::Live), sum(Metric::Allocated)),
        (live, allocated)
    );
    let top: i64 = (views.summary.lines.iter())
        .map(|line| line.figures.allocated.bytes)
        .sum();
    assert_eq!(top + views.summary.elsewhere.allocated.bytes, allocated);
    // By function: `main` is on every stack of the program's own.
    let main = &views
        .report
        .tables
        .iter()
        .find(|t| t.function == "app::main");
    let main = main.expect("a table").total.allocated.bytes;
    assert_eq!(main + views.report.elsewhere.allocated.bytes, allocated);
    // The exact counters say the same, and so does every rendering.
    assert_eq!(profile.counters().alloc_bytes as i64, allocated);
    assert_eq!(profile.heap(), live);
    assert_eq!(profile.peak(), peak.max(live));
    let json = text(|out| Json.report(&views.report, out));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["recording"]["counters"]["alloc_bytes"], allocated);
    let page = text(|out| Html::default().page(&views.report, &views.stacks, &views.timeline, out));
    let data = page_data(&page);
    assert_eq!(data["about"]["allocated"], allocated);
    for (metric, expected) in [("peak", peak), ("live", live), ("allocated", allocated)] {
        assert_eq!(data["trees"][metric][0][2], expected, "{metric}");
    }
    let leaks = LeaksText {
        top: 9,
        stacks: 2,
        width: None,
    };
    let leaks = text(|out| leaks.leaks(&views.stacks, out));
    assert!(
        leaks.contains("Live at the end: 2.0 MiB in 29 blocks, of 8.0 MiB"),
        "{leaks}"
    );
    // In four blocks of 10 KiB from 0.1 s to 0.9 s of 1 s.
    let age = leaks
        .lines()
        .find(|line| line.contains("app::keep"))
        .unwrap();
    assert!(
        age.contains("0.900 s    0.100 s        +40.0 KiB/s"),
        "{leaks}"
    );
    let load = leaks
        .lines()
        .find(|line| line.contains("app::load"))
        .unwrap();
    assert!(
        !load.contains(" s "),
        "a recorder that did not say: {leaks}"
    );
    let temporary = TemporaryText {
        top: 9,
        stacks: 2,
        width: None,
    };
    let temporary = text(|out| temporary.temporary(&views.stacks, out));
    assert!(
        temporary.contains("Temporary: 1.0 MiB in 10 blocks"),
        "{temporary}"
    );
    assert!(
        temporary.contains("2.0 MiB in 7 reallocations"),
        "{temporary}"
    );
    let summary = text(|out| SummaryText { top: 9 }.summary(&views.summary, out));
    assert!(summary.contains("8.0 MiB (8,434,568 B)"), "{summary}");
    let plot = text(|out| TimelineText::default().timeline(&views.timeline, out));
    assert!(
        plot.contains("heap 2.0 MiB, peak 8.0 MiB at 0.400 s"),
        "{plot}"
    );
    let spans: Vec<_> = (views.timeline.spans.iter())
        .map(|span| (&*span.function, span.first_ns, span.last_ns, span.calls))
        .collect();
    let ms = 1_000_000;
    let expected = [
        ("app::load", 200 * ms, 500 * ms, 3),
        // A call of which no end is known.
        ("app::keep", 900 * ms, 900 * ms, 3),
    ];
    assert_eq!(spans, expected);
    assert!(plot.contains("╡ app::load (3 calls)"), "{plot}");
    assert!(plot.contains("app::keep (3 calls) ╪"), "{plot}");
    // What of the RSS is not the program's is said wherever RSS is drawn.
    let own = "recorder&#39;s own memory too, which the heap does not: at the end up to 86.0 MiB";
    assert!(plot.contains(&own.replace("&#39;", "'")), "{plot}");
    // And where it may be is drawn apart: of 9.0 MiB, down to 5.0 MiB.
    let legend = "█  heap in use; ·  RSS; ░  part of it that may be the recorder's; ▼  peak";
    assert!(plot.lines().any(|line| line == legend), "{plot}");
    assert!(
        plot.lines().filter(|line| line.contains('░')).count() > 3,
        "{plot}"
    );
    let mib = |mib: i64| mib << 20;
    let on_page = serde_json::json!([300 * ms - 1, mib(3), mib(9), mib(5)]);
    let points = data["timeline"]["points"].as_array().unwrap();
    assert!(points.contains(&on_page), "{points:?}");
    let notes = data["notes"].to_string();
    assert!(notes.contains(&own.replace("&#39;", "'")), "{notes}");
    let on_page = serde_json::json!([200 * ms, 500 * ms, "app::load (3 calls)"]);
    assert_eq!(data["timeline"]["spans"][0], on_page);
    let svg = text(|out| TimelineSvg.svg(&views.timeline, out));
    assert!(svg.contains(">app::load (3 calls)</text>"), "{svg}");
    assert!(svg.contains("own memory too"), "{svg}");
    assert!(svg.contains("at most the recorder's</text>"), "{svg}");
    assert!(svg.contains(r##"Z" fill="#c2571a""##), "{svg}");
    assert!(
        svg.contains("heap at the end 2.0 MiB, peak 8.0 MiB at 0.400 s"),
        "{svg}"
    );
}

#[test]
fn a_tree_reads_downwards_and_upwards() {
    let (profile, symbols) = sample();
    let views = views(&profile, &symbols);
    let tree = CallTree::new(&views.stacks, Metric::Live, false, Limits::default());
    let shown = text(|out| TreeText::default().tree(&views.stacks, &tree, out));
    let expected = "\
Bytes in use at the end: 2.0 MiB; callees below their callers

       Total   Share         Self
     2.0 MiB   99.8%               app::main  /home/me/app/src/main.rs:3
     2.0 MiB   97.9%               ├─ app::load  /home/me/app/src/main.rs:10
     2.0 MiB   97.9%      2.0 MiB  │  alloc::vec::push  mod.rs:5
    40.0 KiB    1.9%     40.0 KiB  └─ app::keep  /home/me/app/src/main.rs:20
     4.9 KiB    0.2%               (outside the program's own source)
     4.9 KiB    0.2%      4.9 KiB  std::rt::start  mod.rs:9

Sampling: exact; every allocation was recorded.
";
    let plain = anstream_free(&shown);
    // An only child has no branch; two at the top have.
    let flat = |text: &str| text.replace(['├', '└', '│', '─'], " ");
    let words =
        |text: &str| -> Vec<String> { flat(text).split_whitespace().map(str::to_owned).collect() };
    assert_eq!(words(&plain), words(expected), "{plain}");
    let least = Limits {
        min_share: 0.05,
        ..Limits::default()
    };
    let inverted = CallTree::new(&views.all, Metric::Live, true, least);
    let shown = text(|out| TreeText::default().tree(&views.all, &inverted, out));
    assert!(
        shown.contains("2 smaller parts, 2.1 % of the whole, are not shown apart"),
        "{shown}"
    );
    let names: Vec<&str> = (inverted.nodes.iter().skip(1))
        .map(|node| views.all.frames[node.frame as usize].function.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "alloc::vec::push",
            "app::load",
            "app::main",
            "std::rt::start"
        ]
    );
}

/// What the recorder could not keep is on every view, the page included, with its reason; and
/// nothing else is.
#[test]
fn losses_are_on_every_view_with_their_reasons() {
    let (mut profile, symbols) = sample();
    let lost_on = |profile: &Profile| {
        let views = views(profile, &symbols);
        let tree = CallTree::new(&views.stacks, Metric::Live, false, Limits::default());
        let page =
            text(|out| Html::default().page(&views.report, &views.stacks, &views.timeline, out));
        let notes = page_data(&page)["notes"].clone();
        let notes: Vec<String> = serde_json::from_value(notes).expect("texts");
        let shown = [
            text(|out| Text::default().report(&views.report, out)),
            text(|out| TreeText::default().tree(&views.stacks, &tree, out)),
            text(|out| SummaryText { top: 9 }.summary(&views.summary, out)),
            leaks_of(&views.stacks, None),
            notes.join("\n"),
        ];
        shown.map(|view| -> Vec<String> {
            let plain = anstream_free(&view);
            let lines = plain.lines().map(|line| line.trim().to_owned());
            let lost = lines.filter_map(|line| Some(line.strip_prefix("Lost: ")?.to_owned()));
            let lost: Vec<String> = lost.collect();
            // What has losses is not called exact.
            let is_called_exact = plain.contains("Sampling: exact");
            assert!(lost.is_empty() || !is_called_exact, "{plain}");
            lost
        })
    };
    assert!(lost_on(&profile).iter().all(Vec::is_empty));
    let header = &mut profile.header;
    header.lost_starts = 5;
    header.lost_in_run_time_code = 20;
    header.lost_on_other_stack = 300;
    header.lost_without_table = 4000;
    // One of which no reason is known.
    header.lost_outer_frames = 1 + 20 + 300 + 4000;
    for lost in lost_on(&profile) {
        assert_eq!(
            lost,
            [
                "5 samples without a stack, as the program has no unwind tables where it allocates \
                 (-C force-unwind-tables=yes makes them).",
                "20 stacks end in code made at run time: the lines that called it are not credited.",
                "300 stacks end on a stack of their own, as of a coroutine: the lines that resumed it \
                 are not credited.",
                "4,000 stacks end in code without unwind tables: the lines that called it are not \
                 credited.",
                "1 stacks whose outer end could not be walked.",
            ]
        );
    }
}

/// `text` without colours.
fn anstream_free(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('\x1b') {
        plain.push_str(before);
        rest = behind.split_once('m').map_or("", |(_, rest)| rest);
    }
    plain + rest
}

/// A profile all of whose names are `name`.
fn hostile(name: &str) -> (Profile, Symbols) {
    let mut builder = Builder::new();
    builder.module(Path::new("/bin").join(name.replace('\0', "")));
    let mut thread = [0; 16];
    let bytes = name.as_bytes();
    let len = bytes.len().min(16);
    thread[..len].copy_from_slice(&bytes[..len]);
    builder.threads[0].name = [
        u64::from_le_bytes(thread[..8].try_into().unwrap()),
        u64::from_le_bytes(thread[8..].try_into().unwrap()),
    ];
    let mut symbols = Symbols::default();
    for (address, file) in [(1, format!("/h/{name}.rs")), (2, name.to_owned())] {
        let code = CodeFrame::new(name, &file, 7);
        symbols.insert(Frame::new(0, address), vec![code]);
    }
    let stack = builder.stack(&[Frame::new(0, 2), Frame::new(0, 1)]);
    builder.allocated(stack, 1000, 1);
    let stack = builder.stack(&[Frame::new(0, 1)]);
    builder.allocated(stack, 500, 1);
    let function = builder.profiled(name, "src/main.rs", (1, 9));
    builder.share(function, &[(1, 1, 0, 0)]);
    builder.functions[function].first_ns = 1;
    builder.stacks[stack].temporary_bytes = 100;
    builder.header.final_ns = 1000;
    let (profile, _) = profile::parse(name.as_ref(), builder.to_input()).unwrap();
    (profile, symbols)
}

fn steers(char: char) -> bool {
    (char.is_control() && char != '\n')
        || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

#[test]
fn nothing_in_a_profile_does_harm_where_it_is_shown() {
    for name in HOSTILE {
        let (profile, symbols) = hostile(name);
        let views = views(&profile, &symbols);
        let mut shown = String::new();
        let diff = Diff::new(views.report.clone(), views.report.clone());
        let tree = CallTree::new(&views.stacks, Metric::Live, false, Limits::default());
        let upwards = CallTree::new(&views.stacks, Metric::Live, true, Limits::default());
        for part in [
            text(|out| Text::default().report(&views.report, out)),
            text(|out| SummaryText { top: 9 }.summary(&views.summary, out)),
            text(|out| TreeText::default().tree(&views.stacks, &tree, out)),
            text(|out| TreeText { width: Some(60) }.tree(&views.stacks, &upwards, out)),
            text(|out| {
                LeaksText {
                    top: 9,
                    stacks: 3,
                    width: None,
                }
                .leaks(&views.stacks, out)
            }),
            text(|out| {
                TemporaryText {
                    top: 9,
                    stacks: 3,
                    width: None,
                }
                .temporary(&views.stacks, out)
            }),
            text(|out| TimelineText::default().timeline(&views.timeline, out)),
            text(|out| Json.report(&views.report, out)),
            text(|out| Json.summary(&views.summary, out)),
            text(|out| DiffText::default().diff(&diff, out)),
        ] {
            let _ = write!(shown, "{}", anstream_free(&part));
        }
        assert!(!shown.contains(steers), "{name:?} in text");
        assert!(shown.is_ascii() || !name.is_ascii() || shown.contains('█') || shown.contains('└'));
        let csv = text(|out| Csv.report(&views.report, out));
        let rows = csv::ReaderBuilder::new()
            .from_reader(csv.as_bytes())
            .into_records()
            .count();
        assert!(rows >= 1, "{name:?} in CSV");

        let base = Base {
            stacks: &views.stacks,
            tree: &tree,
        };
        for svg in [
            text(|out| Flamegraph.svg(&views.stacks, &tree, out)),
            text(|out| Flamegraph.svg(&views.stacks, &upwards, out)),
            text(|out| Flamegraph.svg_with_base((&views.stacks, &tree), base, out)),
            text(|out| TimelineSvg.svg(&views.timeline, out)),
        ] {
            let options = roxmltree::ParsingOptions {
                allow_dtd: true,
                ..roxmltree::ParsingOptions::default()
            };
            let parsed = roxmltree::Document::parse_with_options(&svg, options);
            let parsed = parsed.unwrap_or_else(|error| panic!("{name:?}: {error}"));
            let scripts = parsed
                .descendants()
                .filter(|node| node.has_tag_name("script"))
                .count();
            assert!(scripts <= 1, "{name:?} made a script");
            let strange = ["img", "b"];
            let found = parsed
                .descendants()
                .find(|node| strange.contains(&node.tag_name().name()));
            assert!(found.is_none(), "{name:?} made an element");
        }

        let page =
            text(|out| Html::default().page(&views.report, &views.stacks, &views.timeline, out));
        for page in [&page, &text(|out| DiffHtml::default().page(&diff, out))] {
            assert_eq!(page.matches("<script").count(), 2, "{name:?} made a script");
            assert_eq!(
                page.matches("</script").count(),
                2,
                "{name:?} ended a script"
            );
            assert!(!page.contains(steers), "{name:?} in the page");
        }
        let data = page_data(&page);
        assert_eq!(
            data["tables"].as_array().map(Vec::len),
            Some(views.report.tables.len())
        );
    }
}

#[test]
fn the_png_is_the_picture() {
    let (profile, symbols) = sample();
    let views = views(&profile, &symbols);
    let mut png = Vec::new();
    let has_text = TimelineSvg.png(&views.timeline, &mut png).unwrap();
    if !has_text {
        skip("text in PNG: no fonts (apt-get install fonts-dejavu-core)");
    }
    assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
    let width = u32::from_be_bytes(png[16..20].try_into().unwrap());
    assert_eq!(width, 2000);
}
