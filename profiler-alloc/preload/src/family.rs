//! The functions that programs call. Each does what glibc's does, errors and all, and is counted.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ffi::{c_int, c_void};
use core::ptr;

use libc::{EINVAL, ENOMEM};
use profiler_alloc::ProfilerAlloc;

use crate::below::{self, Function};
use crate::{bootstrap, c_heap, room};

static HEAP: ProfilerAlloc<Plain> = ProfilerAlloc::new(Plain);

/// `malloc`, `calloc`, `realloc` and `free` below.
struct Plain;

// SAFETY: blocks are those of the allocator below, each with room for a byte more than was asked
// for; none of its functions unwinds.
unsafe impl GlobalAlloc for Plain {
    #[inline(always)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let size = layout.size();
        // SAFETY: the type is malloc's, which takes any size.
        match unsafe { below::MALLOC.get::<below::Malloc>() } {
            // SAFETY: as above; the block is new.
            Some(malloc) => unsafe { noted(malloc(room::with_room(size)), size) },
            None => below::early(size).cast(),
        }
    }

    #[inline(always)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let size = layout.size();
        // SAFETY: the type is calloc's, which takes any size.
        match unsafe { below::CALLOC.get::<below::Calloc>() } {
            // SAFETY: as above; the block is new, and what is noted stands behind its zeros.
            Some(calloc) => unsafe { noted(calloc(1, room::with_room(size)), size) },
            None => below::early(size).cast(),
        }
    }

    #[inline(always)]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the type is free's, and the caller gives a block away that is its own.
        unsafe {
            if let Some(free) = below::FREE.get::<below::Free>() {
                free(block.cast());
            }
        }
    }

    #[inline(always)]
    unsafe fn realloc(&self, block: *mut u8, _: Layout, size: usize) -> *mut u8 {
        // SAFETY: the type is realloc's, and the caller gives a block away that is its own, if the
        // answer is not null.
        unsafe {
            match below::REALLOC.get::<below::Realloc>() {
                Some(realloc) => noted(realloc(block.cast(), room::with_room(size)), size),
                None => ptr::null_mut(),
            }
        }
    }
}

/// One of the functions for aligned blocks below.
struct Aligned {
    function: &'static Function,
    align: usize,
    error: Cell<c_int>,
}

impl Aligned {
    /// A block of `size` bytes, counted; or null, `errno` being what the function below says.
    #[inline]
    fn take(function: &'static Function, align: usize, size: usize) -> (*mut c_void, c_int) {
        let Some(layout) = layout(size) else {
            return (no_memory(), ENOMEM);
        };
        let heap = ProfilerAlloc::new(Aligned {
            function,
            align,
            error: Cell::new(ENOMEM),
        });
        // SAFETY: the allocator takes layouts without a size, too.
        let block = unsafe { heap.alloc(layout) };
        (block.cast(), heap.inner().error.get())
    }
}

// SAFETY: as for `Plain`.
unsafe impl GlobalAlloc for Aligned {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let size = layout.size();
        let with_room = room::with_room(size);
        let mut block = ptr::null_mut();
        // SAFETY: each function is called by its own type, and takes any alignment and size; the
        // block is new.
        unsafe {
            if ptr::eq(self.function, &below::POSIX_MEMALIGN) {
                if let Some(get) = self.function.get::<below::PosixMemalign>() {
                    self.error.set(get(&raw mut block, self.align, with_room));
                }
            } else if let Some(get) = self.function.get::<below::Aligned>() {
                block = get(self.align, with_room);
            }
            noted(block, size)
        }
    }

    /// Blocks are given back to [`HEAP`].
    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

/// `valloc` and `pvalloc`, which choose the alignment themselves.
struct Paged {
    function: &'static Function,
}

impl Paged {
    fn take(function: &'static Function, size: usize) -> *mut c_void {
        let Some(layout) = layout(size) else {
            return no_memory();
        };
        // SAFETY: the allocator takes layouts without a size, too.
        unsafe { ProfilerAlloc::new(Paged { function }).alloc(layout).cast() }
    }
}

// SAFETY: as for `Plain`.
unsafe impl GlobalAlloc for Paged {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let size = layout.size();
        // SAFETY: the type is valloc's and pvalloc's, which take any size; the block is new.
        unsafe {
            match self.function.get::<below::Malloc>() {
                Some(get) => noted(get(room::with_room(size)), size),
                None => no_memory().cast(),
            }
        }
    }

    /// Blocks are given back to [`HEAP`].
    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

