//! Takes 20 MiB in 80 blocks, gives back half, says `ready` and waits for a line on stdin.
//!
//! Killed while it waits, it leaves a profile that reads the same as a moment before.

use std::hint::black_box;
use std::io;

use profiler_alloc::ProfilerAlloc;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

const KIB: usize = 1024;

fn fill() -> Vec<Vec<u8>> {
    let mut blocks = Vec::with_capacity(80);
    for _ in 0..80 {
        blocks.push(vec![1_u8; 256 * KIB]);
    }
    blocks.truncate(40);
    blocks
}

fn main() -> io::Result<()> {
    let blocks = fill();
    // Its buffer is taken here, so that nothing more is allocated once `ready` is said.
    let stdin = io::stdin();
    println!("ready");
    stdin.read_line(&mut String::new())?;
    black_box(blocks);
    Ok(())
}
