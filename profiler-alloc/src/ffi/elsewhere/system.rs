//! The system's allocator, as std has it; no library is loaded beside a program here.

use core::alloc::{GlobalAlloc, Layout};
use std::alloc::System;

/// Nothing here asks how large its blocks are.
pub fn is_glibcs() -> bool {
    false
}

/// # Safety
/// As of `GlobalAlloc::alloc`.
#[inline(always)]
pub unsafe fn alloc(layout: Layout) -> *mut u8 {
    // SAFETY: the caller's promises are passed on.
    unsafe { System.alloc(layout) }
}

/// # Safety
/// As of `GlobalAlloc::alloc_zeroed`.
#[inline(always)]
pub unsafe fn alloc_zeroed(layout: Layout) -> *mut u8 {
    // SAFETY: the caller's promises are passed on.
    unsafe { System.alloc_zeroed(layout) }
}

/// # Safety
/// As of `GlobalAlloc::dealloc`.
#[inline(always)]
pub unsafe fn dealloc(block: *mut u8, layout: Layout) {
    // SAFETY: the caller's promises are passed on.
    unsafe { System.dealloc(block, layout) }
}

/// # Safety
/// As of `GlobalAlloc::realloc`.
#[inline(always)]
pub unsafe fn realloc(block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
    // SAFETY: the caller's promises are passed on.
    unsafe { System.realloc(block, layout, size) }
}
