//! Three threads hold 30 MiB each, taken on the same line: 90 MiB there, and none of it where the
//! main thread waits.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;

use profiler_alloc::ProfilerAlloc;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

const MIB: usize = 1024 * 1024;

/// Lets no thread give back before all have taken, so that the peak is the same in every run.
static ALL_HOLD: Barrier = Barrier::new(3);

fn hold_30_mib() {
    let block = black_box(vec![0_u8; 30 * MIB]);
    ALL_HOLD.wait();
    drop(block);
}

fn start_and_wait() {
    let threads = [(); 3].map(|()| thread::spawn(hold_30_mib));
    for thread in threads {
        thread.join().expect("the thread does not panic");
    }
}

fn main() {
    start_and_wait();
}
