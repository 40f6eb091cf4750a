//! Many profiles as one: every view takes several, or all of a run, and a merged file gives what
//! its parts give.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use memprof::profile::{Frame, builder::Builder};
use tempfile::TempDir;

use crate::built::{MEMPROF, text};

const SECOND: u64 = 1_000_000_000;

/// Views that take several profiles, and whose output is the same each time.
const VIEWS: [&[&str]; 14] = [
    &["report"],
    &["report", "--format", "json"],
    &["report", "--format", "csv"],
    &["report", "--format", "html"],
    &["summary"],
    &["summary", "--format", "json"],
    &["tree"],
    &["flamegraph"],
    &["timeline"],
    &["leaks", "--format", "json"],
    &["temporary"],
    &["types", "--format", "json"],
    &["processes", "--format", "json"],
    &["export", "--format", "folded"],
];

/// A profile of run `run` and process `pid`, which keeps so many bytes.
fn write(folder: &Path, run: u64, pid: u32, bytes: u64) {
    let mut builder = Builder::new();
    builder.module("/none/app");
    builder.header.run_id = run;
    builder.header.pid = pid;
    builder.header.started_unix_ns = (1_790_000_000 + u64::from(pid)) * SECOND;
    builder.header.final_ns = 2 * SECOND;
    let keep = builder.stack(&[Frame::new(0, 0x10), Frame::new(0, 0x20)]);
    builder.allocated(keep, bytes, 2);
    let path = folder.join(format!("app.{pid}.memprof"));
    fs::write(&path, builder.to_bytes()).unwrap();
}

/// Two processes of run 7, and one of a run before.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 5, 1, 70_000);
    write(folder.path(), 7, 2, 5_000);
    write(folder.path(), 7, 3, 1_000);
    for (pid, age) in [(1, 60), (2, 3), (3, 2)] {
        let path = folder.path().join(format!("app.{pid}.memprof"));
        let file = fs::File::options().write(true).open(path).unwrap();
        let then = std::time::SystemTime::now() - std::time::Duration::from_secs(age);
        file.set_modified(then).unwrap();
    }
    folder
}

fn memprof(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(MEMPROF);
    command.args(arguments).current_dir(folder);
    command.output().unwrap()
}

