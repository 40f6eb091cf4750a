//! No bytes, wherever they come from, make the analyst panic, hang or eat the machine's memory.

use std::io::{self, Cursor, Read};
use std::path::Path;

use crate::inert;
use crate::inert::STRINGS;
use memprof::export::{Dhat, Firefox, Folded, Otlp, Pprof, Speedscope, StacksCsv, StacksJson};
use memprof::profile::{self, Frame, Profile, builder::Builder};
use memprof::render::{
    Base, Column, Csv, DiffHtml, Flamegraph, Html, Json, LeaksText, Renderer, SummaryText,
    TemporaryText, Text, TimelineSvg, TimelineText, TreeText,
};
use memprof::report::diff::Diff;
use memprof::report::{
    CallTree, Calls, Granularity, Limits, Metric, Report, Scope, Selection, Sort, Stacks, Summary,
    Timeline,
};
use memprof::source::{Places, Sources};
use memprof::symbolize::{self, Symbols, symbolize};
use proptest::prelude::*;
use proptest::sample::Index;

const HEADER: usize = profiler_alloc_format::HEADER_LEN;
const CHUNK: usize = profiler_alloc_format::CHUNK_LEN;

fn profile() -> Vec<u8> {
    let mut builder = Builder::new();
    // A module that is a file, but no program.
    builder.module(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
    builder.module("/nowhere/lib.so");
    for address in 1..20 {
        let caller = Frame::new((address % 3) as u16, address * 7);
        let stack = builder.stack(&[Frame::new(0, address), caller]);
        builder.allocated(stack, address * 1000, address);
        builder.heap_after(&[caller], 5);
    }
    builder.header.state = profiler_alloc_format::STATE_RECORDING;
    for number in 0..5 {
        let function = builder.profiled("app::f", "src/lib.rs", (3, 9));
        builder.share(function, &[(3, 1, 0, 0), (5, number, 900, 1), (9, 0, 0, 7)]);
        let share = &mut builder.shares[function];
        share.open = u64::from(number % 2 == 0) << 32 | number;
        builder.lines[function].suspended = 1;
    }
    builder.threads.push(builder.threads[0]);
    builder.to_bytes()
}

/// Does everything that the commands do with a profile.
fn show_everything(bytes: &[u8]) {
    let Ok((profile, defects)) = profile::parse("x.memprof".as_ref(), Cursor::new(bytes)) else {
        return;
    };
    let force = symbolize::SymbolizeOptions {
        force: true,
        ..symbolize::SymbolizeOptions::default()
    };
    let (symbols, more) = symbolize(&profile, &force).expect("forced");
    let defects = [defects, more].concat();
    let mut sources = Sources::new(Places::default());
    let mut report = Report::new(
        &profile,
        &symbols,
        &mut sources,
        Scope::All,
        defects.clone(),
    );
    let selection = Selection {
        sort: Sort::Increment,
        ..Selection::default()
    };
    report.select(&selection).expect("nothing was asked for");
    let text = Text {
        columns: vec![Column::Temporary, Column::Count, Column::Occurrences],
        precision: 9,
        width: Some(20),
    };
    for renderer in [&text as &dyn Renderer, &Json, &Csv] {
        renderer.report(&report, &mut io::sink()).expect("written");
    }
    views(&profile, &symbols, &mut sources, &report);
    let exact = Report::exact(&profile, &mut sources, defects.clone());
    for renderer in [&text as &dyn Renderer, &Json, &Csv] {
        renderer.report(&exact, &mut io::sink()).expect("written");
    }
    let summary = Summary::new(&profile, &symbols, &mut sources, defects);
    (SummaryText { top: 3 }.summary(&summary, &mut io::sink())).expect("written");
    Json.summary(&summary, &mut io::sink()).expect("written");
}

fn views(profile: &Profile, symbols: &Symbols, sources: &mut Sources, report: &Report) {
    let out = &mut io::sink();
    let all = Stacks::new(profile, symbols, sources, Vec::new());
    let stacks = all.restricted(Scope::User, Granularity::Function);
    for metric in [Metric::Peak, Metric::Temporary, Metric::Count] {
        for (stacks, inverted) in [(&all, false), (&stacks, true)] {
            let tree = CallTree::new(stacks, metric, inverted, Limits::default());
            (TreeText { width: Some(60) }.tree(stacks, &tree, out)).expect("written");
            Flamegraph.svg(stacks, &tree, out).expect("written");
            let base = Base {
                stacks,
                tree: &tree,
            };
            (Flamegraph.svg_with_base((stacks, &tree), base, out)).expect("written");
        }
    }
    (LeaksText {
        top: 3,
        stacks: 2,
        width: None,
    }
    .leaks(&stacks, out))
    .expect("written");
    (TemporaryText {
        top: 3,
        stacks: 2,
        width: None,
    }
    .temporary(&stacks, out))
    .expect("written");
    let timeline = Timeline::new(profile, Vec::new());
    (TimelineText::default().timeline(&timeline, out)).expect("written");
    TimelineSvg.svg(&timeline, out).expect("written");
    (Html::default().page(report, &stacks, &timeline, out)).expect("written");
    let mut diff = Diff::new(report.clone(), report.clone());
    diff.sort(Metric::Peak);
    DiffHtml::default().page(&diff, out).expect("written");
}

proptest! {
    #[test]
    fn flipped_bytes_are_shown_or_refused(
        flips in prop::collection::vec((any::<Index>(), any::<u8>()), 1..60),
        ones in prop::collection::vec(any::<Index>(), 0..4),
    ) {
        let mut bytes = profile();
        // Most of a small profile is unused chunk: flip where the records are.
        let used: Vec<usize> = (16..HEADER)
            .chain((0..8).flat_map(|chunk| (0..900).map(move |at| HEADER + chunk * CHUNK + at)))
            .collect();
        for (index, value) in flips {
            bytes[used[index.index(used.len())]] = value;
        }
        for index in ones {
            let at = used[index.index(used.len())] & !7;
            bytes[at..at + 8].fill(0xff);
        }
        show_everything(&bytes);
    }

    #[test]
    fn any_bytes_behind_a_good_header_are_shown(body in prop::collection::vec(any::<u8>(), 0..4000)) {
        let mut bytes = profile();
        let len = bytes.len().min(HEADER + body.len());
        bytes.truncate(len);
        bytes[HEADER..].copy_from_slice(&body[..len - HEADER]);
        show_everything(&bytes);
    }
}

#[test]
fn hostile_text_is_inert_in_every_output() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source.rs");
    std::fs::write(&source, STRINGS.join("\n")).unwrap();
    let mut builder = Builder::new();
    let mut symbols = Symbols::default();
    for (number, string) in STRINGS.iter().enumerate() {
        let module = builder.module(string);
        let mut named = builder.threads[0];
        named.name = [0; 2];
        for (at, byte) in string.bytes().take(16).enumerate() {
            named.name[at / 8] |= u64::from(byte) << (8 * (at % 8));
        }
        builder.threads.push(named);
        for (offset, function, file) in [
            (1, *string, "src/main.rs"),
            (2, "function", *string),
            (3, *string, source.to_str().unwrap()),
        ] {
            let frame = Frame::new(module, offset);
            let stack = builder.stack(&[frame]);
            builder.allocated(stack, 1000 + number as u64, 1);
            let code = symbolize::CodeFrame {
                module,
                ..symbolize::CodeFrame::new(function, file, number as u32 + 1)
            };
            symbols.insert(frame, vec![code]);
        }
        // What has no line at all is shown by its module.
        let stack = builder.stack(&[Frame::new(module, 9)]);
        builder.allocated(stack, 77, 1);
        let unknown = symbolize::CodeFrame::unknown(string, Frame::new(module, 9));
        symbols.insert(Frame::new(module, 9), vec![unknown]);
    }
    let (profile, defects) = profile::parse("x.memprof".as_ref(), builder.to_input()).unwrap();
    let mut sources = Sources::new(Places::default());
    let report = Report::new(&profile, &symbols, &mut sources, Scope::All, defects);
    let shown = |renderer: &dyn Renderer| {
        let mut output = Vec::new();
        renderer.report(&report, &mut output).unwrap();
        String::from_utf8(output).unwrap()
    };
    let text = Text {
        columns: Vec::new(),
        precision: 1,
        width: None,
    };
    inert::in_terminal(&inert::without_colours(&shown(&text)));
    inert::in_csv(&shown(&Csv));
    let json = inert::in_json(&shown(&Json));
    let tables = json["functions"].as_array().unwrap();
    assert!(tables.len() > STRINGS.len(), "{} tables", tables.len());
    let mut output = Vec::new();
    let summary = Summary::new(&profile, &symbols, &mut sources, Vec::new());
    SummaryText { top: 100 }
        .summary(&summary, &mut output)
        .unwrap();
    inert::in_terminal(&inert::without_colours(str::from_utf8(&output).unwrap()));
    output.clear();
    Json.summary(&summary, &mut output).unwrap();
    inert::in_json(str::from_utf8(&output).unwrap());
    exports_are_inert(&profile, &symbols, &mut sources);
}

