//! The bare operations of a heap.

use std::hint::black_box;

use super::on_threads;

/// A block is allocated and freed at once.
pub fn pair(amount: usize, threads: usize) -> u64 {
    on_threads(amount, threads, |_, amount| {
        for turn in 0..amount {
            black_box(Box::new([turn as u64; 8]));
        }
        amount as u64
    })
}

/// Each block lives until as many later ones were allocated as the ring has places.
pub fn ring(amount: usize, threads: usize) -> u64 {
    on_threads(amount, threads, |_, amount| {
        const PLACES: usize = 4096;
        let mut ring: Vec<Vec<u8>> = vec![Vec::new(); PLACES];
        for turn in 0..amount {
            ring[turn % PLACES] = black_box(Vec::with_capacity(16 + turn * 7 % 512));
        }
        ring.iter().map(|block| block.capacity() as u64).sum()
    })
}

/// Vectors grow by doubling, which is a realloc each time.
pub fn growth(amount: usize, threads: usize) -> u64 {
    on_threads(amount, threads, |_, amount| {
        let mut sum = 0;
        for turn in 0..amount {
            let mut list: Vec<u64> = Vec::new();
            let mut room = 8;
            while room <= 8192 {
                list.reserve_exact(room);
                list.resize(list.len() + 4, turn as u64);
                room *= 2;
            }
            sum += black_box(&list).len() as u64;
        }
        sum
    })
}
