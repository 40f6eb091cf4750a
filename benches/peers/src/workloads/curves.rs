//! Pairs of allocation and free where one thing about the stack is chosen.

use std::hint::black_box;

/// All from one site, so many frames below this function.
pub fn at_depth<const DEPTH: usize>(amount: usize, _: usize) -> u64 {
    descend(DEPTH, amount)
}

#[inline(never)]
fn descend(depth: usize, amount: usize) -> u64 {
    let room = black_box([depth as u64; 4]);
    if depth > 0 {
        return descend(depth - 1, amount) + room[1] / 1000;
    }
    (0..amount).map(pair).sum()
}

#[inline(never)]
fn pair(turn: usize) -> u64 {
    black_box(Box::new([turn as u64; 6]))[0] & 1
}

/// Each from another of `1 << BITS` stacks of the same depth, in turn: at every level one of two calls is made.
pub fn on_stacks<const BITS: usize>(amount: usize, _: usize) -> u64 {
    (0..amount).map(|turn| choose(BITS, turn, 0)).sum()
}

/// From so many frames below each of 256 callers in turn. They differ at their outer end, so that a stack has to be walked
/// to tell it, and there are too many to be recognized.
pub fn under_callers<const DEPTH: usize>(amount: usize, _: usize) -> u64 {
    const BITS: usize = 8;
    let caller = |turn: usize| (turn as u8).reverse_bits() as usize;
    let turns = (0..amount).map(|turn| choose(BITS, caller(turn), DEPTH - BITS));
    turns.sum()
}

/// At each of so many levels one of two calls is made, as the bits of `turn` say, and so many frames further in, a pair.
#[inline(never)]
fn choose(bits: usize, turn: usize, depth: usize) -> u64 {
    if bits == 0 {
        return descend(depth, 1);
    }
    if turn >> (bits - 1) & 1 == 0 {
        choose(bits - 1, turn, depth) + black_box(0)
    } else {
        choose(bits - 1, turn, depth) + black_box(bits as u64 & 1)
    }
}
