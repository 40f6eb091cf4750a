//! More contexts than a process can tell apart. In a process of its own: none can name another
//! afterwards.

use std::hint::black_box;

use profiler_alloc::{ContextStats, ProfilerAlloc, contexts};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

#[test]
fn values_beyond_all_bounds_are_counted_as_other() {
    for number in 0..5000 {
        let _id = profiler_alloc::context("crowded", number.to_string());
        drop(black_box(vec![0u8; 7]));
    }
    let of_key: Vec<ContextStats> = contexts()
        .into_iter()
        .filter(|c| c.key == "crowded")
        .collect();
    let entries: u64 = of_key.iter().map(|context| context.entries).sum();
    let last = of_key.last().unwrap();
    assert_eq!((entries, &*last.value), (5000, "(other)"));
    assert!(
        last.entries > 900 && last.allocated_bytes == 7 * last.entries,
        "{last:?}"
    );
}
