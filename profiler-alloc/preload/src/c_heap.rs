//! In a program that has the crate: tells it what C code allocates. Rust's blocks do not come here
//! once the crate has connected.

use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::OnceLock;

use profiler_alloc::preload::{Below, Teller};

use crate::below;

/// Null before the crate has connected.
static TELLER: AtomicPtr<Teller> = AtomicPtr::new(ptr::null_mut());
static MAY_CONNECT: AtomicBool = AtomicBool::new(false);
static BELOW: OnceLock<Option<Below>> = OnceLock::new();

/// The program has the crate, and its calls of `malloc` come here.
pub fn may_connect() {
    MAY_CONNECT.store(true, Ordering::Relaxed);
}

/// C code has allocated a block.
#[inline(always)]
pub fn allocated(block: *mut u8, size: usize) {
    if let Some(teller) = teller() {
        (teller.allocated)(block.addr(), size);
    }
}

/// C code is about to free a block.
#[inline(always)]
pub fn freeing(block: *mut u8, size: usize) {
    if let Some(teller) = teller() {
        (teller.freeing)(block.addr(), size);
    }
}

#[inline(always)]
fn teller() -> Option<&'static Teller> {
    // SAFETY: null, or what was given to `memprof_c_heap_1`, which stays.
    unsafe { TELLER.load(Ordering::Acquire).as_ref() }
}

/// What the crate calls: see `profiler_alloc_format::c_heap`.
///
/// # Safety
/// What is given says whom to tell, and stays.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memprof_c_heap_1(
    teller: Option<&'static Teller>,
) -> Option<&'static Below> {
    if !MAY_CONNECT.load(Ordering::Relaxed) || self::teller().is_some() {
        return None;
    }
    let below = BELOW.get_or_init(functions).as_ref()?;
    if let Some(teller) = teller {
        TELLER.store(ptr::from_ref(teller).cast_mut(), Ordering::Release);
    }
    Some(below)
}

fn functions() -> Option<Below> {
    extern "C" fn calls() -> usize {
        profiler_alloc::stats().allocations
    }
    extern "C" fn in_use() -> usize {
        profiler_alloc::heap_in_use()
    }
    // SAFETY: each is got by its own type.
    unsafe {
        Some(Below {
            malloc: below::MALLOC.get::<below::Malloc>()?,
            calloc: below::CALLOC.get::<below::Calloc>()?,
            realloc: below::REALLOC.get::<below::Realloc>()?,
            free: below::FREE.get::<below::Free>()?,
            posix_memalign: below::POSIX_MEMALIGN.get::<below::PosixMemalign>()?,
            calls,
            in_use,
        })
    }
}
