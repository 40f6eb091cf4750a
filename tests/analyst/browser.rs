//! The page of `memprof report --format html` in a real browser: what it shows, what clicks do, and
//! that it breaks no rule of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::chromium::{Browser, chromium};
use crate::skip::skip;
use memprof::profile::{self, Frame, builder::Builder};
use memprof::render::{DiffHtml, Html};
use memprof::report::diff::Diff;
use memprof::report::{
    ContextViews, Granularity, Metric, Report, Scope, Selection, Stacks, Timeline, Types,
};
use memprof::source::{Places, Sources};
use memprof::symbolize::{CodeFrame, Symbols};
use profiler_alloc_format::Point;
use serde_json::json;

/// The page of a profile with two files, and of `more` stacks beside.
fn page(folder: &Path, more: u64) -> PathBuf {
    let main = folder.join("main.rs");
    fs::write(
        &main,
        "fn main() {\n    load();\n    keep();\n}\n\nfn keep() {\n    vec![1];\n}\n",
    )
    .unwrap();
    let load = folder.join("load.rs");
    fs::write(&load, "fn load() {\n    vec![\"</script>\"];\n}\n").unwrap();
    let mut builder = Builder::new();
    builder.module("/bin/app");
    let mut symbols = Symbols::default();
    let frame = |address| Frame::new(0, address);
    let mut place = |address, name: &str, file: &Path, line| {
        let code = CodeFrame::new(name, file.to_str().unwrap(), line);
        symbols.insert(frame(address), vec![code]);
    };
    place(1, "app::main", &main, 2);
    place(2, "app::main", &main, 3);
    place(3, "app::load", &load, 2);
    place(4, "app::keep", &main, 7);
    for number in 0..more {
        place(
            100 + number,
            &format!("app::f{number}"),
            &folder.join("gone.rs"),
            number as u32 + 1,
        );
    }
    let stack = builder.stack(&[frame(3), frame(1)]);
    builder.allocated(stack, 3 << 20, 3);
    let stack = builder.stack(&[frame(4), frame(2)]);
    builder.allocated(stack, 1 << 20, 9);
    for number in 0..more {
        // By hand: the builder looks for a node that is there already.
        builder.nodes.push(profiler_alloc_format::Node {
            parent: 1,
            frame: frame(100 + number).to_bits(),
            stack: builder.stacks.len() as u32,
            ..profiler_alloc_format::Node::empty()
        });
        builder.stacks.push(profiler_alloc_format::Stack {
            node: builder.nodes.len() as u32 - 1,
            peak_epoch: builder.header.peak_epoch,
            ..profiler_alloc_format::Stack::empty()
        });
        let stack = builder.stacks.len() - 1;
        builder.stacks[stack].alloc_bytes = 1000 + number;
        builder.stacks[stack].live_bytes = 1000 + number;
        builder.stacks[stack].peak_bytes = 1000 + number;
        builder.stacks[stack].alloc_count = 1 << 16;
    }
    builder.header.peak_ns = 500_000_000;
    builder.header.final_ns = 1_000_000_000;
    let function = builder.profiled("app::</script>", "main.rs", (1, 3));
    builder.share(function, &[(1, 2, 0, 0)]);
    builder.functions[function].first_ns = 250_000_001;
    builder.shares[function].last_ns = 750_000_001;
    builder.timeline.push(Point {
        time_ns: 300_000_000,
        heap: 2 << 20,
        rss: 5 << 20,
        alloc_bytes: 0,
    });
    let (profile, _) = profile::parse("x".as_ref(), builder.to_input()).unwrap();
    let mut sources = Sources::new(Places {
        current_dir: folder.to_owned(),
        ..Places::default()
    });
    let mut report = Report::new(&profile, &symbols, &mut sources, Scope::User, Vec::new());
    report.select(&Selection::default()).unwrap();
    let stacks = Stacks::new(&profile, &symbols, &mut sources, Vec::new());
    let stacks = stacks.restricted(Scope::User, Granularity::Line);
    let timeline = Timeline::new(&profile, Vec::new());
    let path = folder.join("page.html");
    let mut out = File::create(&path).unwrap();
    (Html::default().page(&report, &stacks, &timeline, &mut out)).unwrap();
    path
}

