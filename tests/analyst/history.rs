//! Runs kept and found again: what is restored, who may save at once, and how a figure is followed.

use std::path::Path;
use std::process::{Command, Output};
use std::thread;

use crate::inert;
use crate::inert::STRINGS;
use crate::synthetic::Program;
use memprof::history::{History, HistoryError, Label, Subject, Trend, plot};
use memprof::report::diff::{ContextParts, Diff};
use memprof::report::{Figures, Metric, Report, Scope};
use memprof::symbolize::CodeFrame;

const SOURCE: &str = "\
fn main() {
    let a = vec![0; 10];
    drop(a);
}
";

/// A report of a program that allocated `bytes` on the line that says so.
fn report(above: usize, bytes: u64) -> Report {
    let source = format!("{}{SOURCE}", "//\n".repeat(above));
    let mut program = Program::new(&source);
    let frame = program.frame(&[("app::main", 2 + above as u32)]);
    let stack = program.builder.stack(&[frame]);
    program.builder.allocated(stack, bytes, 1);
    program.report(Scope::User)
}

fn label(tag: &str) -> Label {
    Label {
        commit: "0123456789abcdef".to_owned(),
        dirty: false,
        tags: vec![tag.to_owned()],
    }
}

#[test]
fn a_run_is_restored_as_it_was_saved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.sqlite");
    let mut saved = report(0, 4096);
    let id = History::open(&path)
        .unwrap()
        .save(&saved, &[], &label("v1"))
        .unwrap();
    // What functions hold of their own is no part of it.
    saved.tables[0].own = Figures::default();
    let history = History::open_existing(&path).unwrap();
    assert_eq!(history.report(id).unwrap(), saved);
    let runs = history.runs().unwrap();
    assert_eq!((runs.len(), runs[0].peak), (1, 4096));
    assert_eq!(runs[0].tags, ["v1"]);
    for name in ["1", "#1", "v1", "0123", "last"] {
        assert_eq!(history.find(name).unwrap(), id, "{name}");
    }
    let error = history.find("last~1").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`memprof history list` lists them"),
        "{error}"
    );
}

#[test]
fn contexts_are_kept_and_followed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.sqlite");
    let mut history = History::open(&path).unwrap();
    let mut kept = Vec::new();
    for bytes in [1000, 61_000] {
        let mut program = Program::new(SOURCE);
        let frame = program.frame(&[("app::main", 2)]);
        let buy = program.builder.in_context("route", "/buy");
        for (frames, bytes) in [(vec![frame, buy], bytes), (vec![frame], 7)] {
            let stack = program.builder.stack(&frames);
            program.builder.allocated(stack, bytes, 1);
        }
        let contexts = ContextParts::all(&program.profile().0);
        let report = program.report(Scope::User);
        let id = history.save(&report, &contexts, &Label::default()).unwrap();
        assert_eq!(history.contexts(id).unwrap(), contexts);
        kept.push(contexts);
    }
    // One of before there were contexts.
    history.save(&report(0, 5), &[], &Label::default()).unwrap();
    assert_eq!(kept[1][0].parts.len(), 2);
    let trend = |value: Option<&str>| {
        let points = history.trend(&Trend {
            metric: Metric::Live,
            subject: Subject::Context {
                key: "route".to_owned(),
                value: value.map(str::to_owned),
            },
        });
        let points = points.unwrap().into_iter();
        points.map(|point| point.value).collect::<Vec<_>>()
    };
    assert_eq!(trend(Some("/buy")), [Some(1000), Some(61_000), None]);
    assert_eq!(trend(None), [Some(7), Some(7), None]);
    drop(history);

    let memprof = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_memprof"));
        command.args(["history", "--db"]).arg(&path).args(arguments);
        let output = command.output().unwrap();
        let both = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(both).unwrap())
    };
    let (code, shown) = memprof(&["show", "2", "--by", "route"]);
    let table = "        Live      At peak    Allocated     Blocks  route\n    \
                 59.6 KiB     59.6 KiB     59.6 KiB          1  /buy\n         \
                 7 B          7 B          7 B          1  (no route)\n";
    assert_eq!((code, &*shown), (Some(0), table));
    let limit = ["--of", "live", "--fail-over", "10KiB", "--by", "route"];
    let (code, shown) = memprof(&[&["diff", "1", "2"], &limit[..]].concat());
    assert_eq!(code, Some(1), "{shown}");
    assert!(shown.contains("59.6 KiB  route=/buy\n"), "{shown}");
    let (code, shown) = memprof(&["trend", "--of", "live", "--context", "route=/buy"]);
    assert!(code == Some(0) && shown.contains("route=/buy"), "{shown}");
    let (code, shown) = memprof(&["diff", "1", "2", "--by", "tenant"]);
    assert_eq!(code, Some(2));
    assert!(
        shown.contains("no context of the key tenant was kept of #1, #2; there are route"),
        "{shown}"
    );
}

