//! `#[profile]`: every statement on its line, to the byte, in the cases where other line profilers
//! fail.

#![forbid(unsafe_code)]

mod line_table;

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;

use line_table::LineTable;
use profiler_alloc::{ProfilerAlloc, profile, profile_block};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

const MIB: i64 = 1 << 20;

fn block(bytes: usize) -> Vec<u8> {
    black_box(vec![1u8; bytes])
}

#[profile]
fn in_a_loop() {
    let mut x = Some(block(90 << 20));
    for _ in 0..10 {
        let a = 1;
        let b = 2;
        black_box((a, b, &x));
        x = None;
    }
    drop(x);
}

#[test]
fn lines_of_a_loop_that_do_nothing_show_nothing() {
    in_a_loop();
    let table = LineTable::of("in_a_loop");
    let nothing = ["let a = 1", "let b = 2", "black_box((a", "drop(x)"];
    assert_eq!(table.increments(nothing), [0; 4]);
    assert_eq!(table.increment("let mut x"), Some(90 * MIB));
    assert_eq!(table.increment("x = None"), Some(-90 * MIB));
    assert_eq!(table.occurrences("let a = 1"), 10);
    assert_eq!(table.occurrences("for _ in"), 11);
}

#[profile(columns(occurrences, allocated, freed))]
fn take_and_give() {
    for _ in 0..5 {
        let taken = block(50 << 20);
        drop(taken);
    }
}

#[test]
fn taking_and_giving_back_are_separate() {
    take_and_give();
    let table = LineTable::of("take_and_give");
    let (take, give) = (table.line("let taken"), table.line("drop(taken)"));
    assert_eq!(
        (take.increment, give.increment),
        (Some(250 * MIB), Some(-250 * MIB))
    );
    assert_eq!((take.allocated, take.freed), (Some(250 << 20), Some(0)));
    assert_eq!((give.allocated, give.freed), (Some(0), Some(250 << 20)));
    let text = table.0.to_string();
    assert!(
        text.contains("Occurrences    Allocated        Freed   Line Contents"),
        "{text}"
    );
}

#[profile]
fn takes_thirty() -> usize {
    let taken = block(30 << 20);
    taken.len()
}

#[profile]
fn starts_three_threads() {
    let threads: Vec<_> = (0..3).map(|_| thread::spawn(takes_thirty)).collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn threads_add_up_and_their_starter_is_not_charged() {
    starts_three_threads();
    let table = LineTable::of("takes_thirty");
    assert_eq!(table.increment("let taken"), Some(90 * MIB));
    assert_eq!((table.increment("}"), table.0.calls), (Some(-90 * MIB), 3));
    let starter = LineTable::of("starts_three_threads");
    assert!(starter.increment("thread.join()").unwrap().abs() < 64 << 10);
}

#[profile]
fn many_calls(rounds: usize) -> usize {
    let taken = block(rounds);
    let more = if rounds > 1 {
        many_calls(rounds - 1)
    } else {
        0
    };
    taken.len() + more
}

#[test]
fn thousands_of_calls_from_many_threads_make_one_exact_table() {
    // More threads than there are blocks of counters.
    let work = || (0..200).map(|_| many_calls(10)).sum::<usize>();
    thread::scope(|scope| {
        (0..40).for_each(|_| drop(scope.spawn(work)));
    });
    let table = LineTable::of("many_calls");
    assert_eq!(table.0.calls, 40 * 200 * 10);
    assert_eq!(table.increment("let taken"), Some(40 * 200 * 55));
    assert_eq!(table.sum(), 0);
}

#[profile]
fn meets(others: &Barrier) {
    let taken = block(100);
    others.wait();
    drop(taken);
}

#[test]
fn more_threads_at_once_than_blocks_of_counters_share_one() {
    let all = Barrier::new(48);
    thread::scope(|scope| {
        (0..48).for_each(|_| drop(scope.spawn(|| meets(&all))));
    });
    let table = LineTable::of("meets");
    assert_eq!(
        table.increments(["let taken", "drop(taken)"]),
        [4800, -4800]
    );
    assert_eq!(table.occurrences("let taken"), 48);
}

#[profile]
fn recurse(depth: u64) -> u64 {
    let own = Box::new(depth);
    let below = match depth {
        0 => 0,
        _ => recurse(depth - 1),
    };
    black_box(&own);
    below + 1
}

fn on_a_large_stack<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let thread = thread::Builder::new()
        .stack_size(1 << 30)
        .spawn(work)
        .unwrap();
    thread.join().unwrap()
}

