//! What the default recording adds to whole programs, in CPU time:
//! `cargo bench --bench budget [-- PROGRAM ARGUMENTS…]`.
//!
//! Runs each load of `examples/loads.rs` (or the program named, which has the allocator) with and
//! without a recording in turn, and prints the ratio of the CPU times, pair by pair: its median and
//! its range. No clock of the recorder's own is asked, so no cost can hide.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

/// Pairs of runs of each load.
const PAIRS: usize = 15;

fn main() {
    // Cargo adds an argument of its own.
    let named: Vec<OsString> = std::env::args_os()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    if let Some((program, arguments)) = named.split_first() {
        return compare("program", Path::new(program), arguments);
    }
    let loads = build();
    for (load, amount) in [
        ("tiny", 30_000_000),
        ("huge", 20_000),
        ("deep", 2_000),
        ("threads", 30_000_000),
        ("bursts", 3_000_000),
        ("kept", 30_000_000),
        ("requests", 200_000),
        ("parsed", 6_000_000),
    ] {
        compare(load, &loads, &[load.into(), amount.to_string().into()]);
    }
}

/// The example's program, optimized.
fn build() -> std::path::PathBuf {
    let cargo = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--example", "loads"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(cargo.is_ok_and(|status| status.success()), "cargo builds");
    let built = Path::new(env!("CARGO_BIN_EXE_memprof")).parent();
    built.expect("a folder").join("examples/loads")
}

fn compare(name: &str, program: &Path, arguments: &[OsString]) {
    let folder = tempfile::tempdir().expect("a folder");
    let profile = folder.path().join("bench.memprof");
    let mut plain = Vec::new();
    let mut ratios: Vec<f64> = (0..=PAIRS)
        .map(|_| {
            let alone = cpu_seconds(program, arguments, None);
            let recorded = cpu_seconds(program, arguments, Some(&profile));
            std::fs::remove_file(&profile).expect("the program was recorded");
            plain.push(alone);
            recorded / alone
        })
        // The first pair warms up.
        .skip(1)
        .collect();
    ratios.sort_by(f64::total_cmp);
    plain.sort_by(f64::total_cmp);
    println!(
        "{name}: {:.2} s alone, {:.3} times as much recorded ({:.3} to {:.3})",
        plain[plain.len() / 2],
        ratios[PAIRS / 2],
        ratios[0],
        ratios[PAIRS - 1],
    );
}

/// CPU time of one run, in seconds, to a tick of 10 ms.
fn cpu_seconds(program: &Path, arguments: &[OsString], profile: Option<&Path>) -> f64 {
    let before = ticks_of_children();
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_remove("MEMPROF_OUTPUT")
        .envs(profile.map(|path| ("MEMPROF_OUTPUT", path)))
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let status = command.status().expect("the program runs");
    assert!(status.success(), "{status}");
    const TICKS_A_SECOND: f64 = 100.0;
    (ticks_of_children() - before) as f64 / TICKS_A_SECOND
}

/// CPU time of the children that have ended, user's and system's.
fn ticks_of_children() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc");
    let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
    let fields = fields.split_ascii_whitespace().skip(13).take(2);
    fields
        .map(|field| field.parse::<u64>().expect("ticks"))
        .sum()
}
