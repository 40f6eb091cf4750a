//! The workloads on memprof's allocator over the system's; recorded if the environment asks for it.

#[global_allocator]
static ALLOC: profiler_alloc::ProfilerAlloc = profiler_alloc::ProfilerAlloc::system();

fn main() {
    peers::main();
}
