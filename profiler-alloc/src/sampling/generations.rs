//! Which of a stack's live blocks are older than its newest generation, without anything to do
//! when a block is allocated.
//!
//! A snapshot only increments a number, the generation. A stack that is about to change compares
//! its own newest generation with it. If its own is older, then all that it has live beyond what
//! was older before was born in that generation: it *closes* it, and a cohort takes the difference.
//!
//! ```text
//! generation   stack 17                       live   older
//! 3            allocates 300 bytes             300       0
//! 5            is about to free 100 of them:   300     300   closes 3: a cohort of 300, born in 3
//! 5            has freed them                  200     200   the cohort has 200
//! ```
//! The newest generation and the sum of what is older are one word, so of several threads that find
//! a stack behind, one closes, and no byte is moved twice.
//!
//! A thread that has looked at the generation and has not added its block yet, a few instructions
//! later, may be overtaken by another that closes: then its block counts as one of the next
//! generation, and has the birth of this one. Nothing that is live is lost by that, but what was
//! born after a snapshot is off by this block. It takes two threads that use one stack, and a
//! snapshot at that moment.

use profiler_alloc_format::moments::{split, tagged};
use profiler_alloc_format::{AgeCells, StackCells};

use crate::lockfree::atomic::{AtomicU64, Ordering};
use crate::sampling::weights::Weight;

/// Some blocks of one generation, or a change of them, with wrapping arithmetic.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Part {
    /// The generation they were born in.
    pub birth: u32,
    pub weight: Weight,
}

/// A stack's newest generation.
#[inline]
pub fn newest(age: &AgeCells) -> u32 {
    split(age.bytes.load(Ordering::Acquire)).0
}

/// Brings a stack that is about to change to `generation`, if it is not beyond that, and gives its
/// newest one, in which blocks are born that it allocates now. `closed` is called with what becomes
/// older.
pub fn pass(
    age: &AgeCells,
    stack: &StackCells,
    count_variance: Option<&AtomicU64>,
    generation: u32,
    mut closed: impl FnMut(Part),
) -> u32 {
    let bytes = advance(&age.bytes, &stack.live_bytes, generation);
    let count = advance(&age.count, &stack.live_count, generation);
    if let Some((birth, bytes)) = bytes {
        let mut weight = Weight {
            bytes: bytes as u64,
            variance: difference(&age.variance, &stack.live_variance),
            count_variance: count_variance
                .map_or(0.0, |live| difference(&age.count_variance, live)),
            ..Weight::NOTHING
        };
        if let Some((_, count)) = count.filter(|&(of, _)| of == birth) {
            weight.count = count as u64;
        }
        closed(Part { birth, weight });
    }
    // Another thread closed one of the two.
    if let Some((birth, count)) = count
        && bytes.is_none_or(|(of, _)| of != birth)
    {
        let count = count as u64;
        closed(Part {
            birth,
            weight: Weight {
                count,
                ..Weight::NOTHING
            },
        });
    }
    newest(age)
}

/// Makes all that is live older, if the word's generation is below `generation`: gives which it
/// was, and what was not older yet.
fn advance(word: &AtomicU64, live: &AtomicU64, generation: u32) -> Option<(u32, i64)> {
    loop {
        let seen = word.load(Ordering::Acquire);
        let (newest, older) = split(seen);
        if newest >= generation {
            return None;
        }
        let live = live.load(Ordering::Acquire) as i64;
        let all = tagged(generation, live);
        if word
            .compare_exchange(seen, all, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
        {
            return Some((newest, live.wrapping_sub(older)));
        }
    }
}

fn difference(older: &AtomicU64, live: &AtomicU64) -> f64 {
    let live = live.load(Ordering::Relaxed);
    let before = match live | older.load(Ordering::Relaxed) {
        0 => 0,
        _ => older.swap(live, Ordering::Relaxed),
    };
    f64::from_bits(live) - f64::from_bits(before)
}

/// Adds `change` to what the stack has live of older generations.
pub fn change_older(age: &AgeCells, change: Weight) {
    add(&age.bytes, change.bytes);
    add(&age.count, change.count);
    add_signed(&age.variance, change.variance);
    add_signed(&age.count_variance, change.count_variance);
}

fn add(word: &AtomicU64, change: u64) {
    let _ = word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |word| {
        let (newest, older) = split(word);
        Some(tagged(newest, older.wrapping_add(change as i64)))
    });
}

/// Adds to a sum of variances, which may be below 0 for a while.
pub fn add_signed(cell: &AtomicU64, variance: f64) {
    if variance != 0.0 {
        let _ = cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bits| {
            Some((f64::from_bits(bits) + variance).to_bits())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(bytes: u64) -> Weight {
        Weight {
            bytes,
            ..Weight::NOTHING
        }
    }

    #[test]
    fn what_was_live_when_a_generation_ended_is_older_at_the_next_change() {
        let (age, stack) = (AgeCells::empty(), StackCells::empty());
        let mut closed = Vec::new();
        let mut change = |generation, live: u64| {
            let newest = pass(&age, &stack, None, generation, |part| closed.push(part));
            stack.live_bytes.store(live, Ordering::Relaxed);
            newest
        };
        assert_eq!([change(0, 100), change(3, 400), change(3, 300)], [0, 3, 3]);
        // A thread that comes late takes nothing back.
        assert_eq!(change(2, 350), 3);
        assert_eq!(change(5, 350), 5);
        let part = |birth, of| Part {
            birth,
            weight: bytes(of),
        };
        assert_eq!(closed, [part(0, 100), part(3, 250)]);
        change_older(&age, bytes(100_u64.wrapping_neg()));
        let word = age.bytes.load(Ordering::Relaxed);
        assert_eq!(split(word), (5, 250));
    }
}
