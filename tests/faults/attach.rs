//! `memprof attach`: a program that only counts is asked to record itself, under load, while it
//! does nothing, and in vain.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use memprof::attach::{Asking, AttachError, Outcome, RunningProcess, Wish};
use memprof::profile::{self, State};
use profiler_alloc_format::env as settings;
use rustix::process::{Pid, Signal, kill_process};

use crate::Named;
use crate::child::{Place, times, wait_until};

pub const TESTS: &[Named] = &[
    (
        "attach::a_hundred_times_under_load",
        a_hundred_times_under_load,
    ),
    (
        "attach::an_idle_program_is_waited_for",
        an_idle_program_is_waited_for,
    ),
    ("attach::a_request_is_taken_back", a_request_is_taken_back),
    ("attach::refusals", refusals),
];

pub const ROLES: &[Named] = &[("takes_a_block_when_told", takes_a_block_when_told)];

const MEMPROF: &str = env!("CARGO_BIN_EXE_memprof");
const KEPT: usize = 3 << 20;

/// Allocates nothing of its own accord.
fn takes_a_block_when_told() {
    let kept = black_box(vec![1u8; KEPT]);
    let mut told = File::open("/dev/stdin").unwrap();
    let mut said = File::options().write(true).open("/dev/stdout").unwrap();
    let mut one = [0];
    said.write_all(b"r").unwrap();
    while told.read(&mut one).unwrap() == 1 {
        drop(black_box(vec![1u8; 1000]));
        said.write_all(b"t").unwrap();
    }
    drop(kept);
}

