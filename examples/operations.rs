//! Operations on the heap, so many times each, by memprof's allocator or by the system's: what
//! instructions are counted of.
//!
//! `operations memprof|system pair|ring|grow TIMES`

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;

use profiler_alloc::ProfilerAlloc;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

/// Places of the ring.
const PLACES: usize = 64;

/// Calls `work` at some depth, as a program would be.
#[inline(never)]
fn descend(depth: usize, work: &mut dyn FnMut()) {
    if depth == 0 {
        work();
    } else {
        descend(depth - 1, work);
    }
    black_box(depth);
}

/// A block is allocated and freed at once.
#[inline(never)]
fn pair(allocator: &impl GlobalAlloc) {
    let layout = Layout::new::<[u64; 8]>();
    // SAFETY: the layout is not empty, and the block is freed with the layout it was allocated
    // with.
    unsafe {
        let block = black_box(allocator.alloc(layout));
        allocator.dealloc(block, layout);
    }
}

/// A block is allocated, grown and freed.
#[inline(never)]
fn grow(allocator: &impl GlobalAlloc) {
    let layout = Layout::new::<[u64; 8]>();
    let grown = Layout::new::<[u64; 16]>();
    // SAFETY: the layouts are not empty, and each call is given the layout that the block has.
    unsafe {
        let block = black_box(allocator.alloc(layout));
        let block = black_box(allocator.realloc(block, layout, grown.size()));
        allocator.dealloc(block, grown);
    }
}

/// A block is allocated in the place of an older one, which is freed.
#[inline(never)]
fn ring(allocator: &impl GlobalAlloc, places: &mut [*mut u8; PLACES], turn: usize) {
    let layout = Layout::new::<[u64; 8]>();
    let place = &mut places[turn % PLACES];
    // SAFETY: the layout is not empty; a place holds null or a block of that layout, which is freed
    // once.
    unsafe {
        if !place.is_null() {
            allocator.dealloc(*place, layout);
        }
        *place = black_box(allocator.alloc(layout));
    }
}

fn run(allocator: &impl GlobalAlloc, operation: &str, times: usize) {
    let mut places = [std::ptr::null_mut(); PLACES];
    descend(16, &mut || match operation {
        "pair" => (0..times).for_each(|_| pair(allocator)),
        "grow" => (0..times).for_each(|_| grow(allocator)),
        "ring" => (0..times).for_each(|turn| ring(allocator, &mut places, turn)),
        other => panic!("{other} is none of pair, ring and grow"),
    });
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [allocator, operation, times] = &arguments[..] else {
        panic!("usage: operations memprof|system pair|ring|grow TIMES");
    };
    let times = times.parse().expect("a number");
    match allocator.as_str() {
        "memprof" => run(&ALLOC, operation, times),
        "system" => run(&System, operation, times),
        other => panic!("{other} is neither memprof nor system"),
    }
}
