//! `memprof attach` to programs in C, which have the library to preload and only count.

mod built;
mod place;

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use built::text;
use memprof::attach::{Asking, AttachError, Outcome, RunningProcess, Wish};
use memprof::profile::{self, State};
use place::Place;
use profiler_alloc_format::env;

impl Place {
    fn build(&self, source: &str) -> PathBuf {
        let from = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/any")
            .join(source);
        let to = self.path(source.trim_end_matches(".c"));
        let built = Command::new("cc")
            .args(["-g", "-O1", "-fno-builtin", "-pthread", "-o"])
            .args([&to, &from])
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", text(&built.stderr));
        to
    }

    fn memprof(&self, arguments: &[&str]) -> Output {
        Command::new(built::MEMPROF)
            .args(arguments)
            .current_dir(&self.folder)
            .env("XDG_CACHE_HOME", self.path("cache"))
            .output()
            .unwrap()
    }

    /// The library, which the command puts there when it runs something.
    fn library(&self) -> PathBuf {
        assert!(
            self.memprof(&["run", "-o", "true.memprof", "--", "true"])
                .status
                .success()
        );
        fs::remove_file(self.path("true.memprof")).unwrap();
        let mut files = fs::read_dir(self.path("cache/memprof")).unwrap();
        files.next().unwrap().unwrap().path()
    }
}

/// A program that runs until it is told to end.
struct Running {
    child: Child,
    ledger: PathBuf,
}

impl Running {
    fn start(place: &Place, command: &mut Command) -> Running {
        let ledger = place.path("ledger");
        fs::write(&ledger, [0; 4096]).unwrap();
        let child = command
            .arg(&ledger)
            .current_dir(&place.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let running = Running { child, ledger };
        running.wait_for(1_000);
        running
    }

    /// Blocks allocated, bytes allocated, bytes freed.
    fn truth(&self) -> [u64; 3] {
        let mut bytes = [0; 24];
        File::open(&self.ledger)
            .unwrap()
            .read_exact(&mut bytes)
            .unwrap();
        [0, 8, 16].map(|at| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()))
    }

    fn wait_for(&self, blocks: u64) {
        let patience = Instant::now() + Duration::from_secs(60);
        while self.truth()[0] < blocks {
            assert!(Instant::now() < patience, "{:?}", self.truth());
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id()))
            .unwrap()
            .count()
    }

    /// It ends as it would have.
    fn end(mut self) {
        drop(self.child.stdin.take());
        let output = self.child.wait_with_output().unwrap();
        assert!(output.status.success(), "{:?}", output.status);
        assert_eq!(text(&output.stdout), "whole\n");
    }
}

fn asked(process: &RunningProcess, wish: &Wish) -> Result<PathBuf, AttachError> {
    let asking = Asking::begin(process.clone(), wish)?;
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        if let Outcome::Done(path) = asking.look()? {
            return Ok(path);
        }
        assert!(Instant::now() < patience, "no answer");
        thread::sleep(Duration::from_millis(1));
    }
}

fn begin(pattern: &Path) -> Wish {
    let pattern = pattern.as_os_str().as_bytes().to_vec();
    Wish::Begin(vec![(env::OUTPUT, pattern), (env::SAMPLE, b"all".to_vec())])
}

#[test]
fn attached_again_and_again_under_load() {
    let place = Place::new();
    let library = place.library();
    let mut command = Command::new(place.build("attached.c"));
    let running = Running::start(&place, command.env("LD_PRELOAD", &library));
    let process = RunningProcess::open(running.child.id()).unwrap();
    let files = running.open_files();
    let pattern = place.path("%e.%p.memprof");
    for round in 1..=25 {
        let before = running.truth();
        let path = asked(&process, &begin(&pattern)).unwrap();
        running.wait_for(running.truth()[0] + 500);
        assert_eq!(asked(&process, &Wish::End).unwrap(), path);
        let after = running.truth();
        assert_eq!(place.profiles().len(), round, "one profile each");

        let (profile, defects) = profile::read(&path).unwrap();
        assert_eq!((profile.state(), defects), (State::Finished, vec![]));
        let counted = profile.counters();
        assert!(counted.allocs > 0 && counted.reallocs > 0, "{counted:?}");
        // A block is noted before it is taken, and after it is given back.
        let most = after[1] - before[1] + 4 * 1_150;
        assert!(
            counted.alloc_bytes <= most,
            "{} of {most}",
            counted.alloc_bytes
        );
        let base = profile.header.heap_base;
        assert!(
            (3_000_000..3_020_000).contains(&base),
            "{base} before the recording"
        );
        let left = base as i64 + counted.alloc_bytes as i64 - counted.freed_bytes as i64;
        assert!((3_000_000..3_020_000).contains(&left), "{left} at its end");
        // Where the machine is busy some are lost, and counted as such.
        let mut heaps = profile.heaps.iter();
        let mapped = heaps.find(|heap| heap.name == "mapped").unwrap();
        let bytes = mapped.counters.alloc_bytes;
        assert!(bytes > 0 && bytes.is_multiple_of(65_536), "{bytes}");
    }
    assert_eq!(
        running.open_files(),
        files,
        "what is over holds no file open"
    );
    running.end();
}

