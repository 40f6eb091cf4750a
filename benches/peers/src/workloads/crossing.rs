//! Blocks that are allocated by one thread and freed by another.

use std::sync::mpsc;

use super::{Random, on_threads};

/// Blocks handed over at a time, so that the channel is not what is measured.
const BATCH: usize = 256;

pub fn run(amount: usize, threads: usize) -> u64 {
    on_threads(amount, threads, |number, amount| {
        let (give, take) = mpsc::sync_channel::<Vec<Vec<u8>>>(64);
        let freeing = std::thread::spawn(move || {
            take.into_iter()
                .flatten()
                .map(|block| block.capacity() as u64)
                .sum::<u64>()
        });
        let mut random = Random::new(number as u64 + 1);
        for _ in 0..amount / BATCH {
            let batch = (0..BATCH).map(|_| Vec::with_capacity(16 + random.below(240)));
            give.send(batch.collect()).expect("the other side listens");
        }
        drop(give);
        freeing.join().expect("freeing does not panic")
    })
}
