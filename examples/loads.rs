//! Loads of five kinds, each hard for a sampling recorder in its own way: what its own time is compared with its budget on.
//!
//! `loads tiny|huge|deep|threads|bursts AMOUNT`

use std::hint::black_box;
use std::thread;
use std::time::Duration;

use profiler_alloc::ProfilerAlloc;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

/// So many blocks of 16 bytes, each freed at once.
#[inline(never)]
fn tiny(amount: usize) {
    for number in 0..amount {
        drop(black_box(Box::new([number; 2])));
    }
}

/// So many blocks of 64 MiB, of which one page is used.
fn huge(amount: usize) {
    for _ in 0..amount {
        let mut block: Vec<u8> = Vec::with_capacity(64 << 20);
        block.push(1);
        drop(black_box(block));
    }
}

/// A block at each of so many depths, held until the function at that depth returns.
#[inline(never)]
fn deep(depth: usize) {
    let block = black_box(Box::new(depth));
    if depth > 0 {
        deep(depth - 1);
    }
    drop(black_box(block));
}

/// Eight threads share the work of [`tiny`].
fn threads(amount: usize) {
    let each = [(); 8].map(|()| thread::spawn(move || tiny(amount / 8)));
    for thread in each {
        thread.join().expect("the thread does not panic");
    }
}

/// So many blocks ten times, with rests in between.
fn bursts(amount: usize) {
    for _ in 0..10 {
        thread::sleep(Duration::from_millis(20));
        tiny(amount);
    }
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [load, amount] = &arguments[..] else {
        panic!("usage: loads tiny|huge|deep|threads|bursts AMOUNT");
    };
    let amount = amount.parse().expect("a number");
    match load.as_str() {
        "tiny" => tiny(amount),
        "huge" => huge(amount),
        "deep" => (0..100).for_each(|_| deep(amount)),
        "threads" => threads(amount),
        "bursts" => bursts(amount),
        other => panic!("{other} is none of tiny, huge, deep, threads and bursts"),
    }
}
