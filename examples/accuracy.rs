//! Three million allocations on twelve lines, from 1 % to 40 % of the bytes each, the same in every
//! run: what sampled figures are compared on. The first argument multiplies the work.

use std::hint::black_box;

use profiler_alloc::ProfilerAlloc;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

/// A block of `size` bytes and up to 31 more.
fn block(size: usize, turn: usize) -> Vec<u8> {
    black_box(Vec::with_capacity(size + turn % 32))
}

fn turns(times: usize) {
    let mut kept: Vec<Vec<u8>> = (0..256).map(|_| Vec::new()).collect();
    for turn in 0..250_000 * times {
        let place = turn % 256;
        kept[place] = block(16, turn); // 1 %
        kept[place] = block(24, turn);
        kept[place] = block(32, turn);
        kept[place] = block(48, turn);
        kept[place] = block(64, turn);
        kept[place] = block(96, turn);
        kept[place] = block(128, turn);
        kept[place] = block(192, turn);
        kept[place] = block(256, turn);
        kept[place] = block(512, turn);
        if turn % 4 == 0 {
            kept[place] = block(2048, turn);
        }
        if turn % 250 == 0 {
            kept[place] = block(256 << 10, turn); // 40 %
        }
    }
}

fn main() {
    let times = std::env::args()
        .nth(1)
        .map_or(1, |times| times.parse().expect("a number"));
    turns(times);
}
