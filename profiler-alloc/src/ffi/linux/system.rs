//! The system's allocator, as std's `System` asks for it, and how the preload library is connected.
//!
//! The functions are asked by their addresses: once the library is connected they are those below
//! it, so that Rust's blocks do not come by it. Until then they are the program's own.

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::ffi::{c_int, c_void};
#[cfg(not(feature = "preload"))]
use core::mem::transmute;
use core::ptr;

#[cfg(not(feature = "preload"))]
use profiler_alloc_format::c_heap::{Below, Connect, SYMBOL, Teller};

/// What malloc aligns to.
const MALLOC_ALIGN: usize = 2 * size_of::<usize>();

/// The address of a function, from which it is called by one instruction, as through the table of
/// the loader.
struct Callee<F>(UnsafeCell<F>);

// SAFETY: an address is stored while the program or library is being loaded, by `connect`: before
// any other thread can be in its code.
unsafe impl<F> Sync for Callee<F> {}

impl<F: Copy> Callee<F> {
    const fn new(function: F) -> Callee<F> {
        Callee(UnsafeCell::new(function))
    }

    #[inline(always)]
    fn get(&self) -> F {
        // SAFETY: as above, nobody stores meanwhile.
        unsafe { *self.0.get() }
    }

    /// # Safety
    /// The program or library is being loaded.
    #[cfg(not(feature = "preload"))]
    unsafe fn set(&self, function: F) {
        // SAFETY: the caller says that nobody reads meanwhile.
        unsafe { *self.0.get() = function };
    }
}

static MALLOC: Callee<unsafe extern "C" fn(usize) -> *mut c_void> = Callee::new(libc::malloc);
static CALLOC: Callee<unsafe extern "C" fn(usize, usize) -> *mut c_void> =
    Callee::new(libc::calloc);
static REALLOC: Callee<unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void> =
    Callee::new(libc::realloc);
static FREE: Callee<unsafe extern "C" fn(*mut c_void)> = Callee::new(libc::free);
static POSIX_MEMALIGN: Callee<unsafe extern "C" fn(*mut *mut c_void, usize, usize) -> c_int> =
    Callee::new(libc::posix_memalign);

/// Whether the allocator is the GNU C library's, and no other stands in for it.
#[cfg(all(target_env = "gnu", not(feature = "preload")))]
pub fn is_glibcs() -> bool {
    // SAFETY: the C library's declaration; it is not called.
    unsafe extern "C" {
        fn __libc_malloc(size: usize) -> *mut c_void;
    }
    let own: unsafe extern "C" fn(usize) -> *mut c_void = __libc_malloc;
    ptr::fn_addr_eq(MALLOC.get(), own)
}

/// No other rounds as it does; in the preloaded library, that one says what is below it.
#[cfg(not(all(target_env = "gnu", not(feature = "preload"))))]
pub fn is_glibcs() -> bool {
    false
}

/// True for what malloc's plain functions give.
#[inline(always)]
fn is_plain(align: usize, size: usize) -> bool {
    align <= MALLOC_ALIGN && align <= size
}

/// # Safety
/// As of `GlobalAlloc::alloc`.
#[inline(always)]
pub unsafe fn alloc(layout: Layout) -> *mut u8 {
    // SAFETY: any size may be asked for.
    unsafe {
        match is_plain(layout.align(), layout.size()) {
            true => MALLOC.get()(layout.size()).cast(),
            false => aligned(layout),
        }
    }
}

/// # Safety
/// As of `GlobalAlloc::alloc_zeroed`.
#[inline(always)]
pub unsafe fn alloc_zeroed(layout: Layout) -> *mut u8 {
    if is_plain(layout.align(), layout.size()) {
        // SAFETY: any size may be asked for.
        return unsafe { CALLOC.get()(layout.size(), 1).cast() };
    }
    // SAFETY: the block is new, and has that size.
    unsafe {
        let block = aligned(layout);
        if !block.is_null() {
            ptr::write_bytes(block, 0, layout.size());
        }
        block
    }
}

/// # Safety
/// As of `GlobalAlloc::dealloc`.
#[inline(always)]
pub unsafe fn dealloc(block: *mut u8, _: Layout) {
    // SAFETY: the caller gives a block away that is its own.
    unsafe { FREE.get()(block.cast()) }
}

/// # Safety
/// As of `GlobalAlloc::realloc`.
#[inline(always)]
pub unsafe fn realloc(block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
    // SAFETY: the caller gives a block away that is its own, if the answer is not null.
    unsafe {
        match is_plain(layout.align(), size) {
            true => REALLOC.get()(block.cast(), size).cast(),
            false => realloc_aligned(block, layout, size),
        }
    }
}

/// # Safety
/// As of `GlobalAlloc::alloc`.
#[inline]
unsafe fn aligned(layout: Layout) -> *mut u8 {
    let mut block = ptr::null_mut();
    let align = layout.align().max(size_of::<usize>());
    // SAFETY: there is a place for the block, and the alignment is a power of two.
    let refused = unsafe { POSIX_MEMALIGN.get()(&raw mut block, align, layout.size()) };
    match refused {
        0 => block.cast(),
        _ => ptr::null_mut(),
    }
}

/// # Safety
/// As of `GlobalAlloc::realloc`.
#[inline]
unsafe fn realloc_aligned(block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
    // SAFETY: the caller says that `size` is one of a layout; both blocks have what is copied.
    unsafe {
        let new = aligned(Layout::from_size_align_unchecked(size, layout.align()));
        if !new.is_null() {
            ptr::copy_nonoverlapping(block, new, layout.size().min(size));
            dealloc(block, layout);
        }
        new
    }
}

/// Has the preload library tell `teller`, if the library is loaded and no block of the program's
/// allocator comes by it; says what the library's blocks had in use then, in bytes. `asks` has the
/// allocator take a block and give it back.
///
/// # Safety
/// The program or library is being loaded.
#[cfg(not(feature = "preload"))]
pub unsafe fn connect(teller: &'static Teller, asks: impl FnOnce()) -> Option<usize> {
    // SAFETY: the name ends with a zero; what is so called is of that type. It stays as it is. The
    // caller says what the functions' addresses need.
    unsafe {
        let found = libc::dlsym(libc::RTLD_DEFAULT, SYMBOL.as_ptr());
        if found.is_null() {
            return None;
        }
        let connect = transmute::<*mut c_void, Connect>(found);
        let below = connect(None)?;
        let before = (below.calls)();
        ask(below);
        asks();
        if (below.calls)() != before || connect(Some(teller)).is_none() {
            // Blocks of those below are blocks of these too.
            return None;
        }
        Some((below.in_use)())
    }
}

/// Asks those below from now on; what the functions before gave, is theirs too.
///
/// # Safety
/// The program or library is being loaded.
#[cfg(not(feature = "preload"))]
unsafe fn ask(below: &Below) {
    // SAFETY: the caller's promise is passed on.
    unsafe {
        MALLOC.set(below.malloc);
        CALLOC.set(below.calloc);
        REALLOC.set(below.realloc);
        FREE.set(below.free);
        POSIX_MEMALIGN.set(below.posix_memalign);
    }
}
