//! The workloads on jemalloc; it profiles if `_RJEM_MALLOC_CONF` says so.

#[global_allocator]
static ALLOC: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    peers::main();
}
