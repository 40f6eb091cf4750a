//! Stacks that a thread was seen on lately: a walk that would begin as one of theirs did, on a stack that still holds all
//! that theirs depended on (see [`KnownStack`](crate::stacks::previous_stack::KnownStack)), would come to the same frames. So it is not made.
//!
//! ```text
//! where it begins: pc, sp, the first return address ──hash──▶ place, or its neighbour
//! ```

use crate::ffi::memory;
use crate::hash::spread_high;
use crate::stacks::interner::StackRef;
use crate::unwinder::registers::Registers;
use crate::unwinder::stack_memory::StackMemory;
use crate::unwinder::stack_words::{Run, StackWords, WordRing};

const PLACES: usize = 512;
/// A stack may depend on so many words, in quads, to be remembered: 512.
const MOST_QUADS: usize = 128;
/// Room for the words of all stacks that are remembered: 512 KiB, of which what is used takes memory.
const QUADS: usize = 8192;

/// The stacks seen lately by the threads that use this set of working memory.
pub struct RecentStacks {
    /// Empty as long as the system has not been asked for memory, or if it refused.
    places: &'static mut [Recent],
    words: WordRing,
    /// Which of two places to take next, if both are taken: 0 or 1.
    turn: usize,
}

struct Recent {
    /// Where the walk began; none of which the key is 0.
    start: Start,
    /// Whether the walk depended on the frame pointer that it began with.
    needs_fp: bool,
    stack: StackRef,
    words: Run,
}

/// Where a walk begins.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    key: u64,
    registers: Registers,
}

impl Start {
    /// Of a walk of thread number `thread` from `registers`, whose caller returns to `first`.
    #[inline]
    pub fn new(thread: u32, registers: Registers, first: usize) -> Start {
        let key = (registers.pc as u64).rotate_left(40)
            ^ (registers.sp as u64).rotate_left(20)
            ^ first as u64
            ^ u64::from(thread) << 48;
        let key = spread_high(key);
        Start {
            key: key | 1,
            registers,
        }
    }

    /// Before the first walk.
    const SINK: Start = Start {
        key: 0,
        registers: Registers::new(0, 0, 0),
    };

    /// True for the same place of the same thread: other walks may share a key, which is a hash.
    #[inline]
    fn is(self, other: Start) -> bool {
        let (one, two) = (self.registers, other.registers);
        self.key == other.key && one.sp == two.sp && one.pc == two.pc
    }

    #[inline]
    fn place(self) -> usize {
        (self.key >> (u64::BITS - PLACES.ilog2())) as usize % PLACES
    }
}

impl RecentStacks {
    pub const fn new() -> RecentStacks {
        RecentStacks {
            places: &mut [],
            words: WordRing::new(&mut [], 0),
            turn: 0,
        }
    }

    /// The stack that a walk from `start` would find, if it was found lately.
    #[inline]
    pub fn find(&self, start: Start, memory: &mut StackMemory) -> Option<StackRef> {
        let mut is_it = |recent: &Recent| {
            recent.start.is(start)
                && (!recent.needs_fp || recent.start.registers.fp == start.registers.fp)
                && memory.still_holds(self.words.get(recent.words))
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

    /// Notes that a walk from `start` found `stack`. When it does so for a second time, it is remembered: `copy` copies the
    /// words that it depended on, and gives whether it depended on the first frame pointer, too; `None` if that cannot be
    /// done. Most stacks of some programs never come again, and copying costs as much as a walk.
    pub fn note(
        &mut self,
        start: Start,
        stack: StackRef,
        copy: impl FnOnce(&mut StackWords<'_>) -> Option<bool>,
    ) {
        if self.places.is_empty() && self.open().is_none() {
            return;
        }
        let home = start.place();
        let is_it = |places: &[Recent], at: usize| {
            (places.get(at)).is_some_and(|recent| recent.start.is(start))
        };
        let at = if is_it(self.places, home) {
            home
        } else if is_it(self.places, home ^ 1) {
            home ^ 1
        } else {
            self.turn ^= 1;
            home ^ self.turn
        };
        let Some(recent) = self.places.get_mut(at) else {
            return;
        };
        let is_second = recent.start.is(start) && recent.stack == stack;
        recent.words = Run::EMPTY;
        recent.start = start;
        recent.stack = stack;
        if is_second {
            let (words, needs_fp) = self.words.add(copy);
            recent.words = words;
            recent.needs_fp = needs_fp.unwrap_or_default();
        }
    }

    /// Asks the system for memory, for each part until there is some.
    #[cold]
    fn open(&mut self) -> Option<()> {
        if !self.words.has_room() {
            self.words = WordRing::new(memory::zeroed_mut(QUADS)?, MOST_QUADS);
        }
        self.places = memory::leak_many(PLACES, |_| Recent {
            start: Start::SINK,
            needs_fp: false,
            stack: StackRef::OTHER,
            words: Run::EMPTY,
        })?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unwinder::stack_memory::OwnStack;

    #[test]
    fn a_stack_is_found_from_where_its_walk_began_and_from_nowhere_else() {
        let word = 77usize;
        let place = &raw const word as usize;
        let mut own = OwnStack {
            low: place,
            high: place + 8,
        };
        let mut memory = StackMemory::at(place, &mut own);
        let registers = Registers::new(0x5555_0010, 0x7fff_0000_1000, 5);
        let start = Start::new(3, registers, 0x5555_1234);
        let stack = StackRef { stack: 9, node: 10 };
        let mut recent = RecentStacks::new();
        assert!(recent.find(start, &mut memory).is_none(), "nothing yet");
        let note = |recent: &mut RecentStacks, stack| {
            recent.note(start, stack, |words| {
                words.push(place, word).then_some(true)
            });
        };
        note(&mut recent, stack);
        assert!(recent.find(start, &mut memory).is_none(), "seen once");
        note(&mut recent, StackRef::OTHER);
        note(&mut recent, stack);
        assert!(
            recent.find(start, &mut memory).is_none(),
            "not twice running"
        );
        note(&mut recent, stack);
        assert_eq!(recent.find(start, &mut memory), Some(stack));
        // A pc and an sp that are off by bits which cancel each other out in the hash.
        let twin = Registers {
            pc: registers.pc ^ 0x10,
            sp: registers.sp ^ 0x10 << 20,
            ..registers
        };
        let twin = Start::new(3, twin, 0x5555_1234);
        assert_eq!(twin.key, start.key);
        assert!(recent.find(twin, &mut memory).is_none());
        let elsewhere = [
            Start::new(3, Registers { fp: 6, ..registers }, 0x5555_1234),
            Start::new(3, registers, 0x5555_1235),
            Start::new(4, registers, 0x5555_1234),
        ];
        for other in elsewhere {
            assert!(recent.find(other, &mut memory).is_none(), "{other:?}");
        }
    }
}
