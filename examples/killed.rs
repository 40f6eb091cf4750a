//! Takes 20 MiB in 80 blocks, gives back half, says `ready` and waits for a line on stdin.
//!
//! Killed while it waits, it leaves a profile that reads the same as a moment before. `killed
//! abort` kills itself instead, and `killed all` takes memory until the system does that.

use std::hint::black_box;
use std::io::{self, BufRead};

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

fn take_all() {
    let mut all = Vec::new();
    loop {
        all.push(vec![1_u8; 256 * KIB]);
    }
}

fn main() {
    let blocks = fill();
    match std::env::args().nth(1).as_deref() {
        Some("abort") => std::process::abort(),
        Some("all") => {
            let _route = profiler_alloc::context("route", "/all");
            take_all();
        }
        _ => {}
    }
    let stdin = io::stdin().lock();
    println!("ready");
    stdin.lines().next();
    black_box(blocks);
}
