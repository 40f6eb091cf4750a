//! Recursion 10,000 deep (or as deep as the first argument says), with 1 KiB taken at every level.
//!
//! One table; a stack counts once for the line of the recursive call, however often that line
//! stands in it.

use std::hint::black_box;

use profiler_alloc::ProfilerAlloc;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

fn descend(levels: usize) {
    let block = black_box(vec![1_u8; 1024]);
    if levels > 1 {
        descend(levels - 1);
    }
    drop(block);
}

fn main() {
    let levels = std::env::args().nth(1);
    descend(levels.map_or(10_000, |levels| levels.parse().expect("a number of levels")));
}
