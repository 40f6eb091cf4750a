//! Reading the program's stack without ever leaving it.

use crate::ffi::os;
use crate::ffi::stack;
use crate::unwinder::stack_words::{Quad, StackWord};

/// Bytes of a stack that is not the thread's own (signal stack, coroutine) that a walk may explore.
const FOREIGN_LIMIT: usize = 1 << 20;
const PAGE: usize = 4096;
/// Stacks that a walk may be on, one after the other. Recursion that takes a stack of 1 MiB
/// whenever there is no room left is on 100 of them with 100 MiB.
const MOST_CHANGES: usize = 256;

/// Pages that are tried at most to reach the known part of the thread's own stack: 16 MiB.
const MOST_NEW_PAGES: usize = 4096;

/// The part of the thread's own stack that is known to be readable. Empty at first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OwnStack {
    pub low: usize,
    pub high: usize,
}

impl OwnStack {
    /// The calling thread's, as far as it is known without asking: where it ends.
    ///
    /// The C library's own question (`pthread_getattr_np`) allocates, and costs 100 us on the main
    /// thread.
    pub fn find() -> OwnStack {
        let high = stack::top();
        OwnStack { low: high, high }
    }

    /// Makes everything from `sp` upwards known, each page tried once. False if `sp` is on another
    /// stack.
    #[inline]
    pub fn reach(&mut self, sp: usize) -> bool {
        self.holds(sp) || self.explore(sp)
    }

    /// True if `sp` is in the known part.
    #[inline]
    pub fn holds(&self, sp: usize) -> bool {
        (self.low..self.high).contains(&sp)
    }

    #[cold]
    #[inline(never)]
    fn explore(&mut self, sp: usize) -> bool {
        if sp >= self.high || (self.low - sp) / PAGE > MOST_NEW_PAGES {
            return false;
        }
        let page = sp & !(PAGE - 1);
        let is_whole = os::is_readable(page..self.low);
        if is_whole {
            self.low = page;
        }
        is_whole
    }
}

/// The part of memory a walk may read: one stack, and when it is led to another, that one.
#[derive(Clone, Copy)]
pub struct StackMemory {
    low: usize,
    high: usize,
    limit: usize,
    own: OwnStack,
    /// Below this, the thread's own stack is not in use.
    floor: usize,
    changes: usize,
}

impl StackMemory {
    /// The stack that `sp` points into.
    ///
    /// On a stack that is not the thread's own (signal stack, coroutine), each page is tried before
    /// it is read.
    #[inline]
    pub fn at(sp: usize, own: &mut OwnStack) -> StackMemory {
        if own.reach(sp) {
            StackMemory {
                low: sp,
                high: own.high,
                limit: own.high,
                own: *own,
                floor: sp,
                changes: 0,
            }
        } else {
            let page_end = (sp | (PAGE - 1)).wrapping_add(1);
            StackMemory {
                low: sp,
                high: page_end,
                limit: sp.saturating_add(FOREIGN_LIMIT),
                own: *own,
                floor: 0,
                changes: 0,
            }
        }
    }

    /// What is known of the thread's own stack.
    pub fn own(&self) -> OwnStack {
        self.own
    }

    /// True on the thread's own stack, or if it is not known where that is.
    #[inline]
    pub fn is_own(&self) -> bool {
        self.high == self.own.high || self.own.high == 0
    }

    /// True if the walk has been on another stack before.
    #[inline]
    pub fn is_changed(&self) -> bool {
        self.changes > 0
    }

    /// Goes to the stack that holds `address`, as the walk, having come to `sp` on this one, is led
    /// there. False if there is none to read, or nothing that can be in use.
    ///
    /// A signal's handler may run above what it interrupted: on a stack that is a variable there.
    #[cold]
    #[inline(never)]
    pub fn change(&mut self, address: usize, sp: usize, is_signal: bool) -> bool {
        if self.holds(address) || !address.is_multiple_of(8) || self.changes == MOST_CHANGES {
            return false;
        }
        if self.is_own() {
            self.floor = sp;
        }
        let mut own = self.own;
        if own.reach(address) {
            if address < self.floor && !is_signal {
                return false;
            }
        } else if !os::is_readable(address..address.saturating_add(8)) {
            return false;
        }
        *self = StackMemory {
            floor: self.floor,
            changes: self.changes + 1,
            ..StackMemory::at(address, &mut own)
        };
        true
    }

