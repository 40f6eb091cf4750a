//! What the examples must show, figure by figure: the cases where other line profilers fail.

mod built;
mod recording;
mod skip;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use profiler_alloc_format::Header;
use recording::{Recording, line_number};
use rustix::process::{Pid, Signal, kill_process};

const KIB: i64 = 1024;
const MIB: i64 = 1024 * KIB;
/// 100,000 numbers of 8 bytes.
const LIST: i64 = 800_000;

#[test]
fn lists_are_taken_and_given_back_to_the_byte() {
    let report = Recording::of("lists", &[]).report();
    let table = report.function("lists::main_func");
    let taken = ["let arr1", "let arr2", "let arr3"];
    let given = ["drop(arr1)", "drop(arr2)", "drop(arr3)"];
    assert_eq!(table.increments(taken), [Some(LIST); 3]);
    assert_eq!(table.increments(given), [Some(-LIST); 3]);
    for (taken, given) in taken.into_iter().zip(given) {
        let (taken, given) = (table.line(taken), table.line(given));
        assert_eq!((taken.allocated, taken.count), (Some(LIST), Some(1.0)));
        assert_eq!((taken.live, taken.peak), (Some(0), Some(LIST)));
        assert_eq!(given.freed, Some(LIST));
    }
    assert!(table.line("let total").is_blank());
}

#[test]
fn lists_show_the_heap_in_use_after_each_line() {
    let report = Recording::of("lists", &[]).report();
    let table = report.function("lists::main_func");
    let after = |marker| table.line(marker).mem_usage.expect(marker);
    let base = after("let arr1") - LIST;
    assert!(
        (0..64 * KIB).contains(&base),
        "the runtime's own {base} bytes"
    );
    let lines = [
        "let arr2",
        "let arr3",
        "drop(arr1)",
        "drop(arr2)",
        "drop(arr3)",
    ];
    let lists_held = lines.map(|line| (after(line) - base) / LIST);
    let odd_bytes = lines.map(|line| (after(line) - base) % LIST);
    assert_eq!((lists_held, odd_bytes), ([2, 3, 2, 1, 0], [0; 5]));
}

#[test]
fn random_list_shows_what_its_callers_got() {
    let report = Recording::of("lists", &[]).report();
    let collect = report
        .function("lists::random_list")
        .line("(0..len).map(next).collect()");
    assert_eq!(
        (collect.allocated, collect.count),
        (Some(2 * LIST), Some(2.0))
    );
}

#[test]
fn lines_of_a_loop_that_do_nothing_show_nothing() {
    let report = Recording::of("loop_none", &[]).report();
    let table = report.function("loop_none::give_back_in_a_loop");
    assert_eq!(
        table.increments(["let mut x", "x = None;"]),
        [Some(90 * MIB), Some(-90 * MIB)]
    );
    for marker in ["let a =", "let b =", "black_box((a, b, &x))", "drop(x)"] {
        assert!(table.line(marker).is_blank(), "{:?}", table.line(marker));
    }
}

#[test]
fn taken_and_given_back_are_columns_of_their_own() {
    let report = Recording::of("take_and_give", &[]).report();
    let table = report.function("take_and_give::take_and_give");
    let (taken, given) = (table.line("let block"), table.line("drop(block)"));
    assert_eq!(
        (taken.increment, given.increment),
        (Some(250 * MIB), Some(-250 * MIB))
    );
    assert_eq!((taken.allocated, taken.count), (Some(250 * MIB), Some(5.0)));
    assert_eq!((taken.peak, taken.live), (Some(50 * MIB), Some(0)));
    assert_eq!(given.freed, Some(250 * MIB));
}

#[test]
fn threads_add_up_on_the_line_they_share() {
    let report = Recording::of("threads", &[]).report();
    let table = report.function("threads::hold_30_mib");
    let (taken, given) = (table.line("let block"), table.line("drop(block)"));
    assert_eq!(
        (taken.increment, given.increment),
        (Some(90 * MIB), Some(-90 * MIB))
    );
    assert_eq!((taken.peak, taken.live), (Some(90 * MIB), Some(0)));

    let join = report
        .function("threads::start_and_wait")
        .line("thread.join()");
    assert_eq!(join.allocated.unwrap_or(0), 0);
    // The thread's own result slot, a few dozen bytes, is given back by the one who joins it.
    assert!(join.freed.unwrap_or(0) < KIB, "{join:?}");
}

