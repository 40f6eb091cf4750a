//! Reading the program's stack without ever leaving it.

use crate::sys;

/// Bytes of a stack that is not the thread's own (signal stack, coroutine) that a walk may explore.
const FOREIGN_LIMIT: usize = 1 << 20;
const PAGE: usize = 4096;

/// The part of memory a walk may read.
pub struct StackMemory {
    low: usize,
    high: usize,
    limit: usize,
}

impl StackMemory {
    /// The stack that `sp` points into, for a thread whose own stack is `low..high`.
    ///
    /// On another stack nothing is known of the bounds, so each page is tried before it is read.
    pub fn at(sp: usize, low: usize, high: usize) -> StackMemory {
        if (low..high).contains(&sp) {
            StackMemory {
                low: sp,
                high,
                limit: high,
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
        if !address.is_multiple_of(8) || address < self.low {
            return None;
        }
        if address >= self.high && !self.extend(address) {
            return None;
        }
        // SAFETY: aligned, and between this walk's stack pointer and the end of the stack's readable pages: the walk
        // runs on that very stack, so the memory stays mapped. Volatile, as others' locals may overlap it.
        Some(unsafe { core::ptr::with_exposed_provenance::<usize>(address).read_volatile() })
    }

    /// True if `address` lies on the stack as far as it is known.
    pub fn holds(&self, address: usize) -> bool {
        (self.low..self.high).contains(&address)
    }

    #[cold]
    fn extend(&mut self, address: usize) -> bool {
        while address >= self.high {
            if self.high >= self.limit || !sys::is_readable(self.high) {
                return false;
            }
            self.high += PAGE;
        }
        true
    }
}

/// Bounds of the calling thread's own stack: 0.6 us on most threads, 100 us on the main thread of some systems, so ask
/// once. Empty if the system does not tell.
pub fn own_bounds() -> (usize, usize) {
    if let Some(bounds) = main_thread_bounds() {
        return bounds;
    }
    let mut attributes = core::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    let (mut base, mut size) = (core::ptr::null_mut(), 0);
    // SAFETY: the attributes are initialised by the first call if it succeeds, and destroyed after use.
    unsafe {
        if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0 {
            return (0, 0);
        }
        libc::pthread_attr_getstack(attributes.as_ptr(), &mut base, &mut size);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
    }
    let low = base as usize;
    (low, low.saturating_add(size))
}

/// The main thread's stack begins at an address the dynamic linker keeps, and may grow to the limit on stack size.
#[cfg(target_env = "gnu")]
fn main_thread_bounds() -> Option<(usize, usize)> {
    unsafe extern "C" {
        static __libc_stack_end: *const u8;
    }
    if sys::thread_id() != sys::process_id() {
        return None;
    }
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is valid to write to; the linker sets `__libc_stack_end` before any code of the program runs.
    let high = unsafe {
        libc::getrlimit(libc::RLIMIT_STACK, &mut limit);
        __libc_stack_end as usize
    };
    let size = usize::try_from(limit.rlim_cur)
        .unwrap_or(usize::MAX)
        .min(1 << 32);
    // `__libc_stack_end` lies below the program's arguments; nothing above it is a frame.
    (high != 0).then(|| (high.saturating_sub(size), high))
}

#[cfg(not(target_env = "gnu"))]
fn main_thread_bounds() -> Option<(usize, usize)> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_bounds_hold_a_local() {
        let local = 5usize;
        let address = &raw const local as usize;
        let (low, high) = own_bounds();
        assert!((low..high).contains(&address));
        assert_eq!(StackMemory::at(address, low, high).read(address), Some(5));
    }

    #[test]
    fn refuses_what_is_not_the_stack() {
        let mut memory = StackMemory::at(0x10_0000, 0x8_0000, 0x20_0000);
        assert_eq!(memory.read(0x10_0004), None);
        assert_eq!(memory.read(0xf_fff8), None);
        assert_eq!(memory.read(0x20_0000), None);
    }

    #[test]
    fn explores_an_unknown_stack_page_by_page() {
        let block = vec![9usize; 4096];
        let address = block.as_ptr() as usize;
        let mut memory = StackMemory::at(address, 0, 0);
        assert_eq!(memory.read(address + 4096 * 4), Some(9));
        assert_eq!(memory.read(address + (2 << 20)), None);
    }
}