#[test]
fn a_hundred_thousand_calls_deep_cost_no_more_each() {
    assert_eq!(on_a_large_stack(|| recurse(100_000)), 100_001);
    let table = LineTable::of("recurse");
    assert_eq!(table.increment("let own"), Some(8 * 100_001));
    assert_eq!(table.occurrences("let own"), 100_001);
    // All that the outermost one's callees took they gave back; that inner ones ran on the same
    // line adds nothing.
    assert_eq!(table.increment("_ => recurse"), Some(0));
    assert_eq!(table.sum(), 0);
}

#[profile]
fn keeps(depth: usize, kept: &mut Vec<Vec<u8>>) {
    kept.push(block(1000));
    if depth > 1 {
        keeps(depth - 1, kept);
    }
}

#[test]
fn a_stack_counts_once_for_a_line() {
    let mut kept = Vec::with_capacity(100);
    keeps(100, &mut kept);
    let table = LineTable::of("keeps");
    assert_eq!(table.increment("kept.push"), Some(100_000));
    // What the 99 inner calls kept, once; not 99 + 98 + 97 + …
    assert_eq!(table.increment("keeps(depth - 1"), Some(99_000));
}

#[profile]
fn even(n: u32) -> usize {
    let own = block(100);
    if n == 0 {
        return own.len();
    }
    odd(n - 1) + own.len()
}

#[profile]
fn odd(n: u32) -> usize {
    let own = block(10);
    even(n - 1) + own.len()
}

#[test]
fn functions_may_call_each_other() {
    assert_eq!(even(10), 6 * 100 + 5 * 10);
    let (even, odd) = (LineTable::of("even"), LineTable::of("odd"));
    assert_eq!(even.increment("let own"), Some(600));
    assert_eq!(odd.increment("let own"), Some(50));
    assert_eq!((even.sum(), odd.sum()), (0, 0));
}

#[profile]
fn pushes() {
    let mut list: Vec<u64> = Vec::new();
    for i in 0..1000 {
        list.push(i);
    }
    black_box(&list);
}

#[test]
fn growth_stands_on_the_push() {
    pushes();
    let table = LineTable::of("pushes");
    let push = table.line("list.push");
    assert_eq!(push.increment, Some(1024 * 8));
    assert!(push.allocated > Some(2048 * 7) && push.freed.is_some());
    assert_eq!(table.sum(), 0);
}

#[profile]
fn shapes(choice: Option<u32>, list: Vec<u8>) -> Result<usize, String> {
    let Some(number) = choice else {
        let message = "none".repeat(25);
        return Err(message);
    };
    let sized = match number {
        0 => {
            let small = block(100);
            small.len()
        }
        1 => block(200).len(),
        2 => return Ok(list.len()),
        _ => "not a number".parse::<usize>().map_err(|e| e.to_string())?,
    };
    let kept = if sized > 100 {
        let inner = block(300);
        inner
    } else {
        block(400)
    };
    let held = kept
        .iter()
        .map(|byte| {
            let boxed = Box::new(*byte);
            usize::from(*boxed)
        })
        .sum::<usize>();
    let labelled = 'outer: {
        let scratch = block(500);
        if scratch.len() > held {
            break 'outer 1;
        }
        2
    };
    let mut times = 0;
    while times < 3 {
        let each = block(7);
        times += each.len() / 7;
    }
    Ok(sized + held + labelled)
}

