//! Mixed sizes and lifetimes, from many sites at many call depths.

use std::hint::black_box;

use super::{Random, on_threads};

/// Blocks that are live at a time, for each thread.
const LIVE: usize = 1024;

type Blocks = Vec<Vec<u8>>;

pub fn run(amount: usize, threads: usize) -> u64 {
    on_threads(amount, threads, |number, amount| {
        let mut random = Random::new(number as u64 + 1);
        let mut live: Blocks = vec![Vec::new(); LIVE];
        let mut sum = 0;
        let mut left = amount;
        while left > 0 {
            let batch = left.min(64);
            let depth = 1 + random.below(20);
            sum += descend(depth, batch, &mut random, &mut live);
            left -= batch;
        }
        sum
    })
}

/// Calls itself to the depth asked for, then allocates there.
#[inline(never)]
fn descend(depth: usize, batch: usize, random: &mut Random, live: &mut Blocks) -> u64 {
    let room = black_box([depth; 4]);
    if depth > 0 {
        return descend(depth - 1, batch, random, live) + room[0] as u64 % 2;
    }
    let mut sum = 0;
    for _ in 0..batch {
        sum += allocate(random, live);
    }
    sum
}

/// One block of one of the sites; the block that stood in its place is freed.
#[inline(never)]
fn allocate(random: &mut Random, live: &mut Blocks) -> u64 {
    let bits = random.next() as usize;
    let place = bits % LIVE;
    let site = bits / LIVE % 8;
    let size = 1 + bits / (LIVE * 8) % 64;
    live[place] = match site {
        0 => Vec::with_capacity(size),
        1 => Vec::with_capacity(2 * size),
        2 => Vec::with_capacity(4 * size),
        3 => Vec::with_capacity(8 * size),
        4 => Vec::with_capacity(16 * size),
        // Freed at once.
        5 => black_box(vec![1; size]).split_off(size / 2),
        6 => black_box(vec![0; 3 * size]),
        _ => [3u8; 24].to_vec(),
    };
    live[place].capacity() as u64
}
