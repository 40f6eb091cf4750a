//! Reading the program's stack without ever leaving it.

use crate::sys;

/// Bytes of a stack that is not the thread's own (signal stack, coroutine) that a walk may explore.
const FOREIGN_LIMIT: usize = 1 << 20;
const PAGE: usize = 4096;

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
    /// The C library's own question (`pthread_getattr_np`) allocates, and costs 100 us on the main thread.
    pub fn find() -> OwnStack {
        let high = top();
        OwnStack { low: high, high }
    }

    /// Makes everything from `sp` upwards known, each page tried once. False if `sp` is on another stack.
    pub fn reach(&mut self, sp: usize) -> bool {
        if (self.low..self.high).contains(&sp) {
            return true;
        }
        if sp >= self.high || (self.low - sp) / PAGE > MOST_NEW_PAGES {
            return false;
        }
        let page = sp & !(PAGE - 1);
        let is_whole = (page..self.low).step_by(PAGE).all(sys::is_readable);
        if is_whole {
            self.low = page;
        }
        is_whole
    }
}

/// The part of memory a walk may read.
pub struct StackMemory {
    low: usize,
    high: usize,
    limit: usize,
}

impl StackMemory {
    /// The stack that `sp` points into.
    ///
    /// On a stack that is not the thread's own (signal stack, coroutine), each page is tried before it is read.
    pub fn at(sp: usize, own: &mut OwnStack) -> StackMemory {
        if own.reach(sp) {
            StackMemory {
                low: sp,
                high: own.high,
                limit: own.high,
            }
        } else {
            let page_end = (sp | (PAGE - 1)).wrapping_add(1);
            StackMemory {
                low: sp,
                high: page_end,
                limit: sp.saturating_add(FOREIGN_LIMIT),
            }
        }
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
        // SAFETY: aligned, and between this walk's stack pointer and the end of the stack's readable pages: the walk
        // runs on that very stack, so the memory stays mapped. Volatile, as others' locals may overlap it.
        Some(unsafe { core::ptr::with_exposed_provenance::<usize>(address).read_volatile() })
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
        if address < self.low {
            return false;
        }
        while address >= self.high {
            if self.high >= self.limit || !sys::is_readable(self.high) {
                return false;
            }
            self.high += PAGE;
        }
        true
    }
}

/// An address above all frames of the calling thread's stack and on that stack; 0 if there is none to be had.
///
/// The main thread's stack begins at an address that the dynamic linker keeps. The stacks of other threads have the
/// thread's control block at their upper end, and its address is the thread's handle (glibc and musl).
fn top() -> usize {
    if sys::thread_id() == sys::process_id() {
        return main_top();
    }
    // SAFETY: has no preconditions.
    unsafe { libc::pthread_self() as usize }
}

#[cfg(target_env = "gnu")]
fn main_top() -> usize {
    unsafe extern "C" {
        static __libc_stack_end: *const u8;
    }
    // SAFETY: the linker sets it before any code of the program runs.
    unsafe { __libc_stack_end as usize }
}

#[cfg(not(target_env = "gnu"))]
fn main_top() -> usize {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reaches_a_local_on_the_own_stack() {
        let local = 5usize;
        let address = &raw const local as usize;
        let mut own = OwnStack::find();
        assert_eq!(StackMemory::at(address, &mut own).read(address), Some(5));
        assert!(own.low <= address && address < own.high && own.high - address < 8 << 20);
    }

    #[test]
    fn refuses_what_is_not_the_stack() {
        let mut own = OwnStack {
            low: 0x10_0000,
            high: 0x20_0000,
        };
        let mut memory = StackMemory::at(0x10_0000, &mut own);
        assert_eq!(memory.read(0x10_0004), None);
        assert_eq!(memory.read(0xf_fff8), None);
        assert_eq!(memory.read(0x20_0000), None);
    }

    #[test]
    fn explores_an_unknown_stack_page_by_page() {
        let block = vec![9usize; 4096];
        let address = block.as_ptr() as usize;
        let mut memory = StackMemory::at(address, &mut OwnStack { low: 0, high: 0 });
        assert_eq!(memory.read(address + 4096 * 4), Some(9));
        assert_eq!(memory.read(address + (2 << 20)), None);
    }
}