#[test]
fn statements_of_all_blocks_have_their_lines() {
    assert_eq!(shapes(Some(0), block(1 << 10)), Ok(100 + 400 + 1));
    assert_eq!(shapes(Some(1), block(1 << 10)), Ok(200 + 300 + 1));
    assert_eq!(shapes(Some(2), block(1 << 10)), Ok(1 << 10));
    assert!(shapes(Some(3), block(1 << 10)).is_err());
    assert_eq!(shapes(None, block(1 << 10)).unwrap_err().len(), 100);
    let table = LineTable::of("shapes");
    let markers = [
        "let small",
        "let inner",
        "block(400)",
        "let scratch",
        "let each",
    ];
    assert_eq!(
        table.increments(markers),
        [100, 300, 400, 500 * 2, 7 * 3 * 2]
    );
    assert_eq!(table.increment("\"none\".repeat"), Some(100));
    // What a return in the middle of a statement drops stands on the statement; two calls left by
    // it.
    assert_eq!(table.increment("let sized"), Some(-(2 << 10)));
    assert_eq!(table.line("1 => block(200)").allocated, Some(200));
    assert_eq!(table.occurrences("let boxed"), 700);
    assert_eq!(table.line("let boxed").allocated, Some(700));
    // Callees included: the line that called the closure shows what it took, too.
    assert_eq!(table.line("let held").allocated, Some(700));
    assert_eq!(table.occurrences("while times"), 2 * 4);
    let arm = table.line("let small").number + 2;
    assert_eq!(
        table.0.line(arm).unwrap().increment,
        Some(-100),
        "the arm's brace"
    );
}

#[profile]
fn consumes(list: Vec<u8>, (left, _right): (Vec<u8>, u8)) -> usize {
    let sum = list.len();
    sum + left.len()
}

#[test]
fn arguments_are_dropped_on_the_closing_brace() {
    assert_eq!(consumes(block(1000), (block(500), 0)), 1500);
    let table = LineTable::of("consumes");
    assert_eq!(
        table.increments(["let sum", "sum + left", "}"]),
        [0, 0, -1500]
    );
}

#[profile]
fn bindings_of_loops(lists: Vec<Vec<u8>>) -> usize {
    let mut sum = 0;
    for list in lists {
        if list.len() == 10 {
            continue;
        }
        sum += list.len();
    }
    sum
}

#[test]
fn what_a_loop_binds_is_dropped_in_its_body() {
    assert_eq!(
        bindings_of_loops(vec![block(10), block(100), block(200)]),
        300
    );
    let table = LineTable::of("bindings_of_loops");
    assert_eq!(table.increment("continue;"), Some(-10));
    let close = table.line("sum += list").number + 1;
    assert_eq!(table.0.line(close).unwrap().increment, Some(-300));
    assert_eq!(table.occurrences("for list in"), 4);
}

#[profile]
fn leaves_by_closure() -> impl Fn() -> usize {
    let base = 3;
    move || {
        let taken = block(100);
        taken.len() + base
    }
}

#[test]
fn a_closure_that_runs_elsewhere_is_not_looked_at() {
    let closure = leaves_by_closure();
    assert_eq!(closure(), 103);
    assert_eq!(thread::spawn(closure).join().unwrap(), 103);
    let table = LineTable::of("leaves_by_closure");
    assert_eq!(table.increment("let taken"), None);
}

#[test]
fn a_block_has_a_table_of_its_own() {
    fn middle() -> Option<usize> {
        let before = block(10);
        let length = profile_block!("the middle", {
            let taken = block(1000);
            let found = Some(taken.len())?;
            found + 1
        });
        Some(before.len() + length)
    }
    assert_eq!(middle(), Some(1011));
    let table = LineTable::of("the middle");
    assert_eq!(table.increments(["let taken", "});"]), [1000, -1000]);
}

#[profile]
fn panics(deep: bool) {
    let taken = block(1000);
    if deep {
        panics(false);
    }
    panic!("{}", taken.len());
}

#[test]
fn a_panic_leaves_a_table() {
    let message = std::panic::catch_unwind(|| panics(true)).unwrap_err();
    drop(message);
    let table = LineTable::of("panics");
    assert_eq!(table.increment("let taken"), Some(2000));
    assert_eq!(table.0.calls, 2);
    // The thread's state is in order again.
    let _ = std::panic::catch_unwind(|| panics(false));
    assert_eq!(LineTable::of("panics").increment("let taken"), Some(3000));
}

#[profile]
fn records_meanwhile(path: &std::path::Path) {
    let before = block(1000);
    let recording = profiler_alloc::Recording::builder()
        .path(path)
        .start()
        .unwrap();
    let during = block(2000);
    drop(recording);
    let after = block(3000);
    black_box((before, during, after));
}