#[test]
fn many_save_at_once_and_none_is_lost() {
    const SAVERS: u64 = 8;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.sqlite");
    // The first to come makes the tables, whoever it is.
    thread::scope(|scope| {
        for saver in 1..=SAVERS {
            let path = &path;
            scope.spawn(move || {
                let mut history = History::open(path).unwrap();
                for _ in 0..3 {
                    history
                        .save(&report(0, saver), &[], &Label::default())
                        .unwrap();
                }
            });
        }
    });
    let history = History::open_existing(&path).unwrap();
    let runs = history.runs().unwrap();
    let mut peaks: Vec<i64> = runs.iter().map(|run| run.peak).collect();
    peaks.sort_unstable();
    let expected: Vec<i64> = (1..=SAVERS as i64).flat_map(|saver| [saver; 3]).collect();
    assert_eq!(peaks, expected);
    for run in runs {
        assert_eq!(history.report(run.id).unwrap().tables.len(), 1);
    }
}

#[test]
fn a_line_is_followed_where_it_moves() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = History::open(&folder.path().join("runs.sqlite")).unwrap();
    for (above, bytes) in [(0, 1000), (5, 2000), (2, 3000)] {
        history
            .save(&report(above, bytes), &[], &Label::default())
            .unwrap();
    }
    // In the newest run it is line 4.
    let (contents, function) = history.line("src/main.rs", 4).unwrap().unwrap();
    assert_eq!(
        (&*contents, &*function),
        ("let a = vec![0; 10];", "app::main")
    );
    let trend = |subject| {
        let trend = Trend {
            metric: Metric::Allocated,
            subject,
        };
        let points = history.trend(&trend).unwrap();
        points
            .into_iter()
            .map(|point| point.value)
            .collect::<Vec<_>>()
    };
    let all = [Some(1000), Some(2000), Some(3000)];
    assert_eq!(trend(Subject::Line { function, contents }), all);
    assert_eq!(trend(Subject::Function("app::main".to_owned())), all);
    assert_eq!(trend(Subject::Whole), all);
    assert_eq!(trend(Subject::Function("nobody".to_owned())), [None; 3]);

    let diff = Diff::new(history.report(1).unwrap(), history.report(3).unwrap());
    let line = &diff.functions[0].lines[0];
    assert_eq!((line.base_number, line.number), (Some(2), Some(4)));

    assert!(history.remove(2).unwrap());
    assert!(!history.remove(2).unwrap());
    assert_eq!(trend_len(&history), 2);
}

fn trend_len(history: &History) -> usize {
    let trend = Trend {
        metric: Metric::Peak,
        subject: Subject::Whole,
    };
    history.trend(&trend).unwrap().len()
}