    /// What `find` finds, which may [`change`](Self::change) the stack. Where it finds nothing, the
    /// walk has not left the stack it was on.
    #[cfg(not(portable_unwinder))]
    pub fn attempt<T>(&mut self, find: impl FnOnce(&mut StackMemory) -> Option<T>) -> Option<T> {
        let mut there = *self;
        let found = find(&mut there)?;
        *self = there;
        Some(found)
    }

    /// The 8 bytes at `address`, if they are aligned and on this stack.
    #[inline]
    pub fn read(&mut self, address: usize) -> Option<usize> {
        if !self.holds(address) && !self.extend(address) {
            return None;
        }
        if !address.is_multiple_of(8) {
            return None;
        }
        // SAFETY: aligned, and between this walk's stack pointer and the end of the stack's
        // readable pages: the walk runs on that very stack, so the memory stays mapped. Volatile,
        // as others' locals may overlap it.
        Some(unsafe { core::ptr::with_exposed_provenance::<usize>(address).read_volatile() })
    }

    /// As [`read`](Self::read), of the part that is known without asking the system.
    #[inline]
    pub fn peek(&self, address: usize) -> Option<usize> {
        let words = self.high.saturating_sub(self.low) / 8;
        // `rotate_right` moves misaligned low bits to the top, so a misaligned address fails the
        // bounds check below.
        let at = address.wrapping_sub(self.low).rotate_right(3);
        if at >= words || !self.low.is_multiple_of(8) {
            return None;
        }
        // SAFETY: as in `read`.
        Some(unsafe { core::ptr::with_exposed_provenance::<usize>(address).read_volatile() })
    }

    /// True if every word still holds what it held, and there are any.
    #[inline]
    pub fn still_holds(&mut self, words: &[Quad]) -> bool {
        let (Some([first, ..]), Some([.., last])) = (words.first(), words.last()) else {
            return false;
        };
        if first.address() < self.low
            || (!self.holds(last.address()) && !self.extend(last.address()))
        {
            return false;
        }
        let is_same = |word: &StackWord| {
            let place = core::ptr::with_exposed_provenance::<usize>(word.address());
            // SAFETY: aligned, and not below the first address nor above the last, as
            // `StackWords::push` sees to; both are on this stack, between this walk's stack pointer
            // and the end of the stack's readable pages, as in `read`.
            unsafe { place.read_volatile() == word.held() }
        };
        words.iter().all(|quad| quad.iter().all(is_same))
    }

