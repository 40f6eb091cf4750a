//! How long the analyst takes over a profile of a million nodes, and how much memory: `cargo bench --bench scale`.
//! Nodes to make and subcommands to run may be given: `cargo bench --bench scale -- 1000000 report summary`.
//!
//! `cargo bench --bench scale -- stacks PROGRAM`: how long `memprof report` takes over 100,000 stacks of a program, by the
//! number of its functions in them, and GNU addr2line over the same addresses.

#[allow(dead_code, reason = "each user has a part")]
#[path = "../tests/large_profile/mod.rs"]
mod large_profile;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use large_profile::Large;
use profiler_alloc_format::Frame;

const MEMPROF: &str = env!("CARGO_BIN_EXE_memprof");

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    if let [stacks, program] = &arguments[..]
        && stacks == "stacks"
    {
        return over_one_program(Path::new(program));
    }
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

fn over_one_program(program: &Path) {
    let folder = tempfile::tempdir().expect("a folder");
    for functions in [100, 1_000, 5_000, 20_000] {
        let builder = Large::new().real(program, functions).of_stacks(100_000);
        let frames = builder.nodes.iter().skip(1).map(|node| node.frame);
        let addresses: BTreeSet<u64> = frames
            .map(|bits| Frame::from_bits(bits).address())
            .collect();
        println!("{} distinct addresses", addresses.len());
        let profile = folder.path().join("stacks.memprof");
        std::fs::write(&profile, builder.to_bytes()).expect("room for a profile");
        measure("100,000 stacks", "report", &profile);
        // It takes long: some of the addresses say what one costs.
        let some: Vec<_> = addresses
            .iter()
            .step_by(1 + addresses.len() / 500)
            .collect();
        let started = Instant::now();
        let output = Command::new("addr2line")
            .args(["-i", "-f", "-e"])
            .arg(program)
            .args(some.iter().map(|address| format!("{address:x}")))
            .output();
        match output {
            Ok(_) => {
                let each = started.elapsed().as_secs_f64() * 1000.0 / some.len() as f64;
                println!(
                    "      GNU addr2line: {each:.2} ms an address, of {}",
                    some.len()
                );
            }
            Err(error) => println!("      GNU addr2line: {error}"),
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
