//! The workloads on the system's allocator: what all others are compared with.

fn main() {
    peers::main();
}
