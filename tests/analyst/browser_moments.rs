//! Moments chosen on the page of a report, in Chromium: a drag over the timeline shows what was
//! live at its end, of what was allocated after its beginning.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::chromium::{Browser, chromium};
use crate::skip::skip;
use memprof::profile::{self, Frame, builder::Builder};
use memprof::render::Html;
use memprof::report::{Granularity, MomentStacks, Report, Scope, Selection, Stacks, Timeline};
use memprof::source::{Places, Sources};
use memprof::symbolize::{CodeFrame, Symbols};
use serde_json::json;

const MS: u64 = 1_000_000;

fn page(folder: &Path, builder: &Builder, symbols: &Symbols) -> PathBuf {
    let (profile, defects) = profile::parse("x".as_ref(), builder.to_input()).unwrap();
    assert_eq!(defects, []);
    let mut sources = Sources::new(Places {
        current_dir: folder.to_owned(),
        ..Places::default()
    });
    let mut report = Report::new(&profile, symbols, &mut sources, Scope::User, Vec::new());
    report.select(&Selection::default()).unwrap();
    let stacks = Stacks::new(&profile, symbols, &mut sources, Vec::new());
    let stacks = stacks.restricted(Scope::User, Granularity::Line);
    let moments = MomentStacks::new(&profile, &stacks);
    let timeline = Timeline::new(&profile, Vec::new());
    let path = folder.join("page.html");
    let page = Html {
        moments: Some(&moments),
        ..Html::default()
    };
    let mut out = File::create(&path).unwrap();
    page.page(&report, &stacks, &timeline, &mut out).unwrap();
    path
}

/// A server that loads 700 KiB before it is warm and frees them later, and keeps 20 KiB and then 5.
fn server(folder: &Path) -> PathBuf {
    let file = folder.join("served.rs");
    fs::write(
        &file,
        "fn load() {\n    vec![1];\n}\n\nfn keep() {\n    vec![2];\n}\n",
    )
    .unwrap();
    let mut builder = Builder::new();
    builder.module("/bin/app");
    let mut symbols = Symbols::default();
    for (line, name) in [(2, "app::load"), (6, "app::keep")] {
        let code = CodeFrame::new(name, file.to_str().unwrap(), line);
        symbols.insert(Frame::new(0, line.into()), vec![code]);
    }
    let [load, keep] = [2, 6].map(|address| builder.stack(&[Frame::new(0, address)]));
    builder.allocated(load, 700 << 10, 1);
    builder.moment(250 * MS, Some("</script>"));
    builder.allocated(keep, 20 << 10, 1);
    builder.moment(500 * MS, None);
    builder.freed_older(load, 0, 700 << 10, 1);
    builder.moment(750 * MS, Some("later"));
    builder.allocated(keep, 5 << 10, 1);
    builder.header.final_ns = 1000 * MS;
    page(folder, &builder, &symbols)
}

