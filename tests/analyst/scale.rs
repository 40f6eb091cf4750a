//! What a large profile costs in work, not in time: nothing is done twice that can be done once.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::large_profile::Large;
use crate::skip::skip;
use memprof::profile::builder::Builder;
use memprof::profile::{Frame, Profile, parse};
use memprof::report::{Report, Scope, Summary};
use memprof::source::{Places, Sources};
use memprof::symbolize::{SymbolizeOptions, Symbolizer};

const NODES: usize = 10_000;

fn parsed(builder: &Builder) -> Profile {
    let (profile, defects) = parse("large".as_ref(), builder.to_input()).unwrap();
    assert!(defects.is_empty(), "{defects:?}");
    profile
}

fn distinct_frames(profile: &Profile) -> usize {
    let frames = profile.nodes.iter().filter_map(|node| node.frame);
    frames.collect::<std::collections::HashSet<Frame>>().len()
}

#[test]
fn each_address_is_looked_up_once_and_each_module_opened_once_by_each_thread() {
    let this = std::env::current_exe().unwrap();
    let memprof = Path::new(env!("CARGO_BIN_EXE_memprof"));
    let large = Large::new().real(memprof, 80).real(&this, 40);
    let mut builder = large.made_up("/none/library.so", 80).of(NODES);
    let profile = parsed(&builder);
    let distinct = distinct_frames(&profile);
    assert!(distinct > 500 && distinct < profile.nodes.len() / 2);

    let mut symbolizer = Symbolizer::default();
    symbolizer
        .update(&profile, &SymbolizeOptions::default())
        .unwrap();
    let stats = symbolizer.stats();
    assert_eq!(stats.addresses, distinct);
    let threads = std::thread::available_parallelism().unwrap().get();
    assert!(stats.opened >= 2, "two modules are there: {stats:?}");
    assert!(stats.opened <= 2 * threads, "{stats:?}");

    // The same once more is no work at all, and one new address is the work of one.
    symbolizer
        .update(&profile, &SymbolizeOptions::default())
        .unwrap();
    assert_eq!(symbolizer.stats(), stats);
    builder.node(&[Frame::new(0, 0x7777_7777)]);
    (symbolizer.update(&parsed(&builder), &SymbolizeOptions::default())).unwrap();
    assert_eq!(symbolizer.stats().addresses, distinct + 1);
    assert_eq!(symbolizer.stats().opened, stats.opened + 1);
}

#[test]
fn a_large_profile_adds_up_in_every_view() {
    let this = std::env::current_exe().unwrap();
    let profile = parsed(&Large::new().real(&this, 40).of(NODES));
    let allocated = profile.counters().alloc_bytes as i64;
    let mut symbolizer = Symbolizer::default();
    symbolizer
        .update(&profile, &SymbolizeOptions::default())
        .unwrap();
    let symbols = symbolizer.symbols();
    let mut sources = Sources::new(Places::default());

    let summary = Summary::new(&profile, symbols, &mut sources, Vec::new());
    let lines = summary
        .lines
        .iter()
        .map(|line| line.figures.allocated.bytes);
    let sum = lines.sum::<i64>() + summary.elsewhere.allocated.bytes;
    assert_eq!(sum, allocated, "each block counts for one line");

    let report = Report::new(&profile, symbols, &mut sources, Scope::All, Vec::new());
    let most = report.tables.iter().map(|t| t.total.allocated.bytes).max();
    assert!(
        most.unwrap() <= allocated,
        "each stack counts once for a function"
    );
    assert_eq!(report.elsewhere.allocated.bytes, 0);
}

#[test]
fn long_work_shows_its_progress_on_a_terminal_and_never_in_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let memprof = Path::new(env!("CARGO_BIN_EXE_memprof"));
    // As much work as takes long on this machine.
    let piped = [160, 1_600, 16_000].into_iter().find_map(|functions| {
        let large = Large::new()
            .real(memprof, functions)
            .of(functions * NODES / 160);
        fs::write(folder.path().join("large.memprof"), large.to_bytes()).unwrap();
        let started = Instant::now();
        let mut command = Command::new(memprof);
        let command = command.args(["summary", "large.memprof"]);
        let piped = command.current_dir(&folder).output().unwrap();
        (started.elapsed() > Duration::from_secs(2)).then_some(piped)
    });
    let Some(piped) = piped else {
        return skip("progress: no work is long for this machine");
    };
    assert!(piped.status.success());
    assert_eq!(String::from_utf8_lossy(&piped.stderr), "");

    if Command::new("script").arg("--version").output().is_err() {
        return skip("progress on a terminal: no `script` (apt-get install bsdutils)");
    }
    // Only stderr is the terminal.
    let run = format!("'{}' summary large.memprof > out", memprof.display());
    let mut script = Command::new("script");
    script
        .args(["-qec", &run, "/dev/null"])
        .current_dir(&folder);
    let shown = script
        .env("TERM", "xterm")
        // It runs what it is given in the user's shell, which may be any.
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("looking up lines"), "{shown}");
    let out = fs::read(folder.path().join("out")).unwrap();
    assert_eq!(out, piped.stdout, "the output is the same");
}
