//! Blocks that are allocated and freed at once, each in a stack of its own: what a full table of
//! stacks costs.
//!
//! `tree roomy|full TIMES`; with `full`, the profile cannot grow while that is done.

use std::hint::black_box;

use profiler_alloc::ProfilerAlloc;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

/// Calls between the outermost and the block.
const DEPTH: u32 = 20;

/// Each way through the bits of `way` is another stack.
#[inline(never)]
fn descend(way: u64, depth: u32) {
    if depth == 0 {
        drop(black_box(Box::new([0u64; 8])));
    } else if way & 1 == 0 {
        left(way >> 1, depth - 1);
    } else {
        right(way >> 1, depth - 1);
    }
    black_box(depth);
}

#[inline(never)]
fn left(way: u64, depth: u32) {
    descend(way, depth);
    black_box("left");
}

#[inline(never)]
fn right(way: u64, depth: u32) {
    descend(way, depth);
    black_box("right");
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [room, times] = &arguments[..] else {
        panic!("usage: tree roomy|full TIMES");
    };
    let times = times.parse().expect("a number");
    let before = getrlimit(Resource::Fsize);
    if room == "full" {
        let current = Some(1);
        setrlimit(Resource::Fsize, Rlimit { current, ..before }).expect("a lower limit");
    }
    (0..times).for_each(|way| descend(way, DEPTH));
    setrlimit(Resource::Fsize, before).expect("the limit that was");
}
