//! Operations on the heap, so many times each, by memprof's allocator or by the system's: what instructions are counted of.
//!
//! `operations memprof|system pair|pair-among-none|pair-among-many|ring|grow TIMES`

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;

use profiler_alloc::{ProfilerAlloc, Recording, Sample};

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
    // SAFETY: the layout is not empty, and the block is freed with the layout it was allocated with.
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
    // SAFETY: the layout is not empty; a place holds null or a block of that layout, which is freed once.
    unsafe {
        if !place.is_null() {
            allocator.dealloc(*place, layout);
        }
        *place = black_box(allocator.alloc(layout));
    }
}

/// Pairs in a recording, among so many sampled blocks that are kept. The recording pauses for the pairs: they are looked up like
/// any other block, and none of them is drawn as a sample.
fn among(kept: usize, allocator: &impl GlobalAlloc, times: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let recording = Recording::builder()
        .path(folder.path().join("operations.memprof"))
        .sample(Sample::Every(4 << 10))
        .start()
        .expect("nothing is recorded yet");
    // Each is sixteen intervals long, so that it is sampled; of its pages only the first is touched.
    let blocks: Vec<Vec<u8>> = (0..kept).map(|_| Vec::with_capacity(64 << 10)).collect();
    recording.pause();
    (0..times).for_each(|_| pair(allocator));
    drop(black_box(blocks));
}

fn run(allocator: &impl GlobalAlloc, operation: &str, times: usize) {
    let mut places = [std::ptr::null_mut(); PLACES];
    descend(16, &mut || match operation {
        "pair" => (0..times).for_each(|_| pair(allocator)),
        "pair-among-none" => among(0, allocator, times),
        "pair-among-many" => among(8_192, allocator, times),
        "grow" => (0..times).for_each(|_| grow(allocator)),
        "ring" => (0..times).for_each(|turn| ring(allocator, &mut places, turn)),
        other => panic!("there is no operation {other}"),
    });
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [allocator, operation, times] = &arguments[..] else {
        panic!(
            "usage: operations memprof|system pair|pair-among-none|pair-among-many|ring|grow TIMES"
        );
    };
    let times = times.parse().expect("a number");
    match allocator.as_str() {
        "memprof" => run(&ALLOC, operation, times),
        "system" => run(&System, operation, times),
        other => panic!("{other} is neither memprof nor system"),
    }
}
