//! 6 GB in buffers of 500 KB that live for a moment: much is allocated, nothing is ever in use for
//! long.

use std::hint::black_box;

use profiler_alloc::ProfilerAlloc;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

fn churn() {
    for _ in 0..12_000 {
        let buffer: Vec<u8> = black_box(Vec::with_capacity(500_000));
        drop(buffer);
    }
}

fn main() {
    churn();
}
