//! Memory that is taken when it is first needed, by whichever thread comes first; nobody waits.

use crate::ffi::memory::{self, Zeroed};
use crate::lockfree::atomic::{AtomicPtr, Ordering};

/// `len` zeros that are mapped when first opened.
pub struct LazySlice<T: Zeroed> {
    base: AtomicPtr<T>,
    len: usize,
}

impl<T: Zeroed> LazySlice<T> {
    pub const fn new(len: usize) -> LazySlice<T> {
        LazySlice {
            base: AtomicPtr::new(core::ptr::null_mut()),
            len,
        }
    }

    /// The slice, if it has been opened.
    pub fn get(&self) -> Option<&'static [T]> {
        let base = self.base.load(Ordering::Acquire);
        if base.is_null() {
            return None;
        }
        // SAFETY: `base` is set only by `open`, to a slice of `len` values that lives as long as the process.
        Some(unsafe { core::slice::from_raw_parts(base, self.len) })
    }

    /// The slice, mapped now if need be. `None` if the system refuses the memory.
    pub fn open(&self) -> Option<&'static [T]> {
        if let Some(slice) = self.get() {
            return Some(slice);
        }
        let fresh: &'static [T] = memory::zeroed(self.len)?;
        // The loser of a race leaves its mapping unused: untouched pages take no memory.
        let _ = self.base.compare_exchange(
            core::ptr::null_mut(),
            fresh.as_ptr().cast_mut(),
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        self.get()
    }
}
