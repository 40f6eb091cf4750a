//! Memory from the system's allocator, which is not the program's: what counting takes is little,
//! and stays.

use std::alloc::{GlobalAlloc, Layout, System};

/// `len` bytes, zero, aligned to `align`, which stay.
pub fn zeroed(len: usize, align: usize) -> Option<*mut u8> {
    let layout = Layout::from_size_align(len.max(1), align).ok()?;
    // SAFETY: the layout is not empty.
    let base = unsafe { System.alloc_zeroed(layout) };
    (!base.is_null()).then_some(base)
}

/// Gives back all that [`zeroed`] gave.
///
/// # Safety
/// The three are those of one call, and nobody looks at the memory any more.
pub unsafe fn free(base: *mut u8, len: usize, align: usize) {
    if let Ok(layout) = Layout::from_size_align(len.max(1), align) {
        // SAFETY: as the caller promises, `zeroed` gave it for this layout.
        unsafe { System.dealloc(base, layout) };
    }
}

/// Nothing is mapped here that could be told apart.
pub fn own() -> impl Iterator<Item = (usize, usize)> {
    core::iter::empty()
}

/// There is no address space without memory here.
pub fn reserve(_: usize) -> Option<*mut u8> {
    None
}

/// # Safety
/// Nothing was reserved.
pub unsafe fn give_back(_: *mut u8, _: usize) {}

/// # Safety
/// None: memory is never emptied here.
pub unsafe fn wipe_on_fork(_: *mut u8, _: usize) -> bool {
    false
}
