//! Without the allocator, wrappers say so once and show the memory of the process.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::process::Command;

use profiler_alloc::measure::{Budget, Limit, Metric, profiles};
use profiler_alloc::{profile, ram_profiler};

#[profile]
#[ram_profiler]
fn takes() -> usize {
    let taken = black_box(vec![1u8; 64 << 20]);
    taken.len()
}

#[profile]
fn takes_too() -> usize {
    takes() + 1
}

#[test]
#[ignore = "a program for the test below"]
fn program() {
    takes_too();
    let table = profiles()
        .into_iter()
        .find(|table| table.function.ends_with("takes"))
        .unwrap();
    assert_eq!(table.metric, Metric::Rss);
    let mib = |line: u32| table.lines[line as usize].increment.unwrap() >> 20;
    assert!(
        (60..70).contains(&mib(1)) && (-70..=-60).contains(&mib(3)),
        "{table}"
    );
    let broken = Budget::new().max_heap(1).check(|| ()).unwrap_err();
    assert_eq!(broken.limits, [Limit::Unknown]);
}

#[test]
fn is_said_once_and_rss_is_shown() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "program"])
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    assert_eq!(
        stderr
            .matches("profiler-alloc: ProfilerAlloc is not the global allocator")
            .count(),
        1,
        "{stderr}"
    );
    assert_eq!(
        stderr.matches("(memory of the whole process:").count(),
        2,
        "{stderr}"
    );
    assert!(stderr.contains("(heap unknown: "), "{stderr}");
}
