//! The program whose profile is `v1.memprof.gz`; it is compiled no more.
//!
//! A static program of musl, so that no library of some machine is in the profile, recorded as
//! `/golden/app` by `memprof run --sample 4KiB --own golden -- /golden/app`.

use std::hint::black_box;
use std::thread;
use std::time::Duration;

use profiler_alloc::{ProfilerAlloc, profile};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

#[profile]
fn lists(count: u64) -> Vec<u64> {
    let odd: Vec<u64> = (0..count).map(|number| 2 * number + 1).collect();
    let even: Vec<u64> = (0..count).map(|number| 2 * number).collect();
    let sums = odd.iter().zip(&even).map(|(a, b)| a + b).collect();
    drop(odd);
    sums
}

#[inline(never)]
fn temporary(times: usize) {
    for size in 0..times {
        drop(black_box(vec![1u8; 1 + size % 1000]));
    }
}

#[inline(never)]
fn grown(len: usize) -> Vec<u32> {
    let mut list = Vec::new();
    (0..len as u32).for_each(|number| list.push(number));
    list
}

#[inline(never)]
fn recursive(depth: usize) -> Vec<Box<[u8]>> {
    let mut kept = match depth {
        0 => Vec::with_capacity(64),
        _ => recursive(depth - 1),
    };
    kept.push(vec![1u8; 2000].into_boxed_slice());
    kept
}

fn main() {
    let sums = lists(20_000);
    temporary(20_000);
    let worker = thread::Builder::new().name("worker".to_owned());
    let given = worker.spawn(|| grown(100_000)).unwrap().join().unwrap();
    thread::sleep(Duration::from_millis(30));
    // What another thread allocated is freed here.
    drop(given);
    let kept = recursive(40);
    std::mem::forget(black_box(kept));
    println!("{}", sums.len());
}
