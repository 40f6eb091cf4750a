//! `memprof report` and `memprof summary` as a user runs them, on a profile of a small compiled
//! program.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use memprof::profile::{Frame, builder::Builder};
use object::{Object, ObjectSymbol};
use tempfile::TempDir;

const PROGRAM: &str = "\
#[inline(never)]
fn grow() -> Vec<u8> {
    vec![0; 3 << 20]
}

fn main() {
    drop(std::hint::black_box(grow()));
}
";

/// A folder with `app.rs`, `app`, and `app.memprof`, which says that the first call in `grow`
/// allocated 3 MiB.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("app.rs"), PROGRAM).unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let status = Command::new(rustc)
        .current_dir(folder.path())
        .args(["--edition=2021", "-Cdebuginfo=1", "app.rs", "-o", "app"])
        .status()
        .unwrap();
    assert!(status.success());
    let app = folder.path().join("app");
    let bytes = fs::read(&app).unwrap();
    let object = object::File::parse(&*bytes).unwrap();
    let grow = object
        .symbols()
        .find(|symbol| symbol.name().is_ok_and(|name| name.contains("grow")));
    let grow = grow.unwrap();
    let last = grow.address() + grow.size() - 1;

    let mut builder = Builder::new();
    builder.module(&app);
    // Any address of the function will do: all of them are on its lines.
    let frame = Frame::new(0, last);
    let stack = builder.stack(&[frame]);
    builder.allocated(stack, 3 << 20, 1);
    builder.heap_after(&[frame], 3 << 20);
    fs::write(folder.path().join("app.memprof"), builder.to_bytes()).unwrap();
    folder
}

fn memprof(folder: &Path, args: &[&str]) -> Output {
    (Command::new(env!("CARGO_BIN_EXE_memprof"))
        .current_dir(folder)
        .args(args))
    .output()
    .unwrap()
}

fn stdout(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn reports_the_newest_profile_of_the_folder() {
    let folder = folder();
    let text = stdout(&memprof(folder.path(), &["report"]));
    assert!(
        text.starts_with("Filename: app.rs\n\nLine #    Mem usage    Increment   Line Contents\n"),
        "{text}"
    );
    assert!(
        text.contains("     2                             fn grow() -> Vec<u8> {\n"),
        "{text}"
    );
    assert!(text.contains("      3.0 MiB      3.0 MiB   "), "{text}");
    assert!(!text.contains('\x1b'), "no colour into a pipe");

    let older = folder.path().join("older.memprof");
    fs::write(&older, "not a profile").unwrap();
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    fs::File::open(&older)
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
    assert_eq!(stdout(&memprof(folder.path(), &["report"])), text);
}

#[test]
fn of_a_run_with_several_the_profile_with_most_memory_is_reported() {
    let folder = folder();
    let write = |name: &str, pid: u32, peak: u64, forked_from: u64, heap_base: u64| {
        let mut builder = Builder::new();
        let header = &mut builder.header;
        (header.run_id, header.pid, header.started_unix_ns) = (7, pid, u64::from(pid));
        (header.peak, header.forked_from, header.heap_base) = (peak, forked_from, heap_base);
        fs::write(folder.path().join(name), builder.to_bytes()).unwrap();
    };
    write("worker.2.memprof", 2, 5 << 20, 0, 0);
    fs::copy(
        folder.path().join("worker.2.memprof"),
        folder.path().join("copy.memprof"),
    )
    .unwrap();
    // Most of what the child had at its peak is its parent's.
    write("worker.3.memprof", 3, 9 << 20, 2, 5 << 20);
    write("shell.1.memprof", 1, 1 << 10, 0, 0);
    let output = memprof(folder.path(), &["summary"]);
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    let chosen = said.split(' ').nth(1).unwrap();
    assert!(
        ["worker.2.memprof", "copy.memprof"].contains(&chosen),
        "{said}"
    );
    assert!(
        said.contains("is of the process that used most memory, of the 3 profiles of this run"),
        "{said}"
    );
    assert!(stdout(&output).contains("(process 2)"));
    // A library that records began after its program, and is not asked for; a shell that became the
    // program is not either.
    let other = |name: &str, program: &str, pid: u32, started: u64, peak: u64| {
        let mut builder = Builder::new();
        builder.module(program);
        let header = &mut builder.header;
        (header.run_id, header.pid, header.started_unix_ns) = (8 + u64::from(pid), pid, started);
        header.peak = peak;
        fs::write(folder.path().join(name), builder.to_bytes()).unwrap();
    };
    let chosen = |peak: &str| {
        let output = memprof(folder.path(), &["summary"]);
        assert!(output.stderr.is_empty(), "one process");
        assert!(stdout(&output).contains(peak), "{}", stdout(&output));
    };
    other("host.4.memprof", "host", 4, 1, 1 << 10);
    other("host.4.two.so.memprof", "host", 4, 2, 3 << 20);
    chosen("1.0 KiB");
    other("sh.5.memprof", "/bin/sh", 5, 1, 6 << 20);
    other("app.5.memprof", "app", 5, 2, 7 << 20);
    chosen("7.0 MiB");
    // One that was named, or stands alone, needs no word.
    for alone in [
        &["summary", "shell.1.memprof"][..],
        &["summary", "app.memprof"],
    ] {
        assert!(memprof(folder.path(), alone).stderr.is_empty());
    }
}

#[test]
fn a_program_and_its_source_may_have_moved() {
    let folder = folder();
    let text = stdout(&memprof(folder.path(), &["report"]));
    fs::create_dir(folder.path().join("new")).unwrap();
    fs::rename(folder.path().join("app"), folder.path().join("new/renamed")).unwrap();
    fs::rename(
        folder.path().join("app.rs"),
        folder.path().join("new/app.rs"),
    )
    .unwrap();

    let lost = stdout(&memprof(folder.path(), &["report"]));
    assert!(lost.contains("say with --path-map where it is"), "{lost}");
    let program = ["report", "--path-map", "app=new/renamed"];
    let lost = stdout(&memprof(folder.path(), &program));
    assert!(
        lost.contains("source not found") && lost.contains("app.rs"),
        "{lost}"
    );

    let expected = text.replace("Filename: app.rs", "Filename: new/app.rs");
    for source in [
        ["--source-root", "./new"],
        ["--path-map", "app.rs=new/app.rs"],
    ] {
        let found = stdout(&memprof(folder.path(), &[&program[..], &source].concat()));
        assert_eq!(found, expected, "{source:?}");
    }
}

#[test]
fn what_is_no_file_is_no_profile() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("folder.memprof")).unwrap();
    let fifo = Command::new("mkfifo").arg(path("pipe.memprof")).status();
    assert!(fifo.unwrap().success());
    // Both are newer than the profile, and opening a pipe that nobody writes to would wait for
    // ever.
    stdout(&memprof(folder.path(), &["report"]));
    for name in ["folder.memprof", "pipe.memprof"] {
        let error = refusal(&memprof(folder.path(), &["report", name]));
        assert!(
            error.contains("not a regular file; name a profile"),
            "{error}"
        );
    }
}