#[test]
fn lines_below_a_change_of_stack_have_their_bytes() {
    let recording = Recording::of("other_stacks", &["--sample", "all"]);
    let report = recording.report();
    let table = |name: &str| report.function(&format!("other_stacks::{name}"));
    let allocated = |name: &str, marker: &str| table(name).line(marker).allocated.unwrap_or(0);
    let freed = |name: &str, marker: &str| table(name).line(marker).freed.unwrap_or(0);

    for (name, marker, bytes) in [
        ("grown", "// on a grown stack", 300_000),
        ("main", "// grows", 300_000),
        ("descend", "// at every depth", 100 * 1_000),
        ("descend", "// one deeper", 99 * 1_000),
        ("main", "// descends", 100 * 1_000),
        ("resumed", "// when first resumed", 2 * 40_000),
        ("resumed", "// when resumed again", 2 * 20_000),
        ("resumed", "// resumes first", 2 * 40_000),
        ("resumed", "// resumes again", 2 * 20_000),
        ("resumed", "// resumes at last", 0),
        ("nested", "// from one to the other", 70_000),
        ("nested", "// from the grown stack", 70_000),
        ("main", "// nests", 70_000),
    ] {
        assert_eq!(allocated(name, marker), bytes, "{name}: {marker}");
    }
    let given = freed("resumed", "// resumes at last");
    assert_eq!(given, 2 * 60_000);
    assert_eq!(freed("main", "// gives back"), 470_000 + 200 * 24);
    let losses = recording.summary_json()["losses"].clone();
    assert_eq!(losses, serde_json::json!([]), "no stack is cut off");
}

/// Nothing that the recorder asks of the system is remarked upon; switching stacks is, by memcheck,
/// whoever does it.
#[test]
fn valgrind_has_nothing_to_say() {
    let version = Command::new("valgrind").arg("--version").output();
    if !version.is_ok_and(|output| output.status.success()) {
        return skip::skip("what valgrind says: it is not installed (apt-get install valgrind)");
    }
    for (example, tool) in [
        ("lists", "memcheck"),
        ("threads", "memcheck"),
        ("other_stacks", "none"),
    ] {
        let recording = Recording::prepare(example);
        let output = Command::new("valgrind")
            .args(["-q", &format!("--tool={tool}")])
            .arg(built::example(example))
            .env("MEMPROF_OUTPUT", recording.profile())
            .env("MEMPROF_SAMPLE", "all")
            .output()
            .expect("valgrind runs");
        assert_eq!(built::text(&output.stderr), "", "{example}, {tool}");
        assert!(output.status.success() && recording.profile().exists());
    }
}

#[test]
fn recursion_is_one_table_and_counts_a_stack_once() {
    let report = Recording::of("recursion", &["--sample", "all"]).report();
    let table = report.function("recursion::descend");
    let own = table.line("let block");
    assert_eq!(
        (own.allocated, own.count),
        (Some(10_000 * KIB), Some(10_000.0))
    );
    assert_eq!((own.peak, own.live), (Some(10_000 * KIB), Some(0)));
    assert_eq!(table.line("drop(block)").freed, Some(10_000 * KIB));

    let call = table.line("descend(levels - 1)");
    assert_eq!(call.allocated, Some(9_999 * KIB));
    assert_eq!((call.freed, call.increment), (Some(9_999 * KIB), Some(0)));
}

#[test]
fn recursion_costs_what_its_depth_costs() {
    let own_time = |levels| {
        let options = ["--sample", "all"];
        let recording = Recording::with_arguments("recursion", &options, &[levels]);
        header(&recording.profile()).own_ns.max(1)
    };
    let (shallow, deep) = (own_time("1000"), own_time("10000"));
    // Ten times the levels: ten times the time if it is linear, a hundred times if every level
    // walks all of them.
    assert!(
        deep < 40 * shallow,
        "{shallow} ns for 1,000 levels, {deep} ns for 10,000"
    );
}

#[test]
fn transient_buffers_are_allocated_and_never_live() {
    let report = Recording::of("transient", &["--sample", "all"]).report();
    let taken = report.function("transient::churn").line("let buffer");
    assert_eq!(
        (taken.allocated, taken.count),
        (Some(6_000_000_000), Some(12_000.0))
    );
    assert_eq!((taken.live, taken.peak), (Some(0), Some(500_000)));
    assert_eq!(taken.temporary, Some(6_000_000_000));
}

