//! Stacks that a thread was seen on lately, so that the next walk to one of them is not made.
//!
//! A walk from the same registers, over words of the stack that still hold what they held, comes to
//! the same frames (see [`PreviousStack`](crate::stacks::previous_stack::PreviousStack)). The cache
//! keeps these words with the number of the stack.
//!
//! ```text
//! where the walk begins: pc, sp, the first return address ──hash──▶ entry, or one of its seven
//!                                                                   neighbours
//! ```
//! Example: a loop allocates at one place. The first walk reads 11 frames, that is 22 words, and
//! finds stack 17. The second time these 22 words are compared, and the answer is 17 again.
//!
//! Walks that begin alike may differ further out, and each has an entry of its own. For example, a
//! row with three `String`s is cloned: three calls of `String::clone`, from three lines, with one
//! stack pointer. A server had 70 % of its stacks in such company.

use crate::ffi::memory;
use crate::hash::spread_high;
use crate::stacks::interner::StackRef;
use crate::unwinder::registers::Registers;
use crate::unwinder::stack_memory::StackMemory;
use crate::unwinder::stack_words::{Run, StackWords, WordRing};

const PLACES: usize = 512;
/// Places that walks with one beginning have to share: a power of two.
const NEIGHBOURS: usize = 8;
/// A stack may depend on so many words, in quads, to be remembered: 512.
const MOST_QUADS: usize = 128;
/// Room for the words of all stacks that are remembered: 512 KiB, of which what is used takes
/// memory.
const QUADS: usize = 8192;

/// The stacks seen lately by the threads that use this set of working memory.
pub struct StackCache {
    /// Empty as long as the system has not been asked for memory, or if it refused.
    places: &'static mut [Recent],
    words: WordRing,
    /// Which of the neighbours to write over next.
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
    /// What stands above the outermost frame: the same walk finds another stack below others.
    root: u32,
}

impl Start {
    /// Of a walk of thread number `thread` from `registers`, whose caller returns to `first`, below
    /// `root`.
    #[inline]
    pub fn new(thread: u32, registers: Registers, first: usize, root: u32) -> Start {
        let key = (registers.pc as u64).rotate_left(40)
            ^ (registers.sp as u64).rotate_left(20)
            ^ first as u64
            ^ u64::from(thread) << 48
            ^ u64::from(root).rotate_left(56);
        let key = spread_high(key);
        Start {
            key: key | 1,
            registers,
            root,
        }
    }

    /// Before the first walk.
    const SINK: Start = Start {
        key: 0,
        registers: Registers::new(0, 0, 0),
        root: 0,
    };

    /// True for the same place of the same thread: other walks may share a key, which is a hash.
    #[inline]
    fn is(self, other: Start) -> bool {
        let (one, two) = (self.registers, other.registers);
        self.key == other.key && one.sp == two.sp && one.pc == two.pc && self.root == other.root
    }

    #[inline]
    fn place(self) -> usize {
        (self.key >> (u64::BITS - PLACES.ilog2())) as usize % PLACES
    }
}

impl StackCache {
    pub const fn new() -> StackCache {
        StackCache {
            places: &mut [],
            words: WordRing::new(&mut [], 0),
            turn: 0,
        }
    }

    /// The stack that a walk from `start` would find, if it was found lately.
    #[inline]
    pub fn find(&self, start: Start, memory: &mut StackMemory) -> Option<StackRef> {
        let entry = self.places.get(start.place())?;
        match self.is_of(entry, start, memory) {
            true => Some(entry.stack),
            false => self.find_beside(start, memory),
        }
    }

    /// As [`find`](Self::find), which is not at the place where it is looked for first.
    #[inline(never)]
    fn find_beside(&self, start: Start, memory: &mut StackMemory) -> Option<StackRef> {
        let home = start.place();
        (1..NEIGHBOURS)
            .filter_map(|neighbour| self.places.get(home ^ neighbour))
            .find(|entry| self.is_of(entry, start, memory))
            .map(|entry| entry.stack)
    }