#[test]
fn other_forms_and_files() {
    let folder = folder();
    let json = stdout(&memprof(
        folder.path(),
        &["report", "app.memprof", "--format", "json"],
    ));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["functions"][0]["total"]["allocated"], 3 << 20);
    let csv = stdout(&memprof(
        folder.path(),
        &["report", "--format", "csv", "--lines", "touched"],
    ));
    assert_eq!(csv.lines().count(), 2, "{csv}");
    let text = stdout(&memprof(folder.path(), &["summary"]));
    assert!(
        text.contains("app (process 1), recording finished"),
        "{text}"
    );
    assert!(text.contains("app::grow"), "{text}");
    stdout(&memprof(
        folder.path(),
        &["summary", "--format", "json", "-o", "out.json"],
    ));
    let json = fs::read_to_string(folder.path().join("out.json")).unwrap();
    assert!(json.contains("\"schema\": \"memprof-summary/1\""));
    let coloured = (Command::new(env!("CARGO_BIN_EXE_memprof")).current_dir(folder.path()))
        .args(["report", "--columns", "At peak,count,at_peak"])
        .env("CLICOLOR_FORCE", "1")
        .output()
        .unwrap();
    assert!(stdout(&coloured).contains("\x1b[1mFilename"));
}

#[test]
fn errors_are_one_line_with_a_remedy() {
    let folder = folder();
    let empty = tempfile::tempdir().unwrap();
    let error = refusal(&memprof(empty.path(), &["report"]));
    assert!(error.contains("memprof run -- PROGRAM"), "{error}");
    let error = refusal(&memprof(folder.path(), &["report", "app.rs"]));
    assert_eq!(
        error,
        "memprof: app.rs is not a profile; `memprof run -- PROGRAM` writes one\n"
    );
    let error = refusal(&memprof(folder.path(), &["report", "--function", "grwo"]));
    assert!(error.contains("nearest are:\n  app::grow"), "{error}");
    let error = refusal(&memprof(folder.path(), &["report", "--columns", "runs"]));
    assert!(error.contains("reallocated or occurrences"), "{error}");

    let error = refusal(&memprof(folder.path(), &["report", "gone.memprof"]));
    assert_eq!(
        error,
        "memprof: cannot read gone.memprof: No such file or directory (os error 2); \
         `memprof run -- PROGRAM` writes a profile, `ls *.memprof` lists those of this folder\n"
    );
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = folder();
    let mut child = (Command::new(env!("CARGO_BIN_EXE_memprof")).current_dir(folder.path()))
        .args(["report", "--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
    let mut errors = String::new();
    child.stderr.unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!(errors, "");
}

#[test]
fn every_view_has_a_command() {
    let folder = folder();
    let shows = |args: &[&str], expected: &str| {
        let text = stdout(&memprof(folder.path(), args));
        assert!(text.contains(expected), "{args:?}: {text}");
        assert!(!text.contains('\x1b'), "no colour into a pipe");
    };
    shows(
        &["tree"],
        "Bytes in use at the peak: 3.0 MiB; callees below",
    );
    shows(
        &["tree", "--inverted", "--of", "count"],
        "Blocks allocated: 1;",
    );
    shows(&["leaks"], "Live at the end: 3.0 MiB in 1 blocks");
    shows(&["temporary"], "Temporary: 0 B in 0 blocks");
    shows(&["timeline"], "peak 3.0 MiB");
    shows(&["flamegraph"], "app::grow");
    shows(&["report", "--format", "html"], "Content-Security-Policy");
    stdout(&memprof(folder.path(), &["timeline", "-o", "time.svg"]));
    let svg = fs::read_to_string(folder.path().join("time.svg")).unwrap();
    assert!(svg.contains("peak 3.0 MiB"), "{svg}");

    let error = refusal(&memprof(folder.path(), &["timeline", "-o", "time.gif"]));
    assert!(error.contains("end in .svg or .png"), "{error}");
    let error = refusal(&memprof(folder.path(), &["tree", "--of", "increment"]));
    assert!(error.contains("choose `--of allocated`"), "{error}");

    for view in ["tree", "flamegraph", "timeline", "leaks", "temporary"] {
        let mut child = (Command::new(env!("CARGO_BIN_EXE_memprof")).current_dir(folder.path()))
            .arg(view)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{view}");
        assert!(
            output.stderr.is_empty(),
            "{view}: a reader that goes away is no error"
        );
    }
}