/// Drags with the mouse over parts of the time of the run.
fn drag(browser: &mut Browser, from: f64, to: f64) {
    let place = browser.eval(
        "(() => { const s = document.querySelector('#timeline svg'), r = s.getBoundingClientRect(), w = s.viewBox.baseVal.width; return [r.left, r.top + 60, w, r.width / w]; })()",
    );
    let number = |at: usize| place[at].as_f64().unwrap();
    let x = |share: f64| number(0) + (76.0 + share * (number(2) - 90.0)) * number(3);
    let mut mouse = |kind: &str, share: f64| {
        let params = json!({
            "type": kind, "x": x(share), "y": number(1), "button": "left", "buttons": 1, "clickCount": 1
        });
        browser.ask("Input.dispatchMouseEvent", params);
        thread::sleep(Duration::from_millis(20));
    };
    mouse("mousePressed", from);
    mouse("mouseMoved", (from + to) / 2.0);
    mouse("mouseMoved", to);
    mouse("mouseReleased", to);
    // With the next frame the page has its new shape.
    while browser.eval("state.asked === null") != json!(true) {
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_drag_over_the_timeline_chooses_moments() {
    let Some(program) = chromium() else {
        return skip("moments of a page in a browser: no Chromium (apt-get install chromium)");
    };
    let folder = tempfile::tempdir().unwrap();
    let mut browser = Browser::start(&program);
    browser.open(&server(folder.path()));
    let texts = |selector: &str| {
        format!("[...document.querySelectorAll('{selector}')].map(e => e.textContent)")
    };
    let functions = texts("#functions tbody tr");
    let whole = browser.eval(&functions);
    assert_eq!(whole.as_array().unwrap().len(), 2);
    assert_eq!(
        browser.eval(&texts("#timeline .mark title"))[0],
        "</script>, at 0.250 s"
    );

    // From the beginning to the second moment.
    drag(&mut browser, 0.01, 0.6);
    let live = texts(".stat.live");
    assert_eq!(browser.eval(&live), json!(["720.0 KiBlive at 0.500 s"]));
    assert_eq!(
        browser.eval(&functions),
        json!(["app::load700.0 KiB", "app::keep20.0 KiB"])
    );
    // What was allocated after the mark.
    drag(&mut browser, 0.3, 0.6);
    assert_eq!(
        browser.eval(&live),
        json!(["20.0 KiBallocated after </script>, 0.250 s and live at 0.500 s"])
    );
    assert_eq!(browser.eval(&functions), json!(["app::keep20.0 KiB"]));
    // To the edge, which is the end.
    drag(&mut browser, 0.3, 0.999);
    assert_eq!(browser.eval(&functions), json!(["app::keep25.0 KiB"]));
    let lines = browser.eval(&texts("#source .c-live"));
    assert!(
        lines.as_array().unwrap().contains(&json!("25.0 KiB")),
        "{lines}"
    );
    let root = browser.eval("document.querySelector('#flame .frame').title");
    assert_eq!(
        root,
        "allocated after </script>, 0.250 s and live at the end: 25.0 KiB, 100.0 %"
    );
    browser.click("#all");
    assert_eq!(browser.eval(&functions), whole);
    assert_eq!(browser.complaints, [""; 0]);
}

/// The time of choosing moments on a page of 100,000 stacks, drawing included.
#[test]
fn moments_of_100_000_stacks_are_chosen_in_a_tenth_of_a_second() {
    let Some(program) = chromium() else {
        return skip("moments of a large page: no Chromium (apt-get install chromium)");
    };
    let folder = tempfile::tempdir().unwrap();
    let mut builder = Builder::new();
    builder.module("/bin/app");
    let mut symbols = Symbols::default();
    let mut place = |address: u64, name: String, line: u32| {
        let code = CodeFrame::new(&name, "/none/large.rs", line);
        symbols.insert(Frame::new(0, address), vec![code]);
        Frame::new(0, address)
    };
    let main = place(1, "app::main".to_owned(), 1);
    let middle: Vec<Frame> = (0..1000)
        .map(|n| place(10 + n, format!("app::middle{n}"), 10 + n as u32))
        .collect();
    let inner: Vec<Frame> = (0..100)
        .map(|n| place(10_000 + n, format!("app::inner{n}"), 10_000 + n as u32))
        .collect();
    let mut stacks = Vec::new();
    for outer in &middle {
        stacks.extend(inner.iter().map(|&inner| [inner, *outer, main]));
    }
    let stacks: Vec<usize> = stacks.iter().map(|frames| builder.stack(frames)).collect();
    assert_eq!(stacks.len(), 100_000);
    for (&stack, bytes) in stacks.iter().zip(1..) {
        builder.allocated(stack, bytes, 1);
    }
    for moment in 1..=20 {
        for &stack in stacks.iter().skip(moment).step_by(20) {
            builder.allocated(stack, 5000, 1);
        }
        builder.moment(moment as u64 * 50 * MS, None);
    }
    builder.header.final_ns = 1050 * MS;
    let mut browser = Browser::start(&program);
    browser.open(&page(folder.path(), &builder, &symbols));
    let chosen = "(() => { const times = []; for (const [from, to] of [[0, 3e8], [1.2e8, 6e8], [3.1e8, 9e8], [0, 1.05e9], [5.2e8, 8e8], [1e8, 9.9e8]]) \
        { const start = performance.now(); period(from, to); document.body.offsetHeight; times.push(performance.now() - start); } return times; })()";
    browser.eval(chosen);
    let times: Vec<f64> = serde_json::from_value(browser.eval(chosen)).unwrap();
    println!("{times:.1?} ms");
    let mut sorted = times.clone();
    sorted.sort_by(f64::total_cmp);
    // Others use the machine too.
    assert!(sorted[times.len() / 2] < 100.0, "{times:?}");
    let live = browser.eval("state.period.live");
    // After the second moment, at 100 ms, up to the nineteenth: 17 of 5,000 stacks.
    assert_eq!(live.as_f64(), Some(17.0 * 5000.0 * 5000.0));
    assert_eq!(browser.complaints, [""; 0]);
}