fn said(folder: &Path, arguments: &[&str]) -> String {
    let output = memprof(folder, arguments);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// The error that the arguments lead to.
fn refused(folder: &Path, arguments: &[&str]) -> String {
    let output = memprof(folder, arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    text(&output.stderr)
}

#[test]
fn every_view_takes_many_profiles_as_one() {
    let folder = folder();
    let folder = folder.path();
    said(
        folder,
        &["merge", "app.2.memprof", "app.3.memprof", "-o", "all"],
    );
    for view in VIEWS {
        let files = [view, &["app.3.memprof", "app.2.memprof"]].concat();
        let merged = said(folder, &[view, &["all"]].concat());
        assert_eq!(said(folder, &files), merged, "{view:?}");
        assert_eq!(said(folder, &[view, &["--run", "1"]].concat()), merged);
        assert_ne!(said(folder, &[view, &["--run", "2"]].concat()), merged);
    }
    for format in [
        "pprof",
        "dhat",
        "speedscope",
        "firefox",
        "json",
        "csv",
        "otlp",
    ] {
        said(folder, &["export", "--format", format, "all"]);
    }
    let timeline = said(folder, &["timeline", "all"]);
    let head = "app: 2 processes, peak 5.9 KiB at ";
    assert!(timeline.starts_with(head), "{timeline}");
    let summary = said(folder, &["summary", "all"]);
    assert!(
        summary.starts_with("app (2 processes), merged\n"),
        "{summary}"
    );
    assert!(summary.contains("Note: these are 2 profiles of 1 program, added up"));
    assert!(summary.contains("5.9 KiB (6,000 B)"), "{summary}");
    let json: serde_json::Value =
        serde_json::from_str(&said(folder, &["summary", "--format", "json", "all"])).unwrap();
    assert_eq!(json["recording"]["processes"], 2);
    let same = said(folder, &["diff", "all", "all"]);
    assert!(
        same.contains("No function changed in any figure."),
        "{same}"
    );
}

#[test]
fn what_was_merged_of_a_run_is_not_counted_beside_its_parts() {
    let folder = folder();
    let folder = folder.path();
    said(folder, &["merge", "--run", "1", "-o", "all.memprof"]);
    let summary = said(folder, &["summary", "--run", "1"]);
    assert!(summary.contains("5.9 KiB (6,000 B)"), "{summary}");
    let newest = memprof(folder, &["summary"]);
    assert_eq!(
        (text(&newest.stdout), text(&newest.stderr)),
        (summary.clone(), String::new())
    );
    let all = ["summary", "app.2.memprof", "all.memprof", "app.3.memprof"];
    let beside = said(folder, &all);
    assert!(beside.contains("5.9 KiB (6,000 B)"), "{beside}");
    let note = "all.memprof: what they were merged of is counted already.";
    assert!(beside.contains(note), "{beside}");
    for part in ["app.2.memprof", "app.3.memprof"] {
        fs::remove_file(folder.join(part)).unwrap();
    }
    assert_eq!(said(folder, &["summary", "--run", "1"]), summary);
}

#[test]
fn what_holds_no_recording_is_left_out_and_said() {
    let folder = folder();
    let folder = folder.path();
    fs::write(folder.join("empty.memprof"), "").unwrap();
    fs::copy(folder.join("app.2.memprof"), folder.join("copy.memprof")).unwrap();
    let mut lists = Builder::new();
    (lists.header.pid, lists.header.test_phase) = (9, 1);
    fs::write(folder.join("lists.memprof"), lists.to_bytes()).unwrap();
    let all = [
        "report",
        "lists.memprof",
        "app.2.memprof",
        "app.3.memprof",
        "copy.memprof",
        "empty.memprof",
    ];
    let report = said(folder, &all);
    for words in [
        "Note: not among these figures: empty.memprof: they hold no recording.",
        "Note: not among these figures: copy.memprof: they are copies of others.",
        "Note: not among these figures: lists.memprof: their processes only list tests.",
    ] {
        assert!(report.contains(words), "{report}");
    }
    let error = refused(folder, &["report", "app.2.memprof", "typo.memprof"]);
    assert!(error.contains("cannot read typo.memprof"), "{error}");
    let error = refused(folder, &["report", "empty.memprof", "empty.memprof"]);
    assert!(error.contains("the recording never began"), "{error}");
}

#[test]
fn wishes_that_cannot_be_met_are_refused() {
    let folder = folder();
    let folder = folder.path();
    let error = refused(folder, &["report", "--run", "3"]);
    assert!(
        error.contains("of 2 runs of `memprof run`, so there is no run 3; 1 is the last"),
        "{error}"
    );
    refused(folder, &["report", "--run", "0"]);
    refused(folder, &["report", "--run", "1", "app.2.memprof"]);
    refused(folder, &["merge", "-o", "all"]);
    let error = refused(folder, &["rss", "--run", "1"]);
    assert!(error.contains("is of one process"), "{error}");
    let error = refused(folder, &["merge", "-o", "-", "app.2.memprof"]);
    assert!(error.contains("cannot go to standard output"), "{error}");
    let output = memprof(folder, &["report"]);
    let hint = text(&output.stderr);
    assert!(
        hint.contains("app.2.memprof is of the process that used most memory"),
        "{hint}"
    );
    assert!(hint.contains("all as one with `--run 1`"), "{hint}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_folder_is_cleaned_of_profiles_and_of_nothing_else() {
    let folder = folder();
    let folder = folder.path();
    said(folder, &["merge", "--run", "1", "-o", "all.memprof"]);
    fs::write(folder.join("notes.memprof"), "my notes").unwrap();
    let would = said(folder, &["clean", "--dry-run", "--keep-runs", "1"]);
    assert!(would.starts_with("would remove 1 profile ("), "{would}");
    assert_eq!(fs::read_dir(folder).unwrap().count(), 5);
    let done = said(folder, &["clean", "--keep-runs", "1"]);
    let (first, rest) = done.split_once('\n').unwrap();
    assert!(first.starts_with("removed 1 profile ("), "{done}");
    let kept = "kept 2 files: of the last runs\nkept 1 file: a copy, or merged\n\
                kept 1 file: no profile at all\n";
    assert_eq!(rest, kept);
    assert!(!folder.join("app.1.memprof").exists());
    let done = said(Path::new("/"), &["clean", folder.to_str().unwrap()]);
    assert!(done.starts_with("removed 2 profiles ("), "{done}");
    assert_eq!(fs::read_dir(folder).unwrap().count(), 2);
    let error = refused(folder, &["clean", "no/such"]);
    assert!(error.contains("name a folder that is there"), "{error}");
}
