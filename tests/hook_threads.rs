//! Threads: records are used again, counts outlive their threads, and what a thread allocates while
//! it ends is counted.

use std::cell::RefCell;
use std::hint::black_box;

use profiler_alloc::{ProfilerAlloc, Recording, Sample};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

const LATE: usize = 1_234_567;

/// Allocates when its thread ends.
struct Late;

impl Drop for Late {
    fn drop(&mut self) {
        drop(black_box(vec![1u8; LATE]));
    }
}

thread_local! {
    static LAST_WORDS: RefCell<Option<Late>> = const { RefCell::new(None) };
}

#[test]
fn a_thousand_threads_in_a_few_records() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.memprof");
    let recording = Recording::builder()
        .path(&path)
        .sample(Sample::All)
        .start()
        .unwrap();
    for _ in 0..250 {
        let workers: Vec<_> = (0..4)
            .map(|number| {
                let name = format!("worker {number}");
                let work = || {
                    LAST_WORDS.with(|last| *last.borrow_mut() = Some(Late));
                    drop(black_box(vec![1u8; 54_321]));
                };
                std::thread::Builder::new().name(name).spawn(work).unwrap()
            })
            .collect();
        workers
            .into_iter()
            .for_each(|worker| worker.join().unwrap());
    }
    drop(recording);
    let (profile, defects) = memprof::profile::read(&path).unwrap();
    assert_eq!(defects, []);
    let bytes: i64 = profile
        .stacks
        .iter()
        .map(|stack| stack.totals.alloc_bytes)
        .sum();
    let counted = profile.counters().alloc_bytes as i64;
    assert!(counted >= 1_000 * (LATE + 54_321) as i64, "{counted}");
    // Threads that ran before the recording join a little late; everything else is in a stack and
    // in the counters.
    assert!(
        (bytes - counted).abs() < 10_000,
        "{bytes} in stacks, {counted} counted"
    );
    assert_eq!(profile.header.lost_threads, 0);
    assert!(
        profile.threads.len() < 40,
        "{} records",
        profile.threads.len()
    );
    assert!(
        profile
            .threads
            .iter()
            .any(|thread| thread.name.starts_with("worker "))
    );
}
