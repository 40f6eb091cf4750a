//! Work on other stacks than the thread's own: the lines that led there have their bytes, on both
//! stacks.

use std::hint::black_box;
use std::thread;

use corosensei::Coroutine;
use profiler_alloc::ProfilerAlloc;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

const KIB: usize = 1024;

type Blocks = Vec<Vec<u8>>;

/// A stack that is there for one call.
fn grown(kept: &mut Blocks) {
    stacker::grow(1024 * KIB, || {
        kept.push(vec![1_u8; 300_000]); // on a grown stack
    }); // the whole call
}

/// Recursion that takes another stack whenever there is little room left: some ten of them.
#[inline(never)]
fn descend(depth: usize, kept: &mut Blocks) {
    let room = black_box([0_u8; 10_000]);
    stacker::maybe_grow(64 * KIB, 256 * KIB, || {
        kept.push(vec![1_u8; 1_000]); // at every depth
        if depth > 1 {
            descend(depth - 1, kept); // one deeper
        }
    });
    black_box(room);
}

/// A coroutine that is resumed from several lines: what it takes is theirs, each time.
fn resumed() {
    let mut coroutine = Coroutine::new(|yielder, ()| {
        let first = black_box(vec![1_u8; 40_000]); // when first resumed
        yielder.suspend(());
        let second = black_box(vec![1_u8; 20_000]); // when resumed again
        yielder.suspend(());
        drop((first, second)); // at last
    });
    coroutine.resume(()); // resumes first
    coroutine.resume(()); // resumes again
    coroutine.resume(()); // resumes at last
}

/// A coroutine in a coroutine in a grown stack.
fn nested(kept: &mut Blocks) {
    stacker::grow(256 * KIB, || {
        let mut outer = Coroutine::<(), (), Vec<u8>>::new(|_, ()| {
            let mut inner = Coroutine::<(), (), Vec<u8>>::new(|_, ()| vec![1_u8; 70_000]);
            let block = inner.resume(()).as_return(); // from one to the other
            block.expect("it returns")
        });
        kept.push(outer.resume(()).as_return().expect("it returns")); // from the grown stack
    });
}

fn main() {
    let mut kept = Vec::with_capacity(200);
    grown(&mut kept); // grows
    stacker::grow(256 * KIB, || descend(100, &mut kept)); // descends
    resumed(); // on the main thread
    thread::spawn(resumed).join().expect("it ends"); // on another
    nested(&mut kept); // nests
    drop(kept); // gives back
}
