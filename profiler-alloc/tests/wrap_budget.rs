//! Budgets: exact limits of one scope, and failures that say what broke them.

#![forbid(unsafe_code)]

use std::any::Any;
use std::hint::black_box;
use std::panic::catch_unwind;
use std::thread;
use std::time::Duration;

use profiler_alloc::measure::{Budget, Limit};
use profiler_alloc::{ProfilerAlloc, assert_max_heap, assert_no_leaks, budget, profile};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

fn block(bytes: usize) -> Vec<u8> {
    black_box(vec![1u8; bytes])
}

fn message(panic: Box<dyn Any + Send>) -> String {
    *panic.downcast::<String>().expect("a message")
}

#[test]
fn the_highest_moment_counts_to_the_byte() {
    let work = || {
        let small = block(100);
        drop(block(900));
        small.len() + block(800).len()
    };
    assert_eq!(Budget::new().max_heap(1000).check(work), Ok(900));
    let broken = Budget::new().max_heap(999).check(work).unwrap_err();
    assert_eq!(
        broken.limits,
        [Limit::Heap {
            limit: 999,
            used: 1000
        }]
    );
    assert_eq!(
        broken.to_string(),
        "max_heap: limit 1.0 KiB (999 B), used 1.0 KiB (1000 B)"
    );
}

#[test]
fn many_small_blocks_count_as_exactly() {
    let work = || (0..100).map(|_| block(10)).collect::<Vec<_>>().len();
    let list = 100 * size_of::<Vec<u8>>() as u64;
    assert!(Budget::new().max_heap(1000 + list).check(work).is_ok());
    assert!(Budget::new().max_heap(999 + list).check(work).is_err());
    assert!(Budget::new().max_allocations(101).check(work).is_ok());
    assert!(Budget::new().max_allocations(100).check(work).is_err());
}

#[test]
fn other_threads_do_not_disturb() {
    thread::scope(|scope| {
        let busy = scope.spawn(|| (0..2000).for_each(|_| drop(block(1 << 20))));
        while !busy.is_finished() {
            let result = Budget::new()
                .max_heap(1000)
                .no_leaks()
                .check(|| block(1000).len());
            assert_eq!(result, Ok(1000));
        }
    });
}

#[test]
fn scopes_inside_scopes_have_their_own_limits() {
    let outer = Budget::new().max_heap(3000).check(|| {
        let held = block(2000);
        assert_eq!(
            Budget::new().max_heap(1000).check(|| block(1000).len()),
            Ok(1000)
        );
        held.len()
    });
    assert_eq!(outer, Ok(2000));
    let outer = Budget::new().max_heap(2999).check(|| {
        let held = block(2000);
        Budget::new()
            .max_heap(1000)
            .check(|| drop(block(1000)))
            .unwrap();
        held.len()
    });
    assert!(outer.is_err());
}

/// What `work` held at most of its own.
fn held(work: impl FnOnce()) -> u64 {
    match Budget::new().max_heap(0).check(work) {
        Err(broken) => match broken.limits[..] {
            [Limit::Heap { used, .. }] => used,
            ref other => panic!("{other:?}"),
        },
        Ok(()) => 0,
    }
}

/// What `work` took and kept.
fn leaked(work: impl FnOnce()) -> u64 {
    match Budget::new().no_leaks().check(work) {
        Err(broken) => match broken.limits[..] {
            [Limit::Leak { bytes }] => bytes,
            ref other => panic!("{other:?}"),
        },
        Ok(()) => 0,
    }
}

#[test]
fn older_blocks_are_no_credit() {
    let old = block(1_000_000);
    assert_eq!(
        held(|| {
            drop(old);
            drop(block(900_000));
        }),
        900_000
    );
    let mut old = block(1_000_000);
    let in_between = || {
        let first = block(50_000);
        old = Vec::new();
        drop((first, block(50_000)));
    };
    assert_eq!(held(in_between), 100_000);
    // Growing an older block takes what it adds.
    let mut old = block(1000);
    assert_eq!(held(|| old.reserve_exact(2000)), 2000);
    // Blocks of another thread are none of the scope's either.
    let others: Vec<Vec<u8>> = thread::spawn(|| (0..50).map(|_| block(10_000)).collect())
        .join()
        .unwrap();
    assert_eq!(
        held(|| {
            drop(others);
            drop(block(400));
        }),
        400
    );
}

#[test]
fn older_blocks_hide_no_leak() {
    let old = block(5000);
    assert_eq!(
        leaked(|| {
            drop(old);
            std::mem::forget(block(5000));
        }),
        5000
    );
    let mut old = block(5000);
    assert_eq!(
        leaked(|| {
            std::mem::forget(block(5000));
            old = Vec::new();
        }),
        5000
    );
    // What the scope gives back of its own, and of others', is no leak.
    let mut old = block(1000);
    assert_eq!(
        leaked(|| {
            old.reserve_exact(2000);
            old = Vec::new();
            drop(block(700));
        }),
        0
    );
}

/// A block of `from` bytes that becomes one of `to`.
fn shrink(block: &mut Vec<u8>, to: usize) {
    block.truncate(to);
    block.shrink_to_fit();
    assert_eq!(block.capacity(), to);
}