    /// True if a walk that finds no unwind table with its stack pointer at `sp` is at its end all
    /// the same.
    ///
    /// musl has no unwind tables, so none of its code that starts the program and its threads
    /// either. Its frames there are the first ones of a stack and small: `main` at 7ffe'0fc0 was
    /// called by code whose frame ends at 7ffe'1000. A call back from musl further in, as by
    /// `qsort`, is cut off there.
    #[cfg_attr(
        portable_unwinder,
        allow(dead_code, reason = "the portable unwinder knows the end")
    )]
    pub fn begins_at(&self, sp: usize) -> bool {
        const START_FRAMES: usize = 512;
        cfg!(target_env = "musl") && self.is_own() && self.high.saturating_sub(sp) <= START_FRAMES
    }

    /// True if `address` lies on the stack as far as it is known.
    #[inline]
    pub fn holds(&self, address: usize) -> bool {
        address.wrapping_sub(self.low) < self.high.wrapping_sub(self.low)
    }

    /// Makes pages further up known, as far as `address`. False if it is not on this stack.
    #[cold]
    #[inline(never)]
    fn extend(&mut self, address: usize) -> bool {
        if address < self.low || address >= self.limit {
            return false;
        }
        let high = (address | (PAGE - 1)).wrapping_add(1);
        let is_whole = os::is_readable(self.high..high);
        if is_whole {
            self.high = high;
        }
        is_whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unwinder::stack_words::StackWords;

    #[test]
    fn reaches_a_local_on_the_own_stack() {
        let local = 5usize;
        let address = &raw const local as usize;
        let mut own = OwnStack::find();
        let mut memory = StackMemory::at(address, &mut own);
        assert_eq!(
            (memory.read(address), memory.peek(address)),
            (Some(5), Some(5))
        );
        assert!(own.low <= address && address < own.high && own.high - address < 8 << 20);
    }

    #[test]
    fn words_hold_until_one_changes() {
        let mut stack = [3usize, 4, 5, 6, 7, 8, 9, 10];
        let address = |at: usize, stack: &[usize; 8]| &raw const stack[at] as usize;
        let mut own = OwnStack {
            low: address(0, &stack),
            high: address(7, &stack) + 8,
        };
        let mut memory = StackMemory::at(own.low, &mut own);
        let mut quads = [Quad::default(); 2];
        let mut words = StackWords::new(&mut quads);
        assert!(!memory.still_holds(words.quads()), "nothing is known");
        // A quad and the beginning of the next.
        for at in [1, 3, 4, 5, 6] {
            assert!(words.push(address(at, &stack), at + 3));
            assert!(memory.still_holds(words.quads()), "{at}");
        }
        for at in [0, 2, 7] {
            stack[at] += 1;
            assert!(memory.still_holds(words.quads()), "{at} is none of them");
        }
        for at in [1, 3, 4, 5, 6] {
            stack[at] += 1;
            assert!(!memory.still_holds(words.quads()), "{at} has changed");
            stack[at] -= 1;
        }
        let mut above = StackMemory::at(address(2, &stack), &mut own);
        assert!(!above.still_holds(words.quads()), "the first is not on it");
        let mut lower = OwnStack {
            high: address(6, &stack),
            ..own
        };
        let mut below = StackMemory::at(lower.low, &mut lower);
        assert!(!below.still_holds(words.quads()), "the last is not on it");
    }

    #[test]
    fn refuses_what_is_not_the_stack() {
        let mut own = OwnStack {
            low: 0x10_0000,
            high: 0x20_0000,
        };
        let mut memory = StackMemory::at(0x10_0000, &mut own);
        for address in [0x10_0004, 0xf_fff8, 0x20_0000, 0x1f_fffc, usize::MAX, 0] {
            assert_eq!(memory.peek(address), None, "{address:#x}");
            assert_eq!(memory.read(address), None, "{address:#x}");
        }
    }

    #[test]
    fn explores_an_unknown_stack_page_by_page() {
        let block = vec![9usize; 4096];
        let address = block.as_ptr() as usize;
        let mut memory = StackMemory::at(address, &mut OwnStack { low: 0, high: 0 });
        assert_eq!(memory.peek(address + 4096 * 4), None);
        assert_eq!(memory.read(address + 4096 * 4), Some(9));
        assert_eq!(memory.peek(address + 4096 * 4), Some(9));
        assert_eq!(memory.read(address + (2 << 20)), None);
    }

    /// Below where a walk left it, the thread's own stack holds what has been, such as the return
    /// address of a function that is over.
    #[test]
    fn the_own_stack_is_gone_on_with_above_where_it_was_left() {
        static OTHER: [usize; 8] = [7; 8];
        let other = &raw const OTHER[2] as usize;
        let stack = [0usize; 8];
        let address = |at: usize| &raw const stack[at] as usize;
        let mut own = OwnStack {
            low: address(0),
            high: address(7) + 8,
        };
        for (at, is_signal, expected) in [
            (2, false, false),
            (3, false, false),
            (2, true, true),
            (4, false, true),
            (5, false, true),
        ] {
            let mut memory = StackMemory::at(address(0), &mut own);
            assert!(memory.change(other, address(4), false));
            assert!(!memory.is_own() && memory.read(other) == Some(7));
            assert_eq!(
                memory.change(address(at), other, is_signal),
                expected,
                "{at}"
            );
            assert_eq!(memory.is_own(), expected);
        }
        // One that began elsewhere has not left it anywhere.
        let mut memory = StackMemory::at(other, &mut own);
        assert!(memory.change(address(0), other, false));
    }
}
