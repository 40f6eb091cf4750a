//! `memprof live` as a user meets it: the page on terminals of several sizes, and the command with
//! and without one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::built;
use crate::built::MEMPROF;
use crate::skip::skip;
use memprof::live::{Flow, Page, draw};
use memprof::profile::builder::Builder;
use memprof::profile::{Frame, Point, parse};
use memprof::report::{Live, LiveSort, ProcessStatus};
use memprof::source::{Places, Sources};
use memprof::symbolize::{CodeFrame, Symbols};
use profiler_alloc_format::STATE_RECORDING;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tempfile::TempDir;

const SOURCE: &str = "\
fn main() {
    let mut kept = Vec::new();
    loop {
        kept.push(vec![0; 1 << 20]);
        let text = churn();\tdrop(text);
    }
}

fn churn() -> String {
    \"\u{202e}text\".repeat(1000)
}
";

/// The profile, after `seconds`, of a program in a folder with its source. Line 4 keeps, line 10
/// does not, and line 99 has a name that would steer a terminal.
fn builder(seconds: u64) -> (Builder, Vec<(Frame, CodeFrame)>) {
    let mut builder = Builder::new();
    builder.module("/bin/ap\x1bp");
    builder.header.pid = 42;
    builder.header.state = STATE_RECORDING;
    builder.header.updated_ns = seconds * 1_000_000_000;
    builder.header.peak_ns = builder.header.updated_ns - 5;
    let frame = |line| Frame::new(0, line);
    let lines = [
        (4, "app::main", "a.rs"),
        (10, "app::churn", "a.rs"),
        (99, "app::\x1b[2Jx", "gone.rs"),
    ];
    let code = lines.map(|(line, function, file)| {
        (frame(u64::from(line)), CodeFrame::new(function, file, line))
    });
    let kept = builder.stack(&[frame(4)]);
    let churned = builder.stack(&[frame(10)]);
    let other = builder.stack(&[frame(99)]);
    builder.allocated(other, 3000, 3);
    for second in 1..=seconds {
        builder.allocated(kept, second << 20, second);
        builder.allocated(churned, 8 << 20, 8192);
        builder.freed(churned, churned, 8 << 20, 8192);
        builder.timeline.push(Point {
            time_ns: second * 1_000_000_000 + 1,
            heap: builder.header.heap,
            rss: 2 * builder.header.heap,
            ..Point::empty()
        });
    }
    (builder, code.into())
}

/// A page over two readings of such a program, a second apart.
struct Watched {
    _folder: TempDir,
    page: Page,
    third: Live,
}

fn watched() -> Watched {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.rs"), SOURCE).unwrap();
    let places = Places {
        current_dir: folder.path().to_owned(),
        ..Places::default()
    };
    let mut sources = Sources::new(places.clone());
    let mut read = |seconds, before: Option<&Live>| {
        let (mut builder, code) = builder(seconds);
        builder.header.lost_blocks = 3;
        let mut symbols = Symbols::default();
        for (frame, code) in code {
            symbols.insert(frame, vec![code]);
        }
        let (profile, defects) = parse("app".as_ref(), builder.to_input()).unwrap();
        let at = (ProcessStatus::Running, Duration::from_secs(seconds));
        Live::new(&profile, &symbols, &mut sources, defects, at, before)
    };
    let first = read(9, None);
    let second = read(10, Some(&first));
    let third = read(11, Some(&second));
    let mut page = Page::new(first, places, LiveSort::Live);
    page.update(Ok(second));
    Watched {
        _folder: folder,
        page,
        third,
    }
}

/// What a terminal of this size shows.
fn shown(page: &mut Page, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, page)).unwrap();
    let screen = terminal.backend().to_string();
    assert!(!screen.contains(['\x1b', '\u{202e}']), "{screen}");
    screen
}

fn keys(page: &mut Page, keys: &[KeyCode]) -> Flow {
    let press = |&code: &KeyCode| page.key(KeyEvent::new(code, KeyModifiers::NONE));
    keys.iter().map(press).last().unwrap()
}

fn char(char: char) -> KeyCode {
    KeyCode::Char(char)
}

#[test]
fn the_page_on_a_small_terminal() {
    let mut watched = watched();
    insta::assert_snapshot!(shown(&mut watched.page, 80, 24));
}

#[test]
fn the_source_of_a_line() {
    let mut watched = watched();
    keys(&mut watched.page, &[char('r'), KeyCode::Enter]);
    insta::assert_snapshot!(shown(&mut watched.page, 110, 22));
    // Scrolled beyond the end, and back by one.
    keys(&mut watched.page, &[KeyCode::End]);
    let at_end = shown(&mut watched.page, 80, 13);
    keys(&mut watched.page, &[KeyCode::Up]);
    assert_ne!(shown(&mut watched.page, 80, 13), at_end);
    keys(&mut watched.page, &[KeyCode::Down]);
    assert_eq!(shown(&mut watched.page, 80, 13), at_end);
}

