//! Blocks that come and go, so many times, among sampled blocks that are kept: what instructions
//! are counted of.
//!
//! `among KEPT TIMES`

use std::hint::black_box;

use profiler_alloc::{ProfilerAlloc, Recording, Sample};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

fn main() {
    let numbers: Vec<usize> = std::env::args()
        .skip(1)
        .map(|number| number.parse().expect("a number"))
        .collect();
    let [kept, times] = numbers[..] else {
        panic!("usage: among KEPT TIMES");
    };
    let folder = tempfile::tempdir().expect("a folder");
    let recording = Recording::builder()
        .path(folder.path().join("among.memprof"))
        .sample(Sample::Every(4 << 10))
        // When one is taken depends on the clock, which callgrind slows down.
        .accounts(None)
        .start()
        .expect("nothing is recorded yet");
    // Each is sixteen intervals long, so that it is sampled; of its pages only the first is
    // touched.
    let blocks: Vec<Vec<u8>> = (0..kept).map(|_| Vec::with_capacity(64 << 10)).collect();
    // What follows is looked up like any other block, and none of it is drawn as a sample.
    recording.pause();
    for number in 0..times {
        // At sixteen addresses in turn: one alone may be among those that the filter cannot tell
        // from a sampled block's at first sight.
        let size = 64 + 64 * (number % 16);
        drop(black_box(Vec::<u8>::with_capacity(size)));
    }
    // They stay: what their frees would cost depends on the clock, as more is told of blocks that
    // were there at a snapshot.
    std::mem::forget(black_box(blocks));
}