#[test]
fn the_page_works_in_a_browser() {
    let Some(program) = chromium() else {
        return skip("the page in a browser: no Chromium (apt-get install chromium)");
    };
    let folder = tempfile::tempdir().unwrap();
    let mut browser = Browser::start(&program);
    browser.open(&page(folder.path(), 0));

    // What it shows.
    let names = "[...document.querySelectorAll('#functions tbody .name')].map(e => e.textContent)";
    assert_eq!(
        browser.eval(names),
        json!(["app::main", "app::load", "app::keep"])
    );
    assert_eq!(
        browser.eval("document.querySelectorAll('#timeline .peakdot').length"),
        1
    );
    let span = "document.querySelector('#timeline text.span').textContent";
    assert_eq!(browser.eval(span), "app::</script> (2 calls)");
    // Half of the time, as wide as half of the plot.
    let share = "(() => { const [bar, all] = ['rect.span', 'path.grid'].map(it => document.querySelector('#timeline ' + it).getBBox().width); return Math.round(bar / all * 100); })()";
    assert_eq!(browser.eval(share), 50);
    let peak = browser.eval("document.querySelector('.stat.peak b').textContent");
    assert_eq!(peak, "4.0 MiB");
    let code = "[...document.querySelectorAll('#source td.code')].map(e => e.textContent)";
    assert_eq!(browser.eval(code)[1], "    load();");

    // On a small screen all columns are there, and what does not fit of a name is its middle.
    let usual_width = browser.eval("innerWidth");
    browser.ask(
        "Emulation.setDeviceMetricsOverride",
        json!({"width": 1400, "height": 900, "deviceScaleFactor": 1, "mobile": false}),
    );
    let real = "window.real = JSON.stringify(data.tables[0])";
    browser.eval(real);
    browser.eval("Object.assign(data.tables[0], { name: 'app::a::path::of::many::modules::and::a::Type::method', total: { peak: 123456789, live: 123456789, allocated: 123456789012, freed: 123456789012, count: 12345678 } }); functions()");
    let edges = "(() => { const box = (it) => it.getBoundingClientRect(), cells = document.querySelector('#functions tbody tr').children, name = box(cells[0]), [start, end] = cells[0].firstChild.children; return [box(cells[5]).right <= box(document.getElementById('side')).right, start.scrollWidth > start.clientWidth && start.clientWidth > 0, box(end).right <= name.right && end.scrollWidth <= end.clientWidth, end.textContent]; })()";
    let end = "odules::and::a::Type::method";
    assert_eq!(
        browser.eval(edges),
        json!([true, true, true, end[end.len() - 16..]])
    );
    browser.eval("data.tables[0] = JSON.parse(window.real); functions()");
    browser.ask("Emulation.clearDeviceMetricsOverride", json!({}));
    // The window takes its size back a moment later, and all places on it move.
    let patience = Instant::now() + Duration::from_secs(20);
    while browser.eval("innerWidth") != usual_width {
        assert!(Instant::now() < patience, "the window keeps its size");
        thread::sleep(Duration::from_millis(5));
    }

    // Folders with nothing but a folder in them are one row.
    let tree = "(() => { fileTree(new Map([['home/me/app/src/main.rs', 1], ['home/me/app/src/load/mod.rs', 2], ['lib.rs', 1]]), null, () => {}); return [...document.querySelectorAll('#files > div')].map(e => [e.textContent, parseInt(e.style.paddingLeft)]); })()";
    assert_eq!(
        browser.eval(tree),
        json!([
            ["home/me/app/src/", 12],
            ["load/", 26],
            ["mod.rs2 functions", 40],
            ["main.rs1 function", 26],
            ["lib.rs1 function", 12]
        ])
    );
    browser.eval("files()");

    // Sorting, there and back.
    browser.click("#functions th[data-sort=count]");
    assert_eq!(
        browser.eval(names),
        json!(["app::main", "app::keep", "app::load"])
    );
    browser.click("#functions th[data-sort=name]");
    assert_eq!(
        browser.eval(names),
        json!(["app::keep", "app::load", "app::main"])
    );
    browser.click("#functions th[data-sort=name]");
    assert_eq!(
        browser.eval(names),
        json!(["app::main", "app::load", "app::keep"])
    );

    // Searching.
    browser.eval("document.getElementById('search').focus()");
    browser.ask("Input.insertText", json!({"text": "LOAD"}));
    assert_eq!(browser.eval(names), json!(["app::load"]));
    assert_eq!(browser.eval("document.querySelectorAll('.file').length"), 1);
    browser.click(".file");
    assert_eq!(browser.eval(code)[1], "    vec![\"</script>\"];");
    browser.eval("const s = document.getElementById('search'); s.value = ''; s.dispatchEvent(new Event('input'))");

    // A click on a frame leaves its part of functions and lines.
    browser.click("#flame .frame[title^='app::keep']");
    assert_eq!(browser.eval(names), json!(["app::keep"]));
    let chosen =
        "[...document.querySelectorAll('#source .c-chosen')].map(e => e.textContent).join('')";
    assert_eq!(browser.eval(chosen), "1.0 MiB");
    assert_eq!(
        browser.eval("document.querySelector('tr.here .number').textContent"),
        "7"
    );
    browser.click("#reset");
    assert_eq!(browser.eval(names).as_array().map(Vec::len), Some(3));

    // Light and dark.
    let colour = "getComputedStyle(document.body).backgroundColor";
    let before = browser.eval(colour);
    browser.click("#toggle");
    assert_ne!(browser.eval(colour), before);

    assert_eq!(browser.complaints, [""; 0]);
    // The policy is in force: what is not the page's own does not run.
    browser.eval("const x = document.createElement('script'); x.textContent = 'window.ran = 1'; document.body.append(x)");
    assert_eq!(browser.eval("typeof window.ran"), "undefined");
    assert!(
        browser
            .complaints
            .iter()
            .any(|it| it.contains("Content Security Policy")),
        "{:?}",
        browser.complaints
    );
}

