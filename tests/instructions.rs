//! Instructions of the allocator's fast paths, counted by callgrind: what one operation costs beyond the system's allocator.
//!
//! Counts are the same on every run of one build, so the bounds are tight: whoever makes a path longer has to say so here.
//! They hold for the optimized program; the unoptimized one is not measured.

#[allow(dead_code, reason = "each test uses a part")]
mod built;

use std::process::{Command, Stdio};

/// Instructions of one operation, from two runs that differ only in how many there are.
fn instructions(allocator: &str, operation: &str, sample: Option<&str>) -> f64 {
    const FEW: u64 = 2_000;
    const MANY: u64 = 12_000;
    let [few, many] = [FEW, MANY].map(|times| count(allocator, operation, sample, times));
    (many - few) as f64 / (MANY - FEW) as f64
}

fn count(allocator: &str, operation: &str, sample: Option<&str>, times: u64) -> u64 {
    let folder = tempfile::tempdir().expect("a folder");
    let counts = folder.path().join("counts");
    let mut command = Command::new("valgrind");
    command
        .args(["-q", "--tool=callgrind"])
        .arg(format!("--callgrind-out-file={}", counts.display()))
        .arg(built::example("operations"))
        .args([allocator, operation, &times.to_string()])
        .stdin(Stdio::null())
        .env_remove("MEMPROF_OUTPUT");
    if let Some(sample) = sample {
        command
            .env("MEMPROF_OUTPUT", folder.path().join("x.memprof"))
            .env("MEMPROF_SAMPLE", sample);
    }
    let output = command.output().expect("valgrind runs");
    let said = built::text(&output.stderr);
    assert!(output.status.success(), "{said}");
    let text = std::fs::read_to_string(counts).expect("callgrind wrote its counts");
    text.lines()
        .find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok())
        .expect("callgrind says the total")
}

#[test]
fn no_operation_takes_more_instructions_than_stated() {
    if cfg!(debug_assertions) {
        eprintln!("not tested: instructions are counted of the optimized program (--release)");
        return;
    }
    if !Command::new("valgrind")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
    {
        eprintln!("not tested: valgrind is not installed");
        return;
    }
    // A fixed interval that is never reached: what an operation costs in a recording if it is not sampled.
    let far = Some("4000000000");
    let bounds = [
        // operation, sampling, instructions beyond the system's
        ("pair", None, 39.0),
        ("pair", far, 58.0),
        ("pair", Some("all"), 1_900.0),
        ("ring", None, 39.0),
        ("ring", far, 58.0),
        ("grow", None, 118.0),
        ("grow", far, 160.0),
    ];
    let mut exceeded = Vec::new();
    for (operation, sample, bound) in bounds {
        let added =
            instructions("memprof", operation, sample) - instructions("system", operation, None);
        println!("{operation}, sample {sample:?}: +{added:.1} instructions, at most {bound}");
        if added > bound {
            exceeded.push((operation, sample, added, bound));
        }
    }
    assert!(exceeded.is_empty(), "{exceeded:?}");
}