#[test]
fn a_recording_may_start_and_end_in_the_middle() {
    let folder = tempfile::tempdir().unwrap();
    records_meanwhile(&folder.path().join("x.memprof"));
    let table = LineTable::of("records_meanwhile");
    let markers = ["let before", "let during", "let after"];
    assert_eq!(table.increments(markers), [1000, 2000, 3000]);
}

#[profile]
fn sends_reports() {
    let timer = profiler_alloc::measure::ElapsedTimer::start("inside");
    drop(timer);
    profiler_alloc::ram_profiler("inside", || ());
}

#[test]
fn reports_are_not_charged_to_the_program() {
    sends_reports();
    let table = LineTable::of("sends_reports");
    for line in &table.0.lines[1..] {
        assert_eq!(line.allocated.unwrap_or(0), 0, "{line:?}");
    }
}

#[profile(embed)]
fn embedded() {
    block(1);
}

#[test]
fn the_text_may_be_embedded() {
    embedded();
    let table = LineTable::of("embedded");
    assert_eq!(table.0.note, None);
    let contents = table.0.lines.iter().map(|line| line.contents.as_deref());
    let expected = ["fn embedded() {", "    block(1);", "}"];
    assert!(contents.eq(expected.map(Some)));
}

#[profile]
fn is_long(depth: u32) -> Vec<Vec<u8>> {
    let mut kept = Vec::with_capacity(200);
    kept.push(block(1));
    kept.push(block(2));
    kept.push(block(3));
    kept.push(block(4));
    kept.push(block(5));
    kept.push(block(6));
    kept.push(block(7));
    kept.push(block(8));
    kept.push(block(9));
    kept.push(block(10));
    kept.push(block(11));
    kept.push(block(12));
    kept.push(block(13));
    kept.push(block(14));
    kept.push(block(15));
    kept.push(block(16));
    kept.push(block(17));
    kept.push(block(18));
    kept.push(block(19));
    kept.push(block(20));
    kept.push(block(21));
    kept.push(block(22));
    kept.push(block(23));
    kept.push(block(24));
    kept.push(block(25));
    kept.push(block(26));
    kept.push(block(27));
    kept.push(block(28));
    kept.push(block(29));
    kept.push(block(30));
    kept.push(block(31));
    kept.push(block(32));
    kept.push(block(33));
    kept.push(block(34));
    kept.push(block(35));
    kept.push(block(36));
    kept.push(block(37));
    kept.push(block(38));
    kept.push(block(39));
    kept.push(block(40));
    kept.push(block(41));
    kept.push(block(42));
    kept.push(block(43));
    kept.push(block(44));
    kept.push(block(45));
    kept.push(block(46));
    kept.push(block(47));
    kept.push(block(48));
    kept.push(block(49));
    kept.push(block(50));
    kept.push(block(51));
    kept.push(block(52));
    kept.push(block(53));
    kept.push(block(54));
    kept.push(block(55));
    kept.push(block(56));
    kept.push(block(57));
    kept.push(block(58));
    kept.push(block(59));
    kept.push(block(60));
    kept.push(block(61));
    kept.push(block(62));
    kept.push(block(63));
    kept.push(block(64));
    kept.push(block(65));
    kept.push(block(66));
    kept.push(block(67));
    kept.push(block(68));
    kept.push(block(69));
    kept.push(block(70));
    kept.push(block(71));
    kept.push(block(72));
    kept.push(block(73));
    kept.push(block(74));
    kept.push(block(75));
    kept.push(block(76));
    kept.push(block(77));
    kept.push(block(78));
    kept.push(block(79));
    kept.push(block(80));
    if depth > 0 {
        kept.extend(is_long(depth - 1));
    }
    kept
}

#[test]
fn long_functions_may_recurse() {
    drop(is_long(1));
    let table = LineTable::of("is_long");
    assert_eq!(
        table.increments(["block(1))", "block(64))", "block(80))"]),
        [2, 128, 160]
    );
    // The first 80 blocks of the inner call; its list was freed by the line that took it apart.
    assert_eq!(table.increment("kept.extend"), Some(80 * 81 / 2));
}