/// This program in `role`, which counts and is not recorded.
fn counting(place: &Place, role: &str) -> Child {
    let mut command = place.command(role, "all");
    command.env_remove(settings::OUTPUT);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A program that allocates nothing, once it has come so far.
struct Idle {
    child: Child,
}

impl Idle {
    fn start(place: &Place) -> Idle {
        let mut idle = Idle {
            child: counting(place, "takes_a_block_when_told"),
        };
        idle.wait_for(b'r');
        idle
    }

    /// It takes one block.
    fn tell(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        self.wait_for(b't');
    }

    fn wait_for(&mut self, word: u8) {
        let mut said = [0];
        self.child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut said)
            .unwrap();
        assert_eq!(said[0], word);
    }

    fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

/// Asks, and waits for the answer.
fn asked(process: &RunningProcess, wish: &Wish) -> Result<PathBuf, AttachError> {
    let asking = Asking::begin(process.clone(), wish)?;
    loop {
        match asking.look()? {
            Outcome::Done(path) => return Ok(path),
            Outcome::Waiting => thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn begin(pattern: &Path) -> Wish {
    let pattern = pattern.as_os_str().as_bytes().to_vec();
    Wish::Begin(vec![
        (settings::OUTPUT, pattern),
        (settings::SAMPLE, b"65536".to_vec()),
    ])
}

fn memprof(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(MEMPROF);
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn profiles(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension() == Some(OsStr::new("memprof")))
        .collect()
}

fn a_hundred_times_under_load() {
    let place = Place::new();
    let mut child = counting(&place, "churn_until_told");
    wait_until(&mut child, || {
        place.is_counting() && place.truth().allocs > 1_000
    });
    let process = RunningProcess::open(child.id()).unwrap();
    let open_files = || {
        fs::read_dir(format!("/proc/{}/fd", process.pid))
            .unwrap()
            .count()
    };
    let files = open_files();
    let pattern = place.folder().join("%e.%p.memprof");
    for round in 1..=times(100, 25) {
        let before = place.truth();
        let path = asked(&process, &begin(&pattern)).unwrap();
        let recorded = place.truth();
        wait_until(&mut child, || place.truth().allocs > recorded.allocs + 500);
        assert_eq!(asked(&process, &Wish::End).unwrap(), path);
        let after = place.truth();
        assert_eq!(profiles(place.folder()).len(), round, "one profile each");

        let (profile, defects) = profile::read(&path).unwrap();
        assert_eq!((profile.state(), defects), (State::Finished, vec![]));
        let counted = profile.counters();
        assert!(counted.allocs > 0, "threads have joined: {counted:?}");
        let most = after.alloc_bytes - before.alloc_bytes;
        assert!(
            counted.alloc_bytes <= most,
            "{} of {most}",
            counted.alloc_bytes
        );
        assert!(profile.header.heap_base > 0, "in use before the recording");
    }
    assert_eq!(open_files(), files, "what is over holds no file open");
    child.kill().unwrap();
    child.wait().unwrap();
}

fn an_idle_program_is_waited_for() {
    let place = Place::new();
    let mut idle = Idle::start(&place);
    let pid = idle.child.id().to_string();
    let ps = || {
        let output = memprof(&["ps", "--format", "json"], place.folder())
            .output()
            .unwrap();
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let programs = json["programs"].as_array().unwrap().clone();
        let found = programs
            .into_iter()
            .find(|program| program["pid"].as_u64() == pid.parse().ok());
        found.expect("it is listed")
    };
    let counting = ps();
    assert_eq!(
        (&counting["state"], &counting["profile"]),
        (&"counting".into(), &serde_json::Value::Null)
    );
    assert!(
        counting["heap"].as_u64().unwrap() >= KEPT as u64,
        "{counting}"
    );

    let mut attach = memprof(&["attach", &pid, "--sample", "all"], place.folder())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(attach.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let waiting = lines.next().unwrap();
    assert!(
        waiting.contains("allocates nothing at the moment"),
        "{waiting}"
    );
    idle.tell();
    let recording = lines.next().unwrap();
    assert!(
        recording.contains(&format!("recording process {pid}")),
        "{recording}"
    );
    assert!(
        lines
            .next()
            .unwrap()
            .ends_with(&format!("memprof attach --detach {pid}"))
    );
    assert!(attach.wait().unwrap().success());

    let recorded = ps();
    assert_eq!(recorded["state"], "recording", "{recorded}");
    let path = PathBuf::from(recorded["profile"].as_str().unwrap());
    assert_eq!(profiles(place.folder()), std::slice::from_ref(&path));
    for _ in 0..5 {
        idle.tell();
    }
    let mut mark = memprof(&["mark", &pid, "told five times"], place.folder())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until(&mut mark, || {
        idle.tell();
        false
    });
    let marked = said(&mark.wait_with_output().unwrap());
    assert!(
        marked.contains("marked \"told five times\" in "),
        "{marked}"
    );
    let detach = memprof(&["attach", "--detach", &pid], place.folder());
    let mut detach = { detach }.stderr(Stdio::piped()).spawn().unwrap();
    wait_until(&mut detach, || {
        idle.tell();
        false
    });
    let detached = detach.wait_with_output().unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(
        said(&detached).contains(&format!("recorded {name}: peak 3.0 MiB heap")),
        "{}",
        said(&detached)
    );
    assert_eq!(ps()["state"], "counting");

    let profile = profile::read(&path).unwrap().0;
    assert!(profile.header.heap_base as usize >= KEPT);
    let marks = profile.moments.all.iter();
    let marks: Vec<_> = marks
        .filter_map(|moment| Some((moment.mark.as_deref()?, moment.heap)))
        .collect();
    let [(name, heap)] = marks[..] else {
        panic!("one mark: {marks:?}");
    };
    assert_eq!(name, "told five times");
    assert!(heap as usize >= KEPT, "{heap}");
    // The first block was taken before its thread saw the request.
    let taken = profile.counters().allocs;
    assert!(taken >= 5, "{taken}");
    idle.end();
}

fn a_request_is_taken_back() {
    let place = Place::new();
    let mut idle = Idle::start(&place);
    let pid = idle.child.id().to_string();
    let mut attach = memprof(&["attach", &pid, "--for", "60s"], place.folder())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(attach.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap);
    assert!(lines.next().unwrap().contains("waiting"));
    kill_process(Pid::from_child(&attach), Signal::INT).unwrap();
    let given_up = lines.next().unwrap();
    assert!(
        given_up.contains("given up") && given_up.contains(&pid),
        "{given_up}"
    );
    assert_eq!(attach.wait().unwrap().code(), Some(2));
    idle.tell();
    assert_eq!(profiles(place.folder()), Vec::<PathBuf>::new());

    // Stopped later, it ends the recording and says what was recorded.
    let mut attach = memprof(&["attach", &pid, "--for", "60s"], place.folder())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(attach.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap);
    assert!(lines.next().unwrap().contains("waiting"));
    idle.tell();
    assert!(lines.next().unwrap().contains("recording process"));
    kill_process(Pid::from_child(&attach), Signal::INT).unwrap();
    wait_until(&mut attach, || {
        idle.tell();
        false
    });
    let rest: Vec<String> = lines.collect();
    assert!(
        rest.iter()
            .any(|line| line.contains("next: memprof report")),
        "{rest:?}"
    );
    idle.end();
}

fn refusals() {
    let place = Place::new();
    let refused = |arguments: &[&str]| {
        let output = memprof(arguments, place.folder()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        said(&output)
    };
    let mut sleep = Command::new("sleep").arg("60").spawn().unwrap();
    let foreign = refused(&["attach", &sleep.id().to_string()]);
    assert!(foreign.contains("does not have the recorder"), "{foreign}");
    sleep.kill().unwrap();
    let is_dead = |pid: u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        status.contains("State:\tZ")
    };
    while !is_dead(sleep.id()) {
        thread::sleep(Duration::from_millis(1));
    }
    // It was not waited for yet.
    let gone = RunningProcess::open(sleep.id());
    assert!(matches!(gone, Err(AttachError::Ended { .. })), "{gone:?}");
    sleep.wait().unwrap();
    let none = refused(&["attach", &sleep.id().to_string()]);
    assert!(none.contains("there is no process"), "{none}");

    let mut child = counting(&place, "churn_until_told");
    wait_until(&mut child, || place.is_counting());
    let pid = child.id().to_string();
    let nothing = refused(&["attach", "--detach", &pid]);
    assert!(
        nothing.contains("has no recording that `memprof attach` began"),
        "{nothing}"
    );
    let unrecorded = refused(&["mark", &pid, "now"]);
    assert!(
        unrecorded.contains("is not recorded, so there is no profile for the mark"),
        "{unrecorded}"
    );
    assert!(refused(&["mark", &pid, ""]).contains("cannot be the name of a mark"));
    let process = RunningProcess::open(child.id()).unwrap();
    let nowhere = asked(&process, &begin(Path::new("/no/such/folder/x"))).unwrap_err();
    let words = nowhere.to_string();
    assert!(matches!(nowhere, AttachError::NoFile { .. }), "{nowhere:?}");
    assert!(words.contains("/no/such/folder/x: No such file"), "{words}");
    let long = place.folder().join("x".repeat(4000));
    let long = asked(&process, &begin(&long)).unwrap_err();
    assert!(matches!(long, AttachError::TooLong), "{long:?}");
    child.kill().unwrap();
    child.wait().unwrap();

    // Its own recording is left alone.
    let mut child = place
        .command("churn_until_told", "65536")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until(&mut child, || place.profile_path().exists());
    let pid = child.id().to_string();
    let already = refused(&["attach", &pid]);
    let into = format!(
        "is recorded already, into {}",
        place.profile_path().display()
    );
    assert!(already.contains(&into), "{already}");
    assert!(refused(&["attach", "--detach", &pid]).contains("has no recording that"));
    assert_eq!(place.profile().state(), State::Recording);
    for number in 1..=64 {
        let output = memprof(&["mark", &pid, &format!("mark {number}")], place.folder()).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
    assert!(refused(&["mark", &pid, "one more"]).contains("no room for another mark"));
    let profile = place.profile();
    let marks = profile
        .moments
        .all
        .iter()
        .filter(|moment| moment.mark.is_some());
    assert_eq!((marks.count(), profile.header.lost_moments), (64, 1));
    child.kill().unwrap();
    child.wait().unwrap();
}
