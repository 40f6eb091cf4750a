//! The attributes stand on unsafe functions, and probe unsafe blocks, as they do elsewhere.

use profiler_alloc::measure::profiles;
use profiler_alloc::{ProfilerAlloc, elapsed_timer, profile, ram_profiler};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

/// # Safety
/// `number` must point to a number.
#[profile]
#[ram_profiler(summary)]
#[elapsed_timer(summary)]
unsafe fn reads(number: *const u32) -> Vec<u32> {
    // SAFETY: the caller's promise.
    let list = unsafe {
        let number = number.read();
        vec![number; 100]
    };
    list
}

#[test]
fn unsafe_functions_have_tables() {
    // SAFETY: the reference is valid.
    let list = unsafe { reads(&7) };
    assert_eq!(list, [7; 100]);
    let tables = profiles();
    let increments = tables[0].lines.iter().filter_map(|line| line.increment);
    assert!(increments.skip(1).any(|bytes| bytes == 400));
}
