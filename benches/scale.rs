//! How long the analyst takes over a profile of a million nodes, and how much memory: `cargo bench --bench scale`.
//! Nodes to make and subcommands to run may be given: `cargo bench --bench scale -- 1000000 report summary`.

#[path = "../tests/large_profile/mod.rs"]
mod large_profile;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use large_profile::Large;

const MEMPROF: &str = env!("CARGO_BIN_EXE_memprof");

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let nodes = arguments
        .first()
        .map_or(1_000_000, |nodes| nodes.parse().expect("a number of nodes"));
    let subcommands = match &arguments[..] {
        [] | [_] => vec!["report".to_owned(), "summary".to_owned()],
        [_, subcommands @ ..] => subcommands.to_vec(),
    };
    let this = std::env::current_exe().expect("this program has a path");
    let folder = tempfile::tempdir().expect("a folder");
    let real = Large::new()
        .real(Path::new(MEMPROF), 20_000)
        .real(&this, 5_000);
    let made_up = Large::new()
        .made_up("/none/app", 20_000)
        .made_up("/none/library.so", 5_000);
    for (kind, large) in [("real", real), ("made-up", made_up)] {
        let profile = folder.path().join(format!("{kind}.memprof"));
        std::fs::write(&profile, large.of(nodes).to_bytes()).expect("room for a profile");
        for subcommand in &subcommands {
            measure(kind, subcommand, &profile);
        }
    }
}

/// Runs one subcommand and prints what it took.
fn measure(kind: &str, subcommand: &str, profile: &Path) {
    let started = Instant::now();
    let mut child = (Command::new(MEMPROF)
        .args(subcommand.split(' '))
        .arg(profile))
    .stdout(Stdio::null())
    .spawn()
    .expect("memprof runs");
    let mut highest = 0;
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        highest = highest.max(peak_kib(child.id()));
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let seconds = started.elapsed().as_secs_f64();
    let mib = highest / 1024;
    println!("{kind:>8} {subcommand:<10} {seconds:6.2} s  {mib:6} MiB at the peak  ({status})");
}

/// Highest resident set of a process so far, in KiB.
fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
    number.unwrap_or(0)
}
