//! Takes and gives back 50 MiB five times on the same lines: 250 MiB allocated, 50 MiB at the peak,
//! nothing live.

use std::hint::black_box;

use profiler_alloc::ProfilerAlloc;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

const MIB: usize = 1024 * 1024;

fn take_and_give() {
    for _ in 0..5 {
        let block = black_box(vec![0_u8; 50 * MIB]);
        drop(block);
    }
}

fn main() {
    take_and_give();
}
