//! The workloads on memprof's allocator over mimalloc.

use mimalloc::MiMalloc;
use profiler_alloc::ProfilerAlloc;

#[global_allocator]
static ALLOC: ProfilerAlloc<MiMalloc> = ProfilerAlloc::new(MiMalloc);

fn main() {
    peers::main();
}