#[test]
fn source_that_is_not_there_is_said() {
    let mut watched = watched();
    keys(&mut watched.page, &[KeyCode::Down, KeyCode::Enter]);
    let shown = shown(&mut watched.page, 120, 20);
    assert!(shown.contains("source not found: "), "{shown}");
    assert!(shown.contains("--path-map"), "{shown}");
}

#[test]
fn details_say_losses_in_full() {
    let mut watched = watched();
    keys(&mut watched.page, &[char('d')]);
    let details = shown(&mut watched.page, 100, 20);
    assert!(details.contains("Lost: 3 sampled blocks"), "{details}");
    keys(&mut watched.page, &[KeyCode::Esc]);
    assert!(!shown(&mut watched.page, 100, 20).contains("Lost: 3"));
}

#[test]
fn keys_sort_filter_and_choose() {
    let mut watched = watched();
    let page = &mut watched.page;
    let first_row = |page: &mut Page| {
        let shown = shown(page, 100, 24);
        let mut lines = shown.lines().skip_while(|line| !line.contains('▼'));
        lines.nth(1).unwrap().to_owned()
    };
    assert!(first_row(page).contains("a.rs:4"));
    keys(page, &[char('a')]);
    assert!(first_row(page).contains("a.rs:10"));
    keys(page, &[char('/'), char('M'), char('q')]);
    assert!(shown(page, 100, 24).contains("filter: Mq"));
    keys(page, &[KeyCode::Backspace, KeyCode::Enter]);
    assert!(first_row(page).contains("a.rs:4"));
    assert!(shown(page, 100, 24).contains("Line with `M`"));
    keys(page, &[KeyCode::Esc]);
    assert!(first_row(page).contains("a.rs:10"));
    // The row chosen is followed when the order changes.
    keys(page, &[KeyCode::Down, char('p'), KeyCode::Enter]);
    assert!(shown(page, 100, 24).contains("a.rs:4  app::main"));
}

#[test]
fn a_paused_page_stands_still_and_then_shows_the_newest() {
    let mut watched = watched();
    let page = &mut watched.page;
    let heap = "heap 55.0 MiB";
    assert!(shown(page, 80, 24).contains(heap));
    keys(page, &[char(' ')]);
    page.update(Ok(watched.third));
    let paused = shown(page, 80, 24);
    assert!(paused.contains("[page paused]") && paused.contains(heap));
    keys(page, &[char(' ')]);
    assert!(shown(page, 80, 24).contains("heap 66.0 MiB"));
}

#[test]
fn what_cannot_be_read_any_more_is_said_until_it_can() {
    let mut watched = watched();
    let page = &mut watched.page;
    page.update(Err("cannot read x.memprof: gone\x1b".to_owned()));
    assert!(shown(page, 80, 24).contains("cannot be read any more: cannot read x.memprof"));
    page.update(Ok(watched.third));
    assert!(!shown(page, 80, 24).contains("any more"));
}

#[test]
fn the_page_is_left_by_q_and_by_ctrl_c() {
    let mut watched = watched();
    assert_eq!(keys(&mut watched.page, &[char('x')]), Flow::Stay);
    assert_eq!(keys(&mut watched.page, &[char('q')]), Flow::Quit);
    let ctrl_c = KeyEvent::new(char('c'), KeyModifiers::CONTROL);
    assert_eq!(watched.page.key(ctrl_c), Flow::Quit);
    keys(&mut watched.page, &[char('/')]);
    assert_eq!(keys(&mut watched.page, &[char('q')]), Flow::Stay);
}

#[test]
fn no_terminal_is_too_small() {
    let mut watched = watched();
    for (width, height) in [(1, 1), (10, 5), (40, 8), (300, 100)] {
        for key in ['/', 'x', '\n', 'd'] {
            let key = if key == '\n' {
                KeyCode::Enter
            } else {
                char(key)
            };
            keys(&mut watched.page, &[key]);
            shown(&mut watched.page, width, height);
        }
        keys(
            &mut watched.page,
            &[KeyCode::Esc, KeyCode::Esc, KeyCode::Esc],
        );
    }
}

/// A folder with the profile of a process that is not there.
fn recorded() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("app.memprof"), builder(3).0.to_bytes()).unwrap();
    folder
}