/// The page of two routes, one of which does what no other does.
fn page_by_context(folder: &Path) -> PathBuf {
    let file = folder.join("served.rs");
    fs::write(
        &file,
        "fn serve() {\n    load();\n    keep();\n}\n\nfn idle() {\n    tick();\n}\n",
    )
    .unwrap();
    let mut builder = Builder::new();
    builder.module("/bin/app");
    let mut symbols = Symbols::default();
    for (line, name) in [(2, "app::serve"), (3, "app::serve"), (7, "app::idle")] {
        let code = CodeFrame::new(name, file.to_str().unwrap(), line);
        symbols.insert(Frame::new(0, line.into()), vec![code]);
    }
    let [load, keep, idle] = [2, 3, 7].map(|address| Frame::new(0, address));
    let [buy, look] = ["/buy", "</script>"].map(|route| builder.in_context("route", route));
    for (frames, kib) in [
        (vec![load, buy], 700),
        (vec![keep, buy], 20),
        (vec![load, look], 100),
        (vec![idle], 3),
    ] {
        let stack = builder.stack(&frames);
        builder.allocated(stack, kib << 10, 1);
    }
    let (profile, _) = profile::parse("x".as_ref(), builder.to_input()).unwrap();
    let mut sources = Sources::new(Places {
        current_dir: folder.to_owned(),
        ..Places::default()
    });
    let mut report = Report::new(&profile, &symbols, &mut sources, Scope::User, Vec::new());
    report.select(&Selection::default()).unwrap();
    let stacks = Stacks::new(&profile, &symbols, &mut sources, Vec::new());
    let stacks = stacks.restricted(Scope::User, Granularity::Line);
    let timeline = Timeline::new(&profile, Vec::new());
    let types = Types::new(&profile, &symbols, &mut sources, Vec::new());
    let contexts = ContextViews::new(&profile, &symbols, &mut sources, 2);
    let html = Html {
        types: Some(&types),
        contexts: Some(&contexts),
        ..Html::default()
    };
    let path = folder.join("contexts.html");
    let mut out = File::create(&path).unwrap();
    html.page(&report, &stacks, &timeline, &mut out).unwrap();
    path
}