#[test]
fn the_command_attaches_and_detaches() {
    let place = Place::new();
    let library = place.library();
    let mut command = Command::new(place.build("attached.c"));
    let running = Running::start(&place, command.env("LD_PRELOAD", &library));
    let pid = running.child.id().to_string();
    let listed = || {
        let output = place.memprof(&["ps", "--format", "json"]);
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let programs = json["programs"].as_array().unwrap().clone();
        let found = programs
            .into_iter()
            .find(|it| it["pid"].as_u64() == pid.parse().ok());
        found.expect("it is listed")
    };
    assert_eq!(listed()["state"], "counting");
    let heap = listed()["heap"].as_u64().unwrap();
    // A thread tells of its heap at least every 64 KiB.
    assert!(
        (3_000_000..3_000_000 + 5 * 65_536).contains(&heap),
        "{heap}"
    );

    let attached = place.memprof(&["attach", &pid, "--sample", "all", "-o", "x.memprof"]);
    let said = text(&attached.stderr);
    assert!(
        attached.status.success() && said.contains("recording process"),
        "{said}"
    );
    assert_eq!(listed()["state"], "recording");
    let again = place.memprof(&["attach", &pid]);
    assert!(
        text(&again.stderr).contains("is recorded already"),
        "{}",
        text(&again.stderr)
    );
    running.wait_for(running.truth()[0] + 1_000);
    let detached = place.memprof(&["attach", "--detach", &pid]);
    let said = text(&detached.stderr);
    assert!(
        detached.status.success() && said.contains("next: memprof report"),
        "{said}"
    );
    assert_eq!(listed()["state"], "counting");

    let shown = text(
        &place
            .memprof(&["report", "x.memprof", "--lines", "all"])
            .stdout,
    );
    assert!(
        shown.contains("// takes") && shown.contains("attached.c"),
        "{shown}"
    );
    let mapped = text(
        &place
            .memprof(&["report", "x.memprof", "--heap", "mapped"])
            .stdout,
    );
    assert!(mapped.contains("// maps"), "{mapped}");
    running.end();
}

#[test]
fn what_memprof_run_records_is_not_attached_to() {
    let place = Place::new();
    let program = place.build("attached.c");
    let mut command = Command::new(built::MEMPROF);
    command
        .args(["run", "-o", "run.memprof", "--"])
        .arg(program);
    let running = Running::start(&place, command.env("XDG_CACHE_HOME", place.path("cache")));
    let pid = profile::read(&place.path("run.memprof"))
        .unwrap()
        .0
        .header
        .pid;
    let process = RunningProcess::open(pid).unwrap();
    let refused = asked(&process, &begin(&place.path("x.memprof"))).unwrap_err();
    assert!(
        matches!(refused, AttachError::RecordingAlready { .. }),
        "{refused}"
    );
    let refused = asked(&process, &Wish::End).unwrap_err();
    assert!(
        matches!(refused, AttachError::NotAttached { .. }),
        "{refused}"
    );
    running.end();
    assert!(
        profile::read(&place.path("run.memprof"))
            .unwrap()
            .0
            .counters()
            .allocs
            > 1_000
    );
}

/// Its own malloc is called, not the library's: nobody in it would ever answer.
#[test]
fn a_program_that_does_not_call_the_library_has_no_recorder() {
    let place = Place::new();
    let library = place.library();
    let source = "char room[1 << 16]; unsigned long used;
void *malloc(unsigned long size) { void *block = room + used; used += (size + 15) / 16 * 16; return block; }
void free(void *block) { (void)block; }
int getchar(void);
int main(void) { while (getchar() >= 0) {} return 0; }
";
    fs::write(place.path("own.c"), source).unwrap();
    let program = place.path("own");
    let built = Command::new("cc")
        .args(["-fno-builtin", "-rdynamic", "-o"])
        .args([&program, &place.path("own.c")])
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", text(&built.stderr));
    let mut child = Command::new(&program)
        .env("LD_PRELOAD", &library)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id().to_string();
    let patience = Instant::now() + Duration::from_secs(60);
    while !is_waiting(&pid) {
        assert!(Instant::now() < patience);
        thread::sleep(Duration::from_millis(1));
    }
    let process = RunningProcess::open(child.id()).unwrap();
    let refused = Asking::begin(process, &begin(&place.path("x.memprof"))).unwrap_err();
    assert!(
        matches!(refused, AttachError::NoRecorder { .. }),
        "{refused}"
    );
    let listed = text(&place.memprof(&["ps"]).stdout);
    assert!(!listed.contains(&format!(" {pid} ")), "{listed}");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

/// Whether the process sleeps: it waits for its input.
fn is_waiting(pid: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    status.rsplit(") ").next().unwrap().starts_with('S')
}