/// A new block, or null, which notes that `size` bytes were asked for.
///
/// # Safety
/// `block` is null or a block of the allocator below for `room::with_room(size)` bytes.
#[inline(always)]
unsafe fn noted(block: *mut c_void, size: usize) -> *mut u8 {
    // SAFETY: the allocator below says what it has room for, which is what was asked for at least.
    unsafe {
        if !block.is_null() {
            room::note(block.cast(), below::usable_size(block), size);
            c_heap::allocated(block.cast(), size);
        }
    }
    block.cast()
}

/// `None` of what no allocator gives.
#[inline(always)]
fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size, 1).ok()
}

/// The layout of a block that was given out.
///
/// # Safety
/// `block` is one of the allocator below.
#[inline(always)]
unsafe fn layout_of(block: *mut c_void) -> Layout {
    // SAFETY: the allocator below says what room its block has. No block is larger than a layout
    // may be.
    unsafe {
        let size = room::size(block.cast(), below::usable_size(block));
        Layout::from_size_align_unchecked(size.min(isize::MAX as usize), 1)
    }
}

#[cold]
fn no_memory() -> *mut c_void {
    // SAFETY: the address of the thread's own errno.
    unsafe { *libc::__errno_location() = ENOMEM };
    ptr::null_mut()
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    match layout(size) {
        // SAFETY: the allocator takes layouts without a size, too.
        Some(layout) => unsafe { HEAP.alloc(layout).cast() },
        None => no_memory(),
    }
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    match count.checked_mul(size).and_then(layout) {
        // SAFETY: the allocator takes layouts without a size, too.
        Some(layout) => unsafe { HEAP.alloc_zeroed(layout).cast() },
        None => no_memory(),
    }
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free(block: *mut c_void) {
    if block.is_null() || bootstrap::rest_of(block.cast()).is_some() {
        return;
    }
    // SAFETY: the program gives a block away that it has from here.
    unsafe {
        let layout = layout_of(block);
        c_heap::freeing(block.cast(), layout.size());
        HEAP.dealloc(block.cast(), layout);
    }
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the program gives a block away that it has from here, or none.
    unsafe {
        if block.is_null() {
            return malloc(size);
        }
        if let Some(rest) = bootstrap::rest_of(block.cast()) {
            return moved(block, rest, size);
        }
        if size == 0 {
            free(block);
            return ptr::null_mut();
        }
        match layout(size) {
            Some(_) => {
                let layout = layout_of(block);
                c_heap::freeing(block.cast(), layout.size());
                let new = HEAP.realloc(block.cast(), layout, size);
                if new.is_null() {
                    c_heap::allocated(block.cast(), layout.size());
                }
                new.cast()
            }
            None => no_memory(),
        }
    }
}

/// A block of the arena, of which nothing is given back, becomes one of the allocator below.
///
/// # Safety
/// There are `rest` bytes at `block`.
#[cold]
unsafe fn moved(block: *mut c_void, rest: usize, size: usize) -> *mut c_void {
    // SAFETY: the new block has `size` bytes, and lies elsewhere.
    unsafe {
        let new = malloc(size);
        if !new.is_null() {
            ptr::copy_nonoverlapping(block.cast::<u8>(), new.cast(), rest.min(size));
        }
        new
    }
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reallocarray(
    block: *mut c_void,
    count: usize,
    size: usize,
) -> *mut c_void {
    match count.checked_mul(size) {
        // SAFETY: the caller's promise is passed on.
        Some(size) => unsafe { realloc(block, size) },
        None => no_memory(),
    }
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_memalign(to: *mut *mut c_void, align: usize, size: usize) -> c_int {
    if !align.is_power_of_two() || !align.is_multiple_of(size_of::<usize>()) {
        return EINVAL;
    }
    // SAFETY: the address of the thread's own errno, which this function leaves alone.
    let errno = unsafe { *libc::__errno_location() };
    let (block, error) = Aligned::take(&below::POSIX_MEMALIGN, align, size);
    // SAFETY: as above; `to` is a place for an address.
    unsafe {
        *libc::__errno_location() = errno;
        if block.is_null() {
            return error;
        }
        *to = block;
    }
    0
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    Aligned::take(&below::ALIGNED_ALLOC, align, size).0
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memalign(align: usize, size: usize) -> *mut c_void {
    Aligned::take(&below::MEMALIGN, align, size).0
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn valloc(size: usize) -> *mut c_void {
    Paged::take(&below::VALLOC, size)
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pvalloc(size: usize) -> *mut c_void {
    Paged::take(&below::PVALLOC, size)
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_usable_size(block: *mut c_void) -> usize {
    if block.is_null() {
        return 0;
    }
    if let Some(rest) = bootstrap::rest_of(block.cast()) {
        return rest;
    }
    // SAFETY: the program has the block from here.
    unsafe { room::usable_by_program(block.cast(), below::usable_size(block)) }
}