#[test]
fn a_history_of_a_newer_memprof_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.sqlite");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let error = History::open(&path).unwrap_err();
    assert!(
        matches!(error, HistoryError::TooNew { found: 99, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("update memprof"), "{error}");
    std::fs::write(&path, "no database, but long enough to be looked at as one").unwrap();
    let error = History::open(&path).unwrap_err();
    assert!(
        error.to_string().contains("name another with --db"),
        "{error}"
    );
}

#[test]
fn hostile_text_is_kept_and_shown_inert() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.sqlite");
    let mut history = History::open(&path).unwrap();
    for string in STRINGS {
        let mut program = Program::new("");
        let frame = program.frame_of(vec![CodeFrame::new(string, "/nowhere/x.rs", 1)]);
        let stack = program.builder.stack(&[frame]);
        program.builder.allocated(stack, 10, 1);
        let report = program.report(Scope::All);
        let label = Label {
            commit: string.to_owned(),
            dirty: true,
            tags: vec![string.to_owned()],
        };
        let id = history.save(&report, &[], &label).unwrap();
        let mut saved = report.tables.clone();
        // That there is no source is no part of the figures.
        saved[0].notes.clear();
        saved[0].own = Figures::default();
        assert_eq!(history.report(id).unwrap().tables, saved);
        let trend = Trend {
            metric: Metric::Peak,
            subject: Subject::Function(report.tables[0].function.clone()),
        };
        let points = history.trend(&trend).unwrap();
        assert_eq!(points.last().unwrap().value, Some(10), "{string:?}");
        let mut out = Vec::new();
        plot::text(string, Metric::Peak, &points, &mut out).unwrap();
        inert::in_terminal(str::from_utf8(&out).unwrap());
        out.clear();
        plot::svg(string, Metric::Peak, &points, &mut out).unwrap();
        let svg = str::from_utf8(&out).unwrap();
        inert::in_terminal(svg);
        inert::in_markup(svg);
    }
    drop(history);
    let output = memprof(folder.path(), &["list", "--db", "runs.sqlite"]);
    let list = String::from_utf8(output.stdout).unwrap();
    assert_eq!(list.lines().count(), STRINGS.len() + 1);
    inert::in_terminal(&list);
}

fn memprof(folder: &Path, arguments: &[&str]) -> Output {
    (Command::new(env!("CARGO_BIN_EXE_memprof")).current_dir(folder))
        .arg("history")
        .args(arguments)
        .env_remove("MEMPROF_HISTORY")
        .output()
        .unwrap()
}

#[test]
fn the_command_saves_lists_compares_and_plots() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = memprof(folder.path(), arguments);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (code, _, error) = run(&["list"]);
    assert_eq!(code, Some(2));
    assert!(
        error.contains("`memprof history save PROFILE` begins one"),
        "{error}"
    );
    for (name, bytes) in [("a.memprof", 1 << 20), ("b.memprof", 3 << 20)] {
        let mut program = Program::new("");
        let frame = program.frame_of(vec![]);
        let stack = program.builder.stack(&[frame]);
        program.builder.allocated(stack, bytes, 1);
        std::fs::write(folder.path().join(name), program.builder.to_bytes()).unwrap();
        let (code, _, error) = run(&["save", name, "--tag", name, "--commit", "feed5eed"]);
        assert_eq!(code, Some(0), "{error}");
        assert!(error.contains("saved as run #"), "{error}");
    }
    let (_, list, _) = run(&["list"]);
    assert!(list.contains("feed5eed"), "{list}");
    assert!(
        list.contains("3.0 MiB") && list.contains("[b.memprof]"),
        "{list}"
    );
    let (code, diff, _) = run(&["diff", "a.memprof", "--fail-over", "1MiB"]);
    assert_eq!(code, Some(1));
    assert!(
        diff.contains("+2.0 MiB  1.0 MiB -> 3.0 MiB  the whole program"),
        "{diff}"
    );
    let (_, trend, _) = run(&["trend"]);
    assert!(
        trend.contains(&format!("3.0 MiB  {}\n", "#".repeat(40))),
        "{trend}"
    );
    let (code, _, _) = run(&["trend", "-o", "trend.svg"]);
    assert_eq!(code, Some(0));
    let svg = std::fs::read_to_string(folder.path().join("trend.svg")).unwrap();
    assert_eq!(svg.matches("<circle").count(), 2);
    assert_eq!(run(&["rm", "last", "last~1"]).0, Some(0));
    assert_eq!(run(&["list"]).1.lines().count(), 1);
}