fn live(folder: &Path, args: &[&str]) -> Output {
    (Command::new(env!("CARGO_BIN_EXE_memprof")).arg("live"))
        .current_dir(folder)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn one_reading_is_printed_without_a_terminal() {
    let folder = recorded();
    let output = live(folder.path(), &["--once", "--interval", "10ms"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    assert!(!shown.contains('\x1b'), "plain: {shown}");
    assert!(shown.contains("(process 42): killed"), "{shown}");
    assert!(shown.contains("heap 6.0 MiB"), "{shown}");
    assert!(shown.contains("alloc 0 B/s, 0/s"), "{shown}");
    assert!(shown.contains("Sampling: exact"), "{shown}");
}

#[test]
fn without_a_terminal_the_page_says_what_to_do() {
    let folder = recorded();
    let output = live(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    assert!(text(&output.stderr).contains("--once"));
}

#[test]
fn a_process_is_found_by_its_number() {
    let folder = recorded();
    // Another profile that is newer.
    fs::write(folder.path().join("b.memprof"), Builder::new().to_bytes()).unwrap();
    let once = ["--once", "--interval", "1ms"];
    let found = live(folder.path(), &[&once[..], &["42"]].concat());
    assert!(text(&found.stdout).contains("(process 42)"));

    let mut sleeper = Command::new("sleep");
    let mut sleeper = sleeper.arg("60").current_dir(&folder).spawn().unwrap();
    let mut other = builder(1).0;
    other.header.pid = sleeper.id();
    fs::write(folder.path().join("c.memprof"), other.to_bytes()).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let pid = sleeper.id().to_string();
    let found = live(elsewhere.path(), &[&once[..], &[&pid]].concat());
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    let shown = text(&found.stdout) + &text(&found.stderr);
    assert!(shown.contains(&format!("(process {pid})")), "{shown}");

    // Of a process that records, its own file, and not a copy of it that is newer.
    let mut program = Command::new(MEMPROF)
        .args(["run", "-o", "x.memprof", "--"])
        .arg(built::example("notes"))
        .args(["60", "100"])
        .current_dir(&elsewhere)
        .spawn()
        .unwrap();
    let own = elsewhere.path().join("x.memprof");
    let pid = loop {
        match memprof::profile::read(&own) {
            Ok((profile, _)) => break profile.header.pid,
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    fs::copy(&own, elsewhere.path().join("copy.memprof")).unwrap();
    let found = live(elsewhere.path(), &[&once[..], &[&pid.to_string()]].concat());
    let mut end = Command::new("kill");
    end.arg(pid.to_string()).status().unwrap();
    program.wait().unwrap();
    let shown = text(&found.stdout) + &text(&found.stderr);
    assert!(shown.contains("running, "), "{shown}");

    let missing = live(elsewhere.path(), &["--once", "4294967295"]);
    assert_eq!(missing.status.code(), Some(2));
    let error = text(&missing.stderr);
    assert!(error.contains("process 4294967295"), "{error}");
    assert!(error.contains("memprof run"), "{error}");
}

/// Runs the page on a terminal of its own and does `then` to its process when it shows; gives what
/// the terminal got.
fn on_a_terminal(then: &str) -> Option<String> {
    if Command::new("script").arg("--version").output().is_err() {
        skip("the page on a terminal: no `script` (apt-get install bsdutils)");
        return None;
    }
    let folder = recorded();
    let memprof: PathBuf = env!("CARGO_BIN_EXE_memprof").into();
    let log = folder.path().join("log");
    // `script` gives the terminal, and the shell in it waits for the page to come.
    let session = format!(
        "stty rows 24 cols 80; '{}' live app.memprof & page=$!; \
         tries=0; until grep -q quit log || [ $tries = 600 ]; do sleep 0.1; tries=$((tries + 1)); done; \
         {then}; wait $page; echo \"left with $?\"; stty -a",
        memprof.display()
    );
    fs::write(folder.path().join("session"), session).unwrap();
    let mut script = Command::new("script");
    let status = (script.current_dir(&folder))
        .args(["-qfec", "sh session", "log"])
        .env("TERM", "xterm")
        // It runs what it is given in the user's shell, which may be any.
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    Some(text(&fs::read(log).unwrap()))
}

#[test]
fn a_signal_ends_the_page_and_gives_the_terminal_back() {
    for (signal, code) in [("TERM", 143), ("HUP", 129)] {
        let Some(log) = on_a_terminal(&format!("kill -{signal} $page")) else {
            return;
        };
        assert!(log.contains(&format!("left with {code}")), "{log}");
        let restored = log.rfind("\x1b[?1049l").expect("the other screen is left");
        assert!(restored > log.find("\x1b[?1049h").unwrap());
        let settings = &log[restored..];
        assert!(
            settings.contains(" echo ") && !settings.contains("-echo "),
            "{settings}"
        );
        let shows = log.rfind("\x1b[?25h").expect("the cursor is shown again");
        assert!(shows > log.rfind("\x1b[?25l").unwrap(), "{log}");
    }
}