    #[inline(always)]
    fn is_of(&self, entry: &Recent, start: Start, memory: &mut StackMemory) -> bool {
        entry.start.is(start)
            && (!entry.needs_fp || entry.start.registers.fp == start.registers.fp)
            && memory.still_holds(self.words.get(entry.words))
    }

    /// Notes that a walk from `start` found `stack`. When it does so for a second time, it is
    /// remembered: `copy` copies the words that it depended on, and gives whether it depended on
    /// the first frame pointer, too; `None` if that cannot be done. Most stacks of some programs
    /// never come again, and copying costs as much as a walk.
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
        let is_it = |entry: &Recent| entry.start.is(start) && entry.stack == stack;
        let known = (0..NEIGHBOURS)
            .map(|neighbour| home ^ neighbour)
            .find(|&at| self.places.get(at).is_some_and(is_it));
        let at = known.unwrap_or_else(|| {
            self.turn = (self.turn + 1) % NEIGHBOURS;
            home ^ self.turn
        });
        let Some(entry) = self.places.get_mut(at) else {
            return;
        };
        entry.words = Run::EMPTY;
        entry.start = start;
        entry.stack = stack;
        if known.is_some() {
            let (words, needs_fp) = self.words.add(copy);
            entry.words = words;
            entry.needs_fp = needs_fp.unwrap_or_default();
            // Where it is looked for first.
            self.places.swap(home, at);
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
    fn stacks_that_begin_alike_are_found_each() {
        use std::sync::atomic::{AtomicUsize, Ordering};

        // The word that tells them apart stands further out than where the walks begin.
        let word = AtomicUsize::new(0);
        let place = &raw const word as usize;
        let mut own = OwnStack {
            low: place,
            high: place + 8,
        };
        let mut memory = StackMemory::at(place, &mut own);
        let registers = Registers::new(0x5555_0010, 0x7fff_0000_1000, 5);
        let start = Start::new(3, registers, 0x5555_1234, 0);
        let mut entry = StackCache::new();
        let stacks = (1..NEIGHBOURS as u32).map(|stack| StackRef { stack, node: stack });
        for stack in stacks.clone().chain(stacks.clone()) {
            entry.note(start, stack, |words| {
                words.push(place, stack.stack as usize).then_some(true)
            });
        }
        assert!(entry.find(start, &mut memory).is_none(), "none has 0");
        for stack in stacks {
            word.store(stack.stack as usize, Ordering::Relaxed);
            assert_eq!(entry.find(start, &mut memory), Some(stack));
        }
    }

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
        let start = Start::new(3, registers, 0x5555_1234, 0);
        let stack = StackRef { stack: 9, node: 10 };
        let mut entry = StackCache::new();
        assert!(entry.find(start, &mut memory).is_none(), "nothing yet");
        let note = |entry: &mut StackCache, stack| {
            entry.note(start, stack, |words| {
                words.push(place, word).then_some(true)
            });
        };
        note(&mut entry, stack);
        assert!(entry.find(start, &mut memory).is_none(), "seen once");
        let another = StackRef { stack: 5, node: 6 };
        note(&mut entry, another);
        assert!(entry.find(start, &mut memory).is_none(), "each once");
        note(&mut entry, stack);
        assert_eq!(entry.find(start, &mut memory), Some(stack));
        // A pc and an sp that are off by bits which cancel each other out in the hash.
        let twin = Registers {
            pc: registers.pc ^ 0x10,
            sp: registers.sp ^ 0x10 << 20,
            ..registers
        };
        let twin = Start::new(3, twin, 0x5555_1234, 0);
        assert_eq!(twin.key, start.key);
        assert!(entry.find(twin, &mut memory).is_none());
        let elsewhere = [
            Start::new(3, Registers { fp: 6, ..registers }, 0x5555_1234, 0),
            Start::new(3, registers, 0x5555_1235, 0),
            Start::new(4, registers, 0x5555_1234, 0),
            Start::new(3, registers, 0x5555_1234, 1),
        ];
        for other in elsewhere {
            assert!(entry.find(other, &mut memory).is_none(), "{other:?}");
        }
    }
}
