//! Instructions of the allocator's fast paths, counted by callgrind: what one operation costs
//! beyond the system's allocator.
//!
//! Counts are the same on every run of one build, so the bounds are tight: whoever makes a path
//! longer has to say so here. They hold for the optimized programs, whatever the test is built as.

mod built;
mod skip;

use skip::skip;
use std::process::{Command, Stdio};

/// Instructions of one operation, from two runs that differ only in how many there are.
fn instructions(allocator: &str, operation: &str, sample: Option<&str>) -> f64 {
    const FEW: u64 = 2_000;
    const MANY: u64 = 12_000;
    let [few, many] = [FEW, MANY].map(|times| {
        let times = times.to_string();
        count("operations", &[allocator, operation, &times], sample)
    });
    (many - few) as f64 / (MANY - FEW) as f64
}

/// Instructions of a whole run of an example.
fn count(example: &str, arguments: &[&str], sample: Option<&str>) -> u64 {
    let folder = tempfile::tempdir().expect("a folder");
    let counts = folder.path().join("counts");
    let mut command = Command::new("valgrind");
    command
        .args(["-q", "--tool=callgrind"])
        .arg(format!("--callgrind-out-file={}", counts.display()))
        .arg(built::optimized_example(example))
        .args(arguments)
        .stdin(Stdio::null())
        .env_remove("MEMPROF_OUTPUT");
    if let Some(sample) = sample {
        command
            .env("MEMPROF_OUTPUT", folder.path().join("x.memprof"))
            .env("MEMPROF_SAMPLE", sample)
            // When one is taken depends on the clock, which callgrind slows down.
            .env("MEMPROF_ACCOUNTS_MS", "off");
    }
    let output = command.output().expect("valgrind runs");
    let said = built::text(&output.stderr);
    assert!(output.status.success(), "{said}");
    let text = std::fs::read_to_string(counts).expect("callgrind wrote its counts");
    text.lines()
        .find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok())
        .expect("callgrind says the total")
}

/// Whether the test has to be left out, as there is nothing to count with; it has then said so.
fn cannot_count() -> bool {
    let version = Command::new("valgrind").arg("--version").output();
    let has_valgrind = version.is_ok_and(|output| output.status.success());
    if !has_valgrind {
        skip("instructions of an operation: no valgrind (apt-get install valgrind)");
    }
    !has_valgrind
}

#[test]
fn no_operation_takes_more_instructions_than_stated() {
    if cannot_count() {
        return;
    }
    // A fixed interval that is never reached: what an operation costs in a recording if it is not
    // sampled.
    let far = Some("4000000000");
    let bounds = [
        // operation, sampling, instructions beyond the system's
        ("pair", None, 39.0),
        ("pair", far, 49.0),
        // Some 40 of them for what moments need: the generation a block is born in, and dies in.
        ("pair", Some("all"), 1_930.0),
        ("ring", None, 39.0),
        ("ring", far, 49.0),
        ("grow", None, 104.0),
        ("grow", far, 122.0),
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

/// An entry takes some 22 ns, two of its instructions being locked; naming the context as well some
/// 39 ns.
#[test]
fn no_entry_of_a_context_takes_more_instructions_than_stated() {
    if cannot_count() {
        return;
    }
    let bounds = [
        // operation, sampling, instructions of it all
        ("entry", None, 250.0),
        ("entry", Some("4000000000"), 265.0),
        ("context", None, 550.0),
    ];
    let mut exceeded = Vec::new();
    for (operation, sample, bound) in bounds {
        let [few, many] = [2_000, 12_000].map(|times: u64| {
            let times = times.to_string();
            count("entries", &[operation, &times], sample) as f64
        });
        let taken = (many - few) / 10_000.0;
        println!("{operation}, sample {sample:?}: {taken:.1} instructions, at most {bound}");
        if taken > bound {
            exceeded.push((operation, sample, taken, bound));
        }
    }
    assert!(exceeded.is_empty(), "{exceeded:?}");
}

/// What a recording adds to whole programs, wherever it does so: no clock of the recorder's own is
/// asked. At the interval that the default settles at for such programs; by itself it cannot settle
/// here, as callgrind slows the clock down more than what it measures.
#[test]
fn a_recording_adds_few_instructions_to_whole_programs() {
    if cannot_count() {
        return;
    }
    let settled = Some("131072");
    let loads = [
        // load, amount, times the instructions of the program that only counts
        ("tiny", 300_000, 1.10),
        ("threads", 300_000, 1.10),
        ("bursts", 30_000, 1.10),
        ("kept", 300_000, 1.10),
        ("requests", 3_000, 1.10),
        ("parsed", 60_000, 1.10),
    ];
    let mut exceeded = Vec::new();
    for (load, amount, bound) in loads {
        // The start of a recording is not what is measured here.
        let added = |sample| {
            let [few, many] = [amount, 3 * amount]
                .map(|amount| count("loads", &[load, &amount.to_string()], sample) as f64);
            many - few
        };
        let (plain, recorded) = (added(None), added(settled));
        let ratio = recorded / plain;
        println!(
            "{load}: {plain:.2e} instructions, {ratio:.3} times as many recorded, at most {bound}"
        );
        if ratio > bound {
            exceeded.push((load, ratio, bound));
        }
    }
    assert!(exceeded.is_empty(), "{exceeded:?}");
}

/// 8,192 sampled blocks are alive while others come and go: what these cost is what they cost
/// without.
#[test]
fn an_unsampled_block_costs_the_same_whatever_is_live() {
    if cannot_count() {
        return;
    }
    let of_one = |kept: &str| {
        let [few, many] =
            [2_000, 12_000].map(|times: u64| count("among", &[kept, &times.to_string()], None));
        (many - few) as f64 / 10_000.0
    };
    let (alone, among_many) = (of_one("0"), of_one("8192"));
    println!("a pair: {alone:.1} instructions, {among_many:.1} while many sampled blocks are live");
    assert!(among_many - alone < 3.0, "{alone} {among_many}");
}

/// Every operation has a stack of its own, in a file that has room for all of them, and in one that
/// has room for 390.
#[test]
fn a_full_table_of_stacks_does_not_slow_the_program_down() {
    if cannot_count() {
        return;
    }
    const FEW: u64 = 2_000;
    const MANY: u64 = 6_000;
    let of_one = |room| {
        let [few, many] =
            [FEW, MANY].map(|times| count("tree", &[room, &times.to_string()], Some("all")));
        (many - few) as f64 / (MANY - FEW) as f64
    };
    let (roomy, full) = (of_one("roomy"), of_one("full"));
    println!("a stack not met before: {roomy:.0} instructions; in a full table: {full:.0}");
    assert!(
        full < 2.0 * roomy,
        "{full} instructions for one, {roomy} with room"
    );
}