#[test]
fn a_context_is_chosen_on_the_page() {
    let Some(program) = chromium() else {
        return skip("contexts on the page: no Chromium (apt-get install chromium)");
    };
    let folder = tempfile::tempdir().unwrap();
    let mut browser = Browser::start(&program);
    browser.open(&page_by_context(folder.path()));
    let texts = |selector: &str| {
        format!("[...document.querySelectorAll({selector:?})].map(e => e.textContent)")
    };
    let options = texts("#context option");
    assert_eq!(
        browser.eval(&options),
        json!([
            "all",
            "route: /buy (720.0 KiB)",
            "route: </script> (100.0 KiB)"
        ])
    );
    let notes = browser.eval("document.getElementById('notes').textContent");
    assert!(
        notes.as_str().unwrap().contains("Cut: 1 more context with"),
        "{notes}"
    );
    let functions = texts("#functions tbody tr");
    let everything = browser.eval(&functions);
    let types = texts("#types tbody tr");
    let all_types = browser.eval(&types);
    assert_eq!(everything.as_array().unwrap().len(), 2);

    let choose = |value: &str| {
        format!(
            "{{ const c = document.getElementById('context'); c.value = '{value}'; c.dispatchEvent(new Event('change')) }}"
        )
    };
    browser.eval(&choose("0"));
    let kib = "720.0 KiB";
    let row = format!("app::serve{kib}{kib}{kib}0 B2");
    assert_eq!(browser.eval(&functions), json!([row]));
    let peak = browser.eval("document.querySelector('.stat.peak').textContent");
    assert_eq!(peak, "720.0 KiBin use at the peak");
    let lines = texts("#source .c-live");
    assert_eq!(
        browser.eval(&lines),
        json!(["", "700.0 KiB", "20.0 KiB", ""])
    );
    let frames = "[...document.querySelectorAll('#flame .frame')].map(e => e.title)";
    assert_eq!(
        browser.eval(frames)[0],
        "In use at the peak: 720.0 KiB, 100.0 %"
    );
    assert_eq!(
        browser.eval(&types)[0],
        "(untyped) app::serve720.0 KiB720.0 KiB720.0 KiB2"
    );
    // A frame is chosen within the context.
    browser.click("#flame .frame[title^='app::serve  served.rs:3']");
    let chosen = texts("#source tr.here .c-chosen");
    assert_eq!(browser.eval(&chosen), json!(["20.0 KiB"]));

    browser.eval(&choose(""));
    assert_eq!(browser.eval(&functions), everything);
    assert_eq!(browser.eval(&types), all_types);
    assert_eq!(browser.complaints, [""; 0]);
}

/// A page that compares two versions of a program: one line took more, one function is new.
fn diff_page(folder: &Path) -> PathBuf {
    let source =
        "fn main() {\n    load(\"</script>\");\n    keep();\n}\n\nfn keep() {\n    vec![1];\n}\n";
    let file = folder.join("compared.rs");
    fs::write(&file, source).unwrap();
    let report = |calls: &[(&str, u32, u64)]| {
        let mut builder = Builder::new();
        builder.module("/bin/app");
        let mut symbols = Symbols::default();
        for &(function, line, kib) in calls {
            let frame = Frame::new(0, u64::from(line) * 16);
            let code = CodeFrame::new(function, file.to_str().unwrap(), line);
            symbols.insert(frame, vec![code]);
            let stack = builder.stack(&[frame]);
            builder.allocated(stack, kib << 10, 1);
        }
        let (profile, _) = profile::parse("x".as_ref(), builder.to_input()).unwrap();
        let mut sources = Sources::new(Places {
            current_dir: folder.to_owned(),
            ..Places::default()
        });
        Report::new(&profile, &symbols, &mut sources, Scope::User, Vec::new())
    };
    let base = report(&[("app::main", 2, 100)]);
    let new = report(&[("app::main", 2, 700), ("app::keep", 7, 50)]);
    let mut diff = Diff::new(base, new);
    diff.sort(Metric::Peak);
    let grown = diff.grown(Metric::Peak, "10%".parse().unwrap());
    let path = folder.join("diff.html");
    let renderer = DiffHtml {
        grown: Some((&grown, "10%")),
        ..DiffHtml::default()
    };
    (renderer.page(&diff, &mut File::create(&path).unwrap())).unwrap();
    path
}

