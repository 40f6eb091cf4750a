//! Stacks that a thread was seen on lately: a walk that would begin as one of theirs did, on a stack that still holds all
//! that theirs depended on (see [`KnownStack`](crate::known::KnownStack)), would come to the same frames. So it is not made.
//!
//! ```text
//! where it begins: pc, sp, the first return address ──hash──▶ place, or its neighbour
//! ```

use core::sync::atomic::AtomicU64;

use crate::memory;
use crate::registers::Registers;
use crate::stack_memory::{StackMemory, StackWords};
use crate::stacks::StackRef;

const PLACES: usize = 64;
/// Words that a stack may depend on to be remembered.
const WORDS: usize = 512;

/// The stacks seen lately by the threads that use this set of working memory.
pub struct RecentStacks {
    /// Empty as long as the system has not been asked for memory, or if it refused.
    places: &'static mut [Recent],
    /// Which of two places to take next, if both are taken: 0 or 1.
    turn: usize,
}

struct Recent {
    /// 0 if there is none.
    key: u64,
    /// The frame pointer that the walk began with, if it depended on it.
    fp: Option<usize>,
    stack: StackRef,
    words: StackWords,
}

/// Where a walk begins.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    key: u64,
    fp: usize,
}

impl Start {
    /// Of a walk of thread number `thread` from `registers`, whose caller returns to `first`.
    #[inline]
    pub fn new(thread: u32, registers: Registers, first: usize) -> Start {
        let key = (registers.pc as u64).rotate_left(40)
            ^ (registers.sp as u64).rotate_left(20)
            ^ first as u64
            ^ u64::from(thread) << 48;
        let key = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Start {
            key: key | 1,
            fp: registers.fp,
        }
    }

    #[inline]
    fn place(self) -> usize {
        (self.key >> 58) as usize % PLACES
    }
}

impl RecentStacks {
    pub const fn new() -> RecentStacks {
        RecentStacks {
            places: &mut [],
            turn: 0,
        }
    }

    /// The stack that a walk from `start` would find, if it was found lately.
    #[inline]
    pub fn find(&self, start: Start, memory: &mut StackMemory) -> Option<StackRef> {
        let mut is_it = |recent: &Recent| {
            recent.key == start.key
                && recent.fp.is_none_or(|fp| fp == start.fp)
                && memory.still_holds(&recent.words)
        };
        let first = self.places.get(start.place())?;
        let second = self.places.get(start.place() ^ 1)?;
        if is_it(first) {
            Some(first.stack)
        } else if is_it(second) {
            Some(second.stack)
        } else {
            None
        }
    }

    /// Remembers that a walk from `start` found `stack`. `copy` copies the words that it depended on, and gives whether it
    /// depended on the first frame pointer, too; `None` if that cannot be done, with no words or the old ones in place.
    pub fn remember(
        &mut self,
        start: Start,
        stack: StackRef,
        copy: impl FnOnce(&mut StackWords) -> Option<bool>,
    ) {
        if self.places.is_empty() {
            self.places = empty_places().unwrap_or_default();
        }
        let mut at = start.place();
        if self.places.get(at).is_some_and(|recent| recent.key != 0) {
            self.turn ^= 1;
            at ^= self.turn;
        }
        let Some(recent) = self.places.get_mut(at) else {
            return;
        };
        if let Some(needs_fp) = copy(&mut recent.words) {
            recent.stack = stack;
            recent.fp = needs_fp.then_some(start.fp);
            recent.key = start.key;
        }
    }
}

fn empty_places() -> Option<&'static mut [Recent]> {
    let memory: &'static [AtomicU64] = memory::zeroed(PLACES * WORDS * 2)?;
    let (words, _) = memory.as_chunks();
    memory::leak_many(PLACES, |at| Recent {
        key: 0,
        fp: None,
        stack: StackRef::OTHER,
        words: StackWords::new(&words[at * WORDS..(at + 1) * WORDS]),
    })
}
