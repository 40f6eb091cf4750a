//! `memprof run` stands in nobody's way: stdio, signals and exit codes pass through, and it says
//! what was recorded.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use crate::built::{MEMPROF, example, text};
use crate::memory_group::MemoryGroup;
use crate::skip::skip;
use rustix::process::{Pid, Signal, kill_process};

/// A command that finds no signal ignored, even where these tests run under `nohup` or in a shell's
/// background.
fn with_default_signals(program: &str) -> Command {
    let mut command = Command::new("env");
    command.args(["--default-signal", program]);
    command
}

/// `memprof run` with the arguments given, in `folder`.
fn memprof_run(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = with_default_signals(MEMPROF);
    command.arg("run").args(arguments).current_dir(folder);
    command
}

/// Runs it in an empty folder, to its end, and records only programs that have the crate.
fn ended(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [&["--no-preload"], arguments].concat();
    let output = memprof_run(folder.path(), &arguments).output().unwrap();
    assert_eq!(
        fs::read_dir(&folder).unwrap().count(),
        0,
        "nothing is left behind"
    );
    output
}

/// Says `ready`, then waits for signals; not for ever, lest a lost signal hang the test.
const LINGER: &str =
    "echo ready; i=0; while [ $i -lt 500 ]; do i=$((i+1)); sleep 0.01; done; exit 99";

/// A shell script under `memprof run` that has said its first line.
struct Running {
    memprof: Child,
    stdout: BufReader<ChildStdout>,
    _folder: tempfile::TempDir,
}

impl Running {
    fn script(script: &str) -> Running {
        let folder = tempfile::tempdir().unwrap();
        let mut memprof = memprof_run(folder.path(), &["--", "sh", "-c", script])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(memprof.stdout.take().unwrap());
        let mut running = Running {
            memprof,
            stdout,
            _folder: folder,
        };
        assert_eq!(running.line(), "ready\n");
        running
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.memprof), signal).unwrap();
    }

    /// What it still had to say, and its exit code.
    fn end(mut self) -> (String, Option<i32>) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (rest, self.memprof.wait().unwrap().code())
    }
}

#[test]
fn exit_code_is_the_programs() {
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143)] {
        assert_eq!(
            ended(&["--", "sh", "-c", script]).status.code(),
            Some(code),
            "{script}"
        );
    }
}

#[test]
fn bytes_pass_through_untouched() {
    let bytes: Vec<u8> = (0..1_000_000_u32)
        .map(|i| (i.wrapping_mul(i) >> 7) as u8)
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let mut memprof = memprof_run(folder.path(), &["--", "sh", "-c", "echo aside >&2; cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = memprof.stdin.take().unwrap();
    let sent = bytes.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&sent));
    let output = memprof.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.stdout == bytes);
    assert!(text(&output.stderr).starts_with("aside\nmemprof: "));
}