#[test]
fn shrinking_an_older_block_is_no_credit() {
    let mut old = block(1_000_000);
    let in_between = || {
        let first = block(50_000);
        shrink(&mut old, 1000);
        drop((first, block(50_000)));
    };
    assert_eq!(held(in_between), 100_000);
    let mut old = block(6000);
    let hides = |old: &mut Vec<u8>| {
        std::mem::forget(block(5000));
        shrink(old, 1000);
    };
    assert_eq!(leaked(|| hides(&mut old)), 5000);
    // It stays the older one, and its end is no credit either.
    let mut old = block(6000);
    let and_is_freed = || {
        hides(&mut old);
        old = Vec::new();
    };
    assert_eq!(leaked(and_is_freed), 5000);
}

#[test]
fn shrinking_gives_back_what_the_scope_took() {
    let mut old = block(1000);
    let there_and_back = |old: &mut Vec<u8>| {
        old.reserve_exact(2000);
        shrink(old, 1000);
        drop(block(1500));
    };
    assert_eq!(held(|| there_and_back(&mut old)), 2000);
    assert_eq!(leaked(|| there_and_back(&mut old)), 0);
    assert_eq!(
        leaked(|| {
            let mut own = block(5000);
            shrink(&mut own, 1000);
        }),
        0
    );
    // An older block that only shrinks, and goes, is no leak.
    let mut old = block(5000);
    assert_eq!(
        leaked(|| {
            shrink(&mut old, 1000);
            old = Vec::new();
        }),
        0
    );
    // What is older than the scope inside is the outer one's own.
    let outer = || {
        let mut own = block(5000);
        assert_eq!(held(|| shrink(&mut own, 1000)), 0);
    };
    assert_eq!((leaked(outer), held(outer)), (0, 5000));
}

#[test]
fn scopes_inside_scopes_know_their_own_blocks() {
    let old = block(2000);
    let mut inside = (0, 0);
    let outside = held(|| {
        drop(old);
        let own = block(1000);
        inside.0 = held(|| {
            drop(own);
            drop(block(700));
        });
        inside.1 = leaked(|| drop(block(700)));
        drop(block(300));
    });
    assert_eq!((outside, inside), (1000, (700, 0)));
}

#[test]
fn a_busy_scope_is_never_charged_with_more_than_it_holds() {
    // So many blocks that older ones look like the scope's own.
    let mut old: Vec<Vec<u8>> = (0..20_000).map(|_| block(16)).collect();
    let list = 20_000 * size_of::<Vec<u8>>() as u64;
    let used = held(|| {
        let mut own: Vec<Vec<u8>> = Vec::with_capacity(20_000);
        while let Some(older) = old.pop() {
            drop(older);
            own.push(block(16));
        }
        own.truncate(10_000);
        own.extend((0..10_000).map(|_| block(16)));
    });
    let most = list + 20_000 * 16;
    assert!(used <= most, "{used} of {most}");
    assert!(used > most * 99 / 100, "{used} of {most}");
}

#[profile]
fn uses_most_here() -> usize {
    let little = block(10_000);
    let much = block(5_000_000);
    little.len() + much.len()
}

#[budget(max_heap = "4 MiB", max_allocations = 1)]
fn is_over_budget() -> usize {
    uses_most_here()
}

#[test]
fn a_failure_names_the_lines_that_used_most() {
    let text = message(catch_unwind(is_over_budget).unwrap_err());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "is_over_budget broke its budget");
    assert_eq!(
        lines[1],
        "max_heap: limit 4.0 MiB (4194304 B), used 4.8 MiB (5010000 B)"
    );
    assert_eq!(lines[2], "max_allocations: limit 1, used 2");
    assert_eq!(lines[3], "lines that used most:");
    let source: Vec<&str> = include_str!("wrap_budget.rs").lines().collect();
    let most = 1 + source
        .iter()
        .position(|line| line.contains("let much"))
        .unwrap();
    let expected = format!(
        "     4.8 MiB  profiler-alloc/tests/wrap_budget.rs:{most} (wrap_budget::uses_most_here)"
    );
    assert_eq!(lines[4], expected);
}

#[budget(no_leaks)]
fn forgets() {
    std::mem::forget(block(1234));
}

#[test]
fn leaks_are_found() {
    let text = message(catch_unwind(forgets).unwrap_err());
    assert_eq!(
        text,
        "forgets broke its budget\nno_leaks: 1.2 KiB (1234 B) not freed"
    );
    assert_eq!(assert_no_leaks!({ block(10).len() }), 10);
    let text = message(catch_unwind(|| assert_no_leaks!(std::mem::forget(block(7)))).unwrap_err());
    assert_eq!(text, "no_leaks: 7 B not freed");
    assert_eq!(assert_max_heap!(10, block(10)).len(), 10);
    assert!(catch_unwind(|| assert_max_heap!(10, block(11))).is_err());
}

#[test]
#[budget(max_heap = 5000, max_time = "1 min", no_leaks)]
fn attributes_stand_on_tests() {
    assert_eq!(block(5000).len(), 5000);
}

#[test]
fn time_is_limited_where_asked_for() {
    let budget = Budget::new().max_time(Duration::from_millis(1));
    let broken = budget
        .check(|| thread::sleep(Duration::from_millis(5)))
        .unwrap_err();
    assert!(
        broken.to_string().starts_with("max_time: limit 1ms, used "),
        "{broken}"
    );
}

#[budget(max_heap = 10)]
fn panics_first() {
    drop(block(100));
    panic!("the test's own reason");
}

#[test]
fn a_panic_keeps_its_own_reason() {
    let panic = catch_unwind(panics_first).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"the test's own reason"));
}
