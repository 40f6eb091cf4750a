//! A leak that starts after a higher peak has come and gone: what is live at the end tells it, the
//! peak does not.

use std::hint::black_box;

use profiler_alloc::ProfilerAlloc;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

const MIB: usize = 1024 * 1024;

fn load() {
    let table = black_box(vec![0_u8; 64 * MIB]);
    drop(table);
}

fn serve() {
    for _ in 0..1000 {
        let session = vec![1_u8; 10_000];
        black_box(session).leak();
    }
}

fn main() {
    load();
    serve();
}