#[test]
fn the_page_of_a_diff_works_in_a_browser() {
    let Some(program) = chromium() else {
        return skip("the page of a diff in a browser: no Chromium (apt-get install chromium)");
    };
    let folder = tempfile::tempdir().unwrap();
    let mut browser = Browser::start(&program);
    browser.open(&diff_page(folder.path()));
    let texts = |selector: &str| {
        format!("[...document.querySelectorAll({selector:?})].map(e => e.textContent)")
    };
    let (names, changes) = (
        texts("#functions tbody .name"),
        texts("#functions tbody td:last-child"),
    );
    let peak = browser.eval("document.querySelector('.stat[data-metric=peak]').textContent");
    assert_eq!(peak, "+650.0 KiBpeak: 100.0 KiB → 750.0 KiB");
    assert_eq!(browser.eval(&names), json!(["app::main", "app::keepnew"]));
    assert_eq!(browser.eval(&changes), json!(["+600.0 KiB", "+50.0 KiB"]));
    let code = texts("#source td.code");
    assert_eq!(browser.eval(&code)[0], "      load(\"</script>\");");
    let grown = browser.eval("document.querySelector('#grown pre').textContent");
    assert!(
        grown.as_str().unwrap().contains("the whole program"),
        "{grown}"
    );

    browser.click("#functions th[data-sort=name]");
    assert_eq!(browser.eval(&names), json!(["app::keepnew", "app::main"]));
    browser.click("#functions tbody tr");
    assert_eq!(browser.eval(&code), json!(["+     vec![1];"]));
    browser.eval("document.getElementById('search').focus()");
    browser.ask("Input.insertText", json!({"text": "MAIN"}));
    assert_eq!(browser.eval(&names), json!(["app::main"]));
    browser.eval("const m = document.getElementById('metric'); m.value = 'count'; m.dispatchEvent(new Event('change'))");
    assert_eq!(browser.eval(&changes), json!(["="]));
    assert_eq!(browser.complaints, [""; 0]);
}

/// Not a limit, as machines differ: run by hand, it says how long a page of 100,000 stacks takes to
/// open.
#[test]
fn a_large_profile_is_cut_and_opens() {
    let Some(program) = chromium() else {
        return skip("a large page in a browser: no Chromium (apt-get install chromium)");
    };
    let folder = tempfile::tempdir().unwrap();
    let path = page(folder.path(), 100_000);
    let len = fs::metadata(&path).unwrap().len();
    assert!(len < 8 << 20, "{len} bytes");
    let mut browser = Browser::start(&program);
    let started = Instant::now();
    browser.open(&path);
    let elapsed = started.elapsed();
    let script = browser.eval(
        "(() => { const t = performance.getEntriesByType('navigation')[0]; return [t.domInteractive, t.loadEventEnd]; })()",
    );
    eprintln!(
        "a page of 100,000 stacks, {len} bytes, opened in {elapsed:?}; ms until it could be used, and until loaded: {script}"
    );
    let notes = browser.eval("document.getElementById('notes').textContent");
    let notes = notes.as_str().unwrap();
    assert!(
        notes.contains("Cut: 98,003 functions with fewer bytes"),
        "{notes}"
    );
    assert!(notes.contains("Cut: of the stacks, "), "{notes}");
    let rows = "document.querySelectorAll('#functions tbody .name').length";
    assert_eq!(browser.eval(rows), 300);
    browser.click("#functions .more");
    assert_eq!(browser.eval(rows), 2000);
    assert_eq!(browser.complaints, [""; 0]);
}