#[test]
fn transient_buffers_show_within_the_time_budget_too() {
    // An unoptimized recorder is ten times slower: it gets ten times the time.
    let options: &[&str] = match built::are_examples_optimized() {
        true => &[],
        false => &["--overhead", "20", "--grant", "60ms"],
    };
    let report = Recording::of("transient", options).report();
    let taken = report.function("transient::churn").line("let buffer");
    let error = (taken.allocated.expect("seen") - 6_000_000_000).abs();
    let stated = taken
        .standard_error
        .get("allocated")
        .copied()
        .unwrap_or(0.0);
    assert!(stated < 600_000_000.0, "{taken:?}");
    assert!(error as f64 <= 5.0 * stated, "{taken:?}");
    assert_eq!(taken.live, Some(0));
}

#[test]
fn a_leak_behind_an_earlier_peak_is_live_to_the_byte() {
    let report = Recording::of("leak", &["--sample", "all"]).report();
    let leak = report.function("leak::serve").line("let session");
    assert_eq!(
        (leak.live, leak.increment),
        (Some(10_000_000), Some(10_000_000))
    );
    assert_eq!(leak.peak.unwrap_or(0), 0);
    let table = report.function("leak::load").line("let table");
    assert_eq!((table.live, table.peak), (Some(0), Some(64 * MIB)));
}

#[test]
fn a_leak_comes_first_among_what_is_live() {
    let summary = Recording::of("leak", &[]).summary();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/leak.rs");
    let leak = format!("leak.rs:{}", line_number(&source, "let session"));
    let live = summary
        .split_once("live")
        .expect("a list of what is live")
        .1;
    let first = live.lines().find(|line| line.contains("leak.rs:"));
    assert!(first.is_some_and(|line| line.contains(&leak)), "{summary}");
}

#[test]
fn a_leak_behind_an_earlier_peak_has_the_highest_score() {
    let leaks = Recording::of("leak", &["--sample", "all"]).leaks();
    let mut lines = leaks.lines().skip_while(|line| !line.contains("Score"));
    let first = lines.nth(1).expect("a line below the title");
    let words: Vec<&str> = first.split_whitespace().collect();
    // Score, live, blocks, kept, since the peak: all that was ever taken there.
    assert!(
        first.contains("leak::serve") && first.contains("100%"),
        "{leaks}"
    );
    assert_eq!(words[..5], ["9.5", "MiB", "9.5", "MiB", "1,000"], "{leaks}");
    assert_eq!(words[6..8], ["+9.5", "MiB"], "{leaks}");
    // The first block is older than the last, and so there is a growth.
    let seconds = |word: &str| word.parse::<f64>().unwrap();
    assert!(seconds(words[8]) >= seconds(words[10]), "{leaks}");
    assert!(!leaks.contains("leak::load"), "{leaks}");
}

/// A minute of the server's load in a second. The line that leaks also makes 39 notes that it frees
/// for each that it keeps.
#[test]
fn a_slow_leak_of_a_server_comes_first_and_its_map_second() {
    for sample in ["all", "2KiB"] {
        let server = Recording::with_arguments("notes", &["--sample", sample], &["2", "4700"]);
        let leaks = server.leaks();
        let lines = leaks
            .lines()
            .filter(|line| line.contains('%') && !line.contains(" ← "));
        let first: Vec<&str> = lines.take(2).collect();
        assert!(first[0].contains("notes::note"), "{leaks}");
        assert!(first[1].contains("notes::Server::answer"), "{leaks}");
        // The table has not grown since the server was warm.
        let table = leaks.lines().find(|line| line.contains("Server::start"));
        assert!(table.unwrap().trim_start().starts_with("0 B"), "{leaks}");
    }
}