fn exports_are_inert(profile: &Profile, symbols: &Symbols, sources: &mut Sources) {
    let stacks = Stacks::new(profile, symbols, sources, Vec::new()).complete();
    let calls = Calls::new(profile, symbols, sources, Vec::new()).complete();
    type Export<'a> = &'a dyn Fn(&mut dyn io::Write) -> io::Result<()>;
    let written = |export: Export<'_>| {
        let mut output = Vec::new();
        export(&mut output).unwrap();
        output
    };
    let text = |export: Export<'_>| String::from_utf8(written(export)).unwrap();
    let timeline = &Timeline::new(profile, Vec::new());
    for json in [
        text(&|out| Dhat.export(&stacks, out)),
        text(&|out| Speedscope.export(&stacks, out)),
        text(&|out| Firefox { timeline }.export(&stacks, out)),
        text(&|out| StacksJson.export(&stacks, out)),
    ] {
        inert::in_json(&json);
    }
    inert::in_csv(&text(&|out| StacksCsv.export(&stacks, out)));
    let folded = Folded {
        lines: true,
        ..Folded::default()
    };
    let folded = text(&|out| folded.export(&stacks, out));
    inert::in_terminal(&folded);
    assert_eq!(folded.lines().count(), stacks.stacks.len(), "a line each");
    let zipped = written(&|out| Pprof::default().export(&calls, out));
    let mut pprof = Vec::new();
    flate2::read::GzDecoder::new(&*zipped)
        .read_to_end(&mut pprof)
        .unwrap();
    for bytes in [pprof, written(&|out| Otlp.export(&calls, out))] {
        for string in STRINGS
            .iter()
            .filter(|string| string.contains(char::is_control))
        {
            let raw = (bytes.windows(string.len())).any(|part| part == string.as_bytes());
            assert!(!raw, "{string:?}");
        }
    }
}
