//! A vector grows as numbers are pushed: each growth gives the old block back and takes one of
//! twice the size.

use std::hint::black_box;

use profiler_alloc::ProfilerAlloc;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

fn collect() {
    let mut numbers: Vec<u64> = Vec::new();
    for number in 0..100_000 {
        numbers.push(number);
    }
    drop(black_box(numbers));
}

fn main() {
    collect();
}