#[test]
fn killed_in_mid_run_it_reads_as_a_moment_before() {
    let recording = Recording::prepare("killed");
    let mut memprof = recording
        .command(&[])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("memprof runs");
    let mut ready = String::new();
    let mut stdout = BufReader::new(memprof.stdout.take().expect("piped"));
    stdout.read_line(&mut ready).expect("the example speaks");
    assert_eq!(ready, "ready\n");

    let live = recording.report();
    let program = Pid::from_raw(header(&recording.profile()).pid as i32).expect("its process");
    kill_process(program, Signal::KILL).expect("it still runs");
    assert_eq!(memprof.wait().expect("memprof ends").code(), Some(128 + 9));

    let after = recording.report();
    assert_eq!(after, live);
    let table = after.function("killed::fill");
    let taken = table.line("blocks.push(");
    assert_eq!(
        (taken.allocated, taken.live),
        (Some(20 * MIB), Some(10 * MIB))
    );
    assert_eq!(table.line("blocks.truncate(40)").increment, Some(-10 * MIB));
}

#[test]
fn growth_by_push_is_reallocated() {
    let report = Recording::of("push", &[]).report();
    let table = report.function("push::collect");
    let push = table.line("numbers.push(");
    // Room for 4 numbers at first, then twice as much each time up to 131,072: 32 bytes ... 1 MiB.
    let (first, last) = (32, MIB);
    assert_eq!(push.allocated, Some(2 * last - first));
    assert_eq!(push.reallocated, Some(2 * last - 2 * first));
    assert_eq!(push.freed, Some(last - first));
    assert_eq!(push.increment, Some(last));
    assert_eq!(push.count, Some(16.0));
    // Each block but the last went when the next had come: that is growth, and counts as that
    // alone.
    assert_eq!(push.temporary, Some(0));
    assert_eq!(
        table.line("drop(black_box(numbers))").increment,
        Some(-last)
    );
}

/// Each stack stands on one line of the summary, or elsewhere: so these add up to what was counted,
/// without any sampling.
#[test]
fn the_lines_add_up_to_the_exact_counters() {
    for example in ["lists", "loop_none", "threads", "leak", "push"] {
        let summary = Recording::of(example, &["--sample", "all"]).summary_json();
        assert_eq!(summary["sampling"]["exact"], true, "{example}");
        let sum = |figure: &str| -> i64 {
            let lines = summary["lines"].as_array().expect("lines").iter();
            let rest = [&summary["elsewhere"], &summary["unattributed"]];
            let figures = lines.chain(rest).map(|line| &line[figure]);
            figures
                .map(|figure| figure.as_i64().expect("a number"))
                .sum()
        };
        let recording = &summary["recording"];
        let counters = &recording["counters"];
        let counted = |name: &str| counters[name].as_i64().expect("a number");
        let expected = [
            ("allocated", counted("alloc_bytes")),
            ("freed", counted("freed_bytes")),
            ("count", counted("allocs") + counted("reallocs")),
            ("freed_count", counted("frees") + counted("reallocs")),
            ("increment", counted("alloc_bytes") - counted("freed_bytes")),
            ("live", recording["heap"].as_i64().expect("a number")),
            ("peak", recording["peak"].as_i64().expect("a number")),
        ];
        for (figure, expected) in expected {
            // A peak that several threads climb at once may miss what one of them is just noting.
            if (example, figure) == ("threads", "peak") {
                continue;
            }
            assert_eq!(sum(figure), expected, "{example}: {figure}");
        }
        let sizes = summary["sizes"].as_array().expect("sizes").iter();
        let in_sizes: i64 = sizes
            .map(|bar| bar["bytes"].as_i64().expect("a number"))
            .sum();
        assert_eq!(in_sizes, counted("alloc_bytes"), "{example}: sizes");
    }
}

#[test]
fn increment_is_allocated_minus_freed_on_every_line() {
    for example in ["lists", "threads", "leak", "push"] {
        let report = Recording::of(example, &["--sample", "all"]).report();
        let lines = report.functions.iter().flat_map(|table| &table.lines);
        for line in lines.filter(|line| !line.is_blank()) {
            let allocated = line.allocated.expect("seen");
            assert_eq!(
                line.increment,
                Some(allocated - line.freed.expect("seen")),
                "{line:?}"
            );
            for part in [line.live, line.peak, line.temporary, line.reallocated] {
                assert!((0..=allocated).contains(&part.expect("seen")), "{line:?}");
            }
        }
    }
}

fn header(profile: &Path) -> Header {
    let bytes = std::fs::read(profile).expect("the profile");
    Header::from_bytes(bytes.first_chunk().expect("a header"))
}
