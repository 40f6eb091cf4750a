//! Memory for the few allocations that the search for the allocator below makes itself. Nothing of
//! it is given back.

use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

const LEN: usize = 64 * 1024;
const ALIGN: usize = 16;

#[repr(align(16))]
struct Arena(UnsafeCell<[u8; LEN]>);

// SAFETY: each part is given to one caller only, by the counter below.
unsafe impl Sync for Arena {}

static ARENA: Arena = Arena(UnsafeCell::new([0; LEN]));
static USED: AtomicUsize = AtomicUsize::new(0);

/// `size` bytes of zeros, aligned as malloc's are; null if there is no room.
pub fn take(size: usize) -> *mut u8 {
    let Some(len) = size.checked_next_multiple_of(ALIGN) else {
        return ptr::null_mut();
    };
    let at = USED.fetch_add(len, Ordering::Relaxed);
    match at.checked_add(len) {
        // SAFETY: from `at` on, `len` bytes lie in the arena, and nobody else has them.
        Some(end) if end <= LEN => unsafe { ARENA.0.get().cast::<u8>().add(at) },
        _ => ptr::null_mut(),
    }
}

/// Bytes from `block` to the end of the arena, if it is one of these.
pub fn rest_of(block: *const u8) -> Option<usize> {
    let at = block.addr().checked_sub(ARENA.0.get().addr())?;
    LEN.checked_sub(at).filter(|&rest| rest > 0)
}
