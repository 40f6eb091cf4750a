//! The figures of the examples again, of a program in C++ that knows nothing of memprof: to the
//! byte, by the same lines.

mod built;
mod recording;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use built::text;
use memprof::profile;
use recording::{Recording, Report};
use rustix::process::{Pid, Signal, kill_process};

const KIB: i64 = 1024;
const MIB: i64 = 1024 * KIB;
/// 100,000 numbers of 8 bytes.
const LIST: i64 = 800_000;

/// The program, built once.
fn program() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("truth");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/any/truth.cpp");
        let built = Command::new("c++")
            .args(["-std=c++17", "-g", "-O1", "-pthread", "-o"])
            .args([&program, &source])
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", text(&built.stderr));
        program
    };
    BUILT.get_or_init(build).clone()
}

fn of(case: &str) -> Report {
    let recording = Recording::of_program(program(), &["--sample", "all"], &[case]);
    let profile = profile::read(&recording.profile()).unwrap().0;
    let counters = profile.counters();
    // Before main, libstdc++ has taken its reserve for exceptions.
    let base = profile.header.heap_base as i64;
    let left = base + counters.alloc_bytes as i64 - counters.freed_bytes as i64;
    assert_eq!(profile.heap(), left, "{case}");
    recording.report()
}

#[test]
fn lists_are_taken_and_given_back() {
    let report = of("lists");
    let table = report.function("lists");
    let taken = ["takes arr1", "takes arr2", "takes arr3"];
    let given = ["drops arr1", "drops arr2", "drops arr3"];
    assert_eq!(table.increments(taken), [Some(LIST); 3]);
    assert_eq!(table.increments(given), [Some(-LIST); 3]);
    for (taken, given) in taken.into_iter().zip(given) {
        let (taken, given) = (table.line(taken), table.line(given));
        assert_eq!((taken.allocated, taken.count), (Some(LIST), Some(1.0)));
        assert_eq!((taken.live, taken.peak), (Some(0), Some(LIST)));
        assert_eq!(given.freed, Some(LIST));
    }
    assert!(table.line("// adds up").is_blank());
    let after = |marker: &str| table.line(marker).mem_usage.unwrap();
    let base = after("takes arr1") - LIST;
    let held = [
        "takes arr2",
        "takes arr3",
        "drops arr1",
        "drops arr2",
        "drops arr3",
    ];
    assert_eq!(
        held.map(|line| after(line) - base),
        [2, 3, 2, 1, 0].map(|n| n * LIST)
    );
    let list = report.function("random_list").line("// within random_list");
    assert_eq!((list.allocated, list.count), (Some(2 * LIST), Some(2.0)));
}

#[test]
fn lines_of_a_loop_that_do_nothing_show_nothing() {
    let report = of("loop_none");
    let table = report.function("give_back_in_a_loop");
    let x = table.increments(["takes x", "gives x back"]);
    assert_eq!(x, [Some(90 * MIB), Some(-90 * MIB)]);
    for comment in ["sets a", "sets b", "uses a, b and x"] {
        assert!(table.line(comment).is_blank(), "{comment}");
    }
}

#[test]
fn taken_and_given_back_are_columns_of_their_own() {
    let report = of("take_and_give");
    let table = report.function("take_and_give");
    let (taken, given) = (table.line("takes 50 MiB"), table.line("gives 50 MiB"));
    assert_eq!((taken.allocated, taken.count), (Some(250 * MIB), Some(5.0)));
    assert_eq!((taken.peak, taken.live), (Some(50 * MIB), Some(0)));
    assert_eq!(
        (taken.increment, given.increment),
        (Some(250 * MIB), Some(-250 * MIB))
    );
    assert_eq!(given.freed, Some(250 * MIB));
}

#[test]
fn threads_add_up_on_the_line_they_share() {
    let report = of("threads");
    let table = report.function("hold_30_mib");
    let (taken, given) = (table.line("takes 30 MiB"), table.line("gives 30 MiB"));
    assert_eq!(
        (taken.increment, given.increment),
        (Some(90 * MIB), Some(-90 * MIB))
    );
    assert_eq!((taken.peak, taken.live), (Some(90 * MIB), Some(0)));
    let join = report.function("start_and_wait").line("// joins");
    assert_eq!(join.allocated.unwrap_or(0), 0);
}

#[test]
fn recursion_is_one_table_and_counts_a_stack_once() {
    let report = of("recursion");
    let table = report.function("descend");
    let own = table.line("takes a level");
    assert_eq!(
        (own.allocated, own.count),
        (Some(10_000 * KIB), Some(10_000.0))
    );
    assert_eq!((own.peak, own.live), (Some(10_000 * KIB), Some(0)));
    assert_eq!(table.line("gives a level").freed, Some(10_000 * KIB));
    let call = table.line("goes deeper");
    assert_eq!(call.allocated, Some(9_999 * KIB));
    assert_eq!((call.freed, call.increment), (Some(9_999 * KIB), Some(0)));
}

#[test]
fn transient_buffers_are_allocated_and_never_live() {
    let report = of("transient");
    let taken = report.function("churn").line("takes a buffer");
    assert_eq!(
        (taken.allocated, taken.count),
        (Some(6_000_000_000), Some(12_000.0))
    );
    assert_eq!((taken.live, taken.peak), (Some(0), Some(500_000)));
    assert_eq!(taken.temporary, Some(6_000_000_000));
}

#[test]
fn a_leak_behind_an_earlier_peak_is_live_to_the_byte() {
    let report = of("leak");
    let leak = report.function("serve").line("takes a session");
    assert_eq!(
        (leak.live, leak.increment),
        (Some(10_000_000), Some(10_000_000))
    );
    assert_eq!(leak.peak.unwrap_or(0), 0);
    let table = report.function("load").line("takes a table");
    assert_eq!((table.live, table.peak), (Some(0), Some(64 * MIB)));
}

#[test]
fn killed_in_mid_run_it_reads_as_a_moment_before() {
    let recording = Recording::prepare_program(program());
    let mut memprof = recording
        .command(&["--sample", "all"])
        .arg("killed")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    let mut stdout = BufReader::new(memprof.stdout.take().unwrap());
    stdout.read_line(&mut ready).unwrap();
    assert_eq!(ready, "ready\n");
    let live = recording.report();
    let pid = profile::read(&recording.profile()).unwrap().0.header.pid;
    kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL).unwrap();
    assert_eq!(memprof.wait().unwrap().code(), Some(128 + 9));
    let after = recording.report();
    assert_eq!(after, live);
    let table = after.function("fill");
    let taken = table.line("takes a block");
    assert_eq!(
        (taken.allocated, taken.live),
        (Some(20 * MIB), Some(10 * MIB))
    );
    assert_eq!(table.line("gives 40 blocks").increment, Some(-10 * MIB));
}

/// libstdc++ takes the larger block before it gives the smaller one back: no `realloc`.
#[test]
fn growth_by_push_is_taken_and_given_back() {
    let report = of("push");
    let table = report.function("push");
    let push = table.line("// pushes");
    // Room for 1 number at first, then twice as much each time up to 131,072: 8 bytes ... 1 MiB.
    let (first, last) = (8, MIB);
    assert_eq!(push.allocated, Some(2 * last - first));
    assert_eq!(push.freed, Some(last - first));
    assert_eq!((push.increment, push.count), (Some(last), Some(18.0)));
    assert_eq!(push.reallocated, Some(0));
    assert_eq!(table.line("// drops numbers").increment, Some(-last));
}