#[test]
fn arguments_and_options_of_the_program_are_its_own() {
    let output = ended(&["echo", "--report", "-o", "--", "two  words"]);
    assert_eq!(text(&output.stdout), "--report -o -- two  words\n");
    let refused = ended(&["--no-such-option", "echo"]);
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn signals_sent_to_memprof_reach_the_program() {
    let signals = [
        ("TERM", Signal::TERM),
        ("HUP", Signal::HUP),
        ("INT", Signal::INT),
        ("QUIT", Signal::QUIT),
        ("USR1", Signal::USR1),
        ("USR2", Signal::USR2),
        ("WINCH", Signal::WINCH),
    ];
    for (name, signal) in signals {
        let trap = format!("trap 'echo {name}; exit 3' {name}");
        let running = Running::script(&format!("{trap}; {LINGER}"));
        running.send(signal);
        assert_eq!(running.end(), (format!("{name}\n"), Some(3)));
    }
}

#[test]
fn a_signal_is_passed_on_once_and_the_program_may_live_on() {
    let traps = "trap 'echo INT' INT; trap 'echo bye; exit 0' TERM";
    let mut running = Running::script(&format!("{traps}; {LINGER}"));
    running.send(Signal::INT);
    assert_eq!(running.line(), "INT\n");
    running.send(Signal::TERM);
    assert_eq!(running.end(), ("bye\n".to_owned(), Some(0)));
}

#[test]
fn a_signal_that_kills_the_program_is_its_exit_code() {
    let running = Running::script("echo ready; exec sleep 60");
    running.send(Signal::TERM);
    assert_eq!(running.end(), (String::new(), Some(143)));
}

#[test]
fn a_program_that_signals_its_group_gets_the_signal_once() {
    // A group of its own, so that the signal reaches nobody else.
    let script = "trap 'echo USR1' USR1; kill -USR1 0; sleep 0.1; exit 4";
    let folder = tempfile::tempdir().unwrap();
    let output = memprof_run(folder.path(), &["--", "sh", "-c", script])
        .process_group(0)
        .output()
        .unwrap();
    assert_eq!(
        (text(&output.stdout).as_str(), output.status.code()),
        ("USR1\n", Some(4))
    );
}

#[test]
fn ctrl_c_reaches_the_program_once() {
    // Each side waits for the other: `typed` for the program's `ready`, the program for the key.
    let program = "trap 'echo INT' INT; : > ready; sleep 10; sleep 0.5; exit 5";
    let typed = "until [ -e ready ]; do sleep 0.01; done; printf '\\003'; sleep 1";
    // `script`, of util-linux, gives the program a terminal to be typed at. A shell that stayed in
    // between would get the signal too, and end by it.
    let run = format!(r#"exec {MEMPROF} run -- sh -c \"{program}\""#);
    let terminal = format!(r#"({typed}) | script -qec "{run}" /dev/null"#);
    if Command::new("script").arg("--version").output().is_err() {
        return skip("keys at a terminal: no `script` (apt-get install bsdutils)");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut shell = with_default_signals("sh");
    let output = shell
        .args(["-c", &terminal])
        // `script` runs what it is given in the user's shell, which may be any.
        .env("SHELL", "/bin/sh")
        .current_dir(&folder)
        .output()
        .unwrap();
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert_eq!(
        said.lines().filter(|line| line.ends_with("INT")).count(),
        1,
        "{said}"
    );
}

#[test]
fn what_nohup_ignores_stays_ignored() {
    let script = format!("trap '' HUP; exec {MEMPROF} run -- sh -c 'kill -HUP $$; exit 5'");
    let folder = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    let output = shell
        .args(["-c", &script])
        .current_dir(&folder)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(5));
}

#[test]
fn a_program_that_cannot_run_is_told_as_by_a_shell() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    fs::write(&plain, "not a program").unwrap();
    let cases = [
        ("no-such-program", 127, "not found in PATH"),
        ("./no/such/program", 127, "does not exist"),
        ("./plain", 126, "chmod +x ./plain"),
        ("plain", 127, "write `./plain`"),
        ("/", 126, "is a folder"),
    ];
    for (program, code, message) in cases {
        let output = memprof_run(folder.path(), &["--", program])
            .output()
            .unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(
            said.contains(message) && said.lines().count() == 1,
            "{said}"
        );
    }
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o755)).unwrap();
    let output = memprof_run(folder.path(), &["--", "./plain"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(126), "{}", text(&output.stderr));
}

#[test]
fn an_output_that_cannot_be_written_is_told_before_the_program_runs() {
    let cases = [
        ("no/such/folder/x.memprof", "mkdir -p"),
        (
            "/proc/x.memprof",
            "cannot write to the output folder `/proc`",
        ),
        ("/tmp", "is a folder"),
    ];
    for (file, message) in cases {
        let output = ended(&["-o", file, "--", "echo", "ran"]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains(message) && said.lines().count() == 1,
            "{said}"
        );
        assert!(output.stdout.is_empty(), "it did not run");
    }
}

#[test]
fn an_existing_file_is_kept_unless_forced() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.memprof");
    fs::write(&file, "precious").unwrap();
    let run = |arguments: &[&str]| {
        let arguments = [&["--no-preload"], arguments].concat();
        memprof_run(folder.path(), &arguments).output().unwrap()
    };

    let output = run(&["-o", "x.memprof", "--", "echo", "ran"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--overwrite"));
    assert!(output.stdout.is_empty(), "it did not run");

    // Nothing is removed for a program that cannot run anyway.
    run(&["-o", "x.memprof", "--overwrite", "--", "no-such-program"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");

    let output = run(&["-o", "x.memprof", "--overwrite", "--", "echo", "ran"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(!file.exists());
}

#[test]
fn without_the_allocator_it_shows_the_lines_to_add() {
    let output = ended(&["--", "sh", "-c", "exit 9"]);
    assert_eq!(output.status.code(), Some(9));
    let said = text(&output.stderr);
    let lines = [
        "cargo add profiler-alloc",
        "use profiler_alloc::ProfilerAlloc;",
        "#[global_allocator] static ALLOC: ProfilerAlloc = ProfilerAlloc::system();",
    ];
    for line in lines {
        assert!(said.contains(line), "{said}");
    }
}

#[test]
fn the_recorder_is_asked_by_the_environment() {
    let script = "echo $MEMPROF_OUTPUT $MEMPROF_SAMPLE $MEMPROF_STACK_DEPTH $MEMPROF_TIMELINE_MS";
    let options = [
        "--sample",
        "64KiB",
        "--stack-depth",
        "32",
        "--timeline-interval",
        "2s",
    ];
    let output = ended(&[&options[..], &["--", "sh", "-c", script]].concat());
    let said = text(&output.stdout);
    assert!(said.starts_with('/'), "an absolute path: {said}");
    assert!(said.ends_with("/%e.%p.memprof 65536 32 2000\n"), "{said}");
}

#[test]
fn what_the_recorder_would_refuse_is_refused_before_the_program_starts() {
    let refused = [
        (["--stack-depth", "5"], "write 16 to 8192 frames"),
        (["--stack-depth", "8193"], "write 16 to 8192 frames"),
        (["--sample", "2TiB"], "from 1 byte to 1 TiB"),
        (["--sample", "0"], "from 1 byte to 1 TiB"),
        (["--overhead", "101"], "a percentage from 0 to 100"),
        (["--timeline-interval", "10us"], "from 1 ms to 1440 min"),
        (["--timeline-interval", "1500min"], "from 1 ms to 1440 min"),
    ];
    for (option, range) in refused {
        let output = ended(&[&option[..], &["--", "echo", "started"]].concat());
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{option:?}");
        assert_eq!(text(&output.stdout), "", "{option:?}");
        assert!(said.contains(range), "{option:?}: {said}");
    }
}

/// A program's recorder takes every value that the command takes, at the ends of the ranges too.
#[test]
fn what_is_asked_for_is_what_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let program = example("lists");
    let asked = [
        (["--sample", "8GiB", "--stack-depth", "16"], (8 << 30, 16)),
        (
            ["--sample", "1TiB", "--stack-depth", "8192"],
            (1 << 40, 8192),
        ),
        (["--sample", "1B", "--overhead", "0"], (1, 512)),
    ];
    for (options, expected) in asked {
        let place = [
            "-o",
            "x.memprof",
            "--overwrite",
            "--",
            program.to_str().unwrap(),
        ];
        let arguments = [&options[..], &place].concat();
        let output = memprof_run(folder.path(), &arguments).output().unwrap();
        let said = text(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(
            !said.contains("profiler-alloc:"),
            "nothing is refused: {said}"
        );
        let (profile, _) = memprof::profile::read(&folder.path().join("x.memprof")).unwrap();
        let header = profile.header;
        assert_eq!(
            (header.interval, header.stack_depth),
            expected,
            "{options:?}"
        );
    }
}

/// As programs are started that were moved to another machine with their loader.
#[test]
fn a_program_started_by_its_loader_is_the_program() {
    let loader = match std::env::consts::ARCH {
        "x86_64" => "/lib64/ld-linux-x86-64.so.2",
        _ => "/lib/ld-linux-aarch64.so.1",
    };
    let folder = tempfile::tempdir().unwrap();
    let program = example("lists");
    let arguments = ["-o", "x.memprof", "--", loader, program.to_str().unwrap()];
    let output = memprof_run(folder.path(), &arguments).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report = (Command::new(MEMPROF).args(["report", "x.memprof"]))
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(report.status.success(), "{}", text(&report.stderr));
    assert!(
        text(&report.stdout).contains("lists.rs"),
        "{}",
        text(&report.stdout)
    );
}

#[test]
fn a_profile_does_not_go_to_standard_output() {
    let output = ended(&["-o", "-", "--", "true"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("name a file with -o"));
}

#[test]
fn two_lines_tell_what_was_recorded_and_what_comes_next() {
    let folder = tempfile::tempdir().unwrap();
    let program = example("lists");
    let arguments = ["-o", "x.memprof", "--", program.to_str().unwrap()];
    let output = memprof_run(folder.path(), &arguments).output().unwrap();
    let said = text(&output.stderr);
    let lines: Vec<_> = said.lines().collect();
    let [recorded, next] = lines[..] else {
        panic!("two lines: {said}");
    };
    assert!(
        recorded.starts_with("memprof: recorded x.memprof: peak 2.3 MiB heap ("),
        "{said}"
    );
    assert!(recorded.ends_with(" stacks, no losses"), "{said}");
    assert_eq!(next, "memprof: next: memprof report x.memprof");
}

#[test]
fn what_a_run_calls_its_own_every_view_does() {
    let folder = tempfile::tempdir().unwrap();
    let program = example("push");
    let arguments = [
        "--own",
        "alloc,no-such",
        "-o",
        "x.memprof",
        "--",
        program.to_str().unwrap(),
    ];
    let output = memprof_run(folder.path(), &arguments).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let view = |arguments: &[&str]| {
        let mut command = Command::new(MEMPROF);
        let output = command
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .unwrap();
        text(&output.stdout)
    };
    let std = "library/alloc/src/vec/mod.rs";
    for arguments in [&["report"][..], &["summary"], &["temporary"], &["tree"]] {
        let asked_for = [arguments, &["--own", "no-such"]].concat();
        assert!(view(arguments).contains(std), "{}", view(arguments));
        // What is asked for goes before what the run said.
        assert!(!view(&asked_for).contains(std), "{}", view(&asked_for));
    }
}

#[test]
fn every_program_of_a_script_has_a_profile_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("both.sh");
    let (lists, leak) = (example("lists"), example("leak"));
    let lines = format!(
        "#!/bin/sh\n{}\n{}\nexit 6\n",
        lists.display(),
        leak.display()
    );
    fs::write(&script, lines).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();

    let output = memprof_run(folder.path(), &["./both.sh"]).output().unwrap();
    assert_eq!(output.status.code(), Some(6));
    let said = text(&output.stderr);
    let lines: Vec<_> = said.lines().collect();
    let [most, less, shell, all, next] = lines[..] else {
        panic!("five lines: {said}");
    };
    assert!(most.starts_with("memprof: recorded leak."), "{said}");
    assert!(less.starts_with("memprof: recorded lists."), "{said}");
    assert!(shell.starts_with("memprof: recorded "), "{said}");
    assert!(
        all.starts_with("memprof: all 3 profiles take ")
            && all.ends_with("memprof processes --run 1"),
        "{said}"
    );
    // The shell holds next to nothing.
    assert!(
        next.starts_with("memprof: next: memprof report leak."),
        "{said}"
    );
}

#[test]
fn a_program_that_goes_on_in_the_background_is_said_to() {
    let folder = tempfile::tempdir().unwrap();
    // The program waits for the end of the pipe that this test holds; the shell waits for the
    // program's first line only.
    let program = example("killed");
    let script = format!(
        "exec 3<&0; {} <&3 >ready & until [ -s ready ]; do sleep 0.01; done",
        program.display()
    );
    let mut memprof = memprof_run(folder.path(), &["--", "sh", "-c", &script])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pipe = memprof.stdin.take();
    let mut said = String::new();
    // Its own end closes it only after the program's, which has it too.
    let mut stderr = BufReader::new(memprof.stderr.take().unwrap());
    while !said.contains("next:") && stderr.read_line(&mut said).unwrap() > 0 {}
    assert!(
        said.contains(".memprof so far, as the program still runs: peak 20.0 MiB"),
        "{said}"
    );
    drop(pipe);
    memprof.wait().unwrap();
}

#[test]
fn a_cleared_environment_is_named_as_a_reason() {
    let program = example("lists");
    let output = ended(&["--", "env", "-i", program.to_str().unwrap()]);
    assert!(output.status.success());
    assert!(text(&output.stderr).contains("its environment was cleared"));
}

#[test]
fn report_is_printed_right_away() {
    let folder = tempfile::tempdir().unwrap();
    let program = example("lists");
    let arguments = ["--report", "--", program.to_str().unwrap()];
    let output = memprof_run(folder.path(), &arguments).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("let arr1: Vec<i64> = random_list(100_000);"));
}

/// What `memprof VIEW` says of the only profile in `folder`.
fn view_of(folder: &Path, view: &[&str]) -> String {
    let mut files = fs::read_dir(folder).unwrap();
    let profile = files.next().expect("a profile").unwrap().path();
    assert!(files.next().is_none(), "one profile");
    let output = Command::new(MEMPROF)
        .args(view)
        .arg(profile)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).to_owned()
}

#[test]
fn what_the_oom_killer_took_is_the_last_word_and_the_first_of_every_view() {
    let example = example("killed");
    // The program itself, and one that it starts and outlives.
    for (name, script, code) in [
        ("program", r#"exec "$0" all"#, 137),
        ("child", r#""$0" all; exit 3"#, 3),
    ] {
        let group = format!("memprof-test-run-{name}-{}", std::process::id());
        let Some(group) = MemoryGroup::new(&group, 96 << 20) else {
            return skip("last words of a killed program: this user cannot make a memory group");
        };
        let folder = tempfile::tempdir().unwrap();
        let members = group.members();
        let joined = r#"echo $$ > "$1" && shift && exec "$@""#;
        let output = Command::new("sh")
            .args(["-c", joined, "sh"])
            .arg(members)
            .args([MEMPROF, "run", "--no-preload", "--", "sh", "-c", script])
            .arg(&example)
            .current_dir(&folder)
            .output()
            .unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        let last = said.lines().find(|line| line.contains("OOM killer"));
        let last = last.expect(&said);
        for part in [
            "memprof: killed (process ",
            " was killed by the OOM killer 0.",
            " after its last figures: heap ",
            " of the 96.0 MiB its control group may have",
            " % of the heap at examples/killed.rs:28 (killed::take_all)",
            " in route=/all",
        ] {
            assert!(last.contains(part), "{part}: {last}");
        }
        let report = view_of(folder.path(), &["report"]);
        let first = report.lines().next().unwrap_or_default();
        let begin = "The program was killed by the OOM killer 0.";
        assert!(first.starts_with(begin), "{first}");
        assert_eq!(report.matches("OOM killer").count(), 1, "{report}");
        assert!(!report.contains("still runs"), "{report}");
        let summary = view_of(folder.path(), &["summary", "--format", "json"]);
        let summary: serde_json::Value = serde_json::from_str(&summary).expect("JSON");
        let killed = &summary["recording"]["killed"];
        assert_eq!(killed["oom_killer"], true, "{killed}");
        assert_eq!(killed["memory_limit"], 96 << 20, "{killed}");
        let heap = summary["recording"]["heap"].as_i64().unwrap();
        assert!((70 << 20..96 << 20).contains(&heap), "{heap}");
    }
}

#[test]
fn the_signal_that_ended_a_program_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let example = example("killed");
    let example = example.to_str().unwrap();
    let output = memprof_run(folder.path(), &["--no-preload", "--", example, "abort"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(134));
    let said = text(&output.stderr);
    let words = "was ended by SIGABRT (signal 6) 0.";
    assert!(said.contains(words), "{said}");
    assert!(said.contains("heap 10.0 MiB"), "{said}");
    let summary = view_of(folder.path(), &["summary"]);
    let first = summary.lines().next().unwrap_or_default();
    assert!(first.ends_with("ended by SIGABRT (signal 6)"), "{first}");
}
