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

/// Each from another of `1 << BITS` stacks, in turn, of as many frames whatever their number: at
/// every level one of two calls is made.
pub fn on_stacks<const BITS: usize>(amount: usize, _: usize) -> u64 {
    let depth = const { 32 - 2 * BITS };
    (0..amount).map(|turn| choose(BITS, turn, depth)).sum()
}

/// From so many frames below each of 4,096 callers in turn. They differ at their outer end, so that
/// a stack has to be walked to tell it, and there are too many to be recognized.
pub fn under_callers<const DEPTH: usize>(amount: usize, _: usize) -> u64 {
    const BITS: usize = 12;
    let caller = |turn: usize| turn.reverse_bits() >> (usize::BITS as usize - BITS);
    let depth = const { DEPTH - 2 * BITS };
    let turns = (0..amount).map(|turn| choose(BITS, caller(turn), depth));
    turns.sum()
}

/// At each of so many levels, which take two frames, one of two calls is made, as the bits of
/// `turn` say, and so many frames further in, a pair.
#[inline(never)]
fn choose(bits: usize, turn: usize, depth: usize) -> u64 {
    if bits == 0 {
        return descend(depth, 1);
    }
    // Two functions: two calls of one would be made one by the compiler.
    if turn >> (bits - 1) & 1 == 0 {
        left(bits - 1, turn, depth)
    } else {
        right(bits - 1, turn, depth)
    }
}

#[inline(never)]
fn left(bits: usize, turn: usize, depth: usize) -> u64 {
    choose(bits, turn, depth) + black_box(2)
}

#[inline(never)]
fn right(bits: usize, turn: usize, depth: usize) -> u64 {
    choose(bits, turn, depth) + black_box(3)
}
