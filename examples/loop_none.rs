//! A block is given back in the first turn of a loop: only the line that does it may show it.
//!
//! A profiler that compares the process's memory with the highest it saw before charges the other
//! lines of the loop.

use std::hint::black_box;

use profiler_alloc::ProfilerAlloc;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

const BIG: usize = 90 * 1024 * 1024;

fn give_back_in_a_loop() {
    let mut x = Some(vec![1_u8; BIG]);
    for _ in 0..10 {
        let a = black_box(1);
        let b = black_box(2);
        x = None;
        black_box((a, b, &x));
    }
    drop(x);
}

fn main() {
    give_back_in_a_loop();
}
