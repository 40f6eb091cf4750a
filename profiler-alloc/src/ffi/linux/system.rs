//! The system's allocator, as std's `System` asks for it, and how the preload library is connected.
//!
//! The functions are asked by their addresses: once the library is connected they are those below
//! it, so that Rust's blocks do not come by it. Until then they are the program's own.

use core::alloc::Layout;
use core::ffi::{c_int, c_void};
use core::mem::transmute;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use profiler_alloc_format::c_heap::{Below, Connect, SYMBOL, Teller};

/// What malloc aligns to.
const MALLOC_ALIGN: usize = 2 * size_of::<usize>();

macro_rules! functions {
    ($($name:ident = $call:ident, $function:ident: fn($($arg:ident: $of:ty),*) $(-> $to:ty)?;)*) => {
        $(
            static $name: AtomicPtr<c_void> = AtomicPtr::new(libc::$call as *mut c_void);

            /// # Safety
            /// As C's.
            #[inline(always)]
            unsafe fn $function($($arg: $of),*) $(-> $to)? {
                type Function = unsafe extern "C" fn($($of),*) $(-> $to)?;
                // SAFETY: what is stored is the address of a function of this type; the caller's
                // promises are passed on.
                unsafe {
                    let call = transmute::<*mut c_void, Function>($name.load(Ordering::Relaxed));
                    call($($arg),*)
                }
            }
        )*
    };
}

functions! {
    MALLOC = malloc, malloc: fn(size: usize) -> *mut c_void;
    CALLOC = calloc, calloc: fn(count: usize, size: usize) -> *mut c_void;
    REALLOC = realloc, realloc_plain: fn(block: *mut c_void, size: usize) -> *mut c_void;
    FREE = free, free: fn(block: *mut c_void);
    POSIX_MEMALIGN = posix_memalign, posix_memalign: fn(to: *mut *mut c_void, align: usize, size: usize) -> c_int;
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
    match is_plain(layout.align(), layout.size()) {
        true => unsafe { malloc(layout.size()).cast() },
        false => unsafe { aligned(layout) },
    }
}

/// # Safety
/// As of `GlobalAlloc::alloc_zeroed`.
#[inline(always)]
pub unsafe fn alloc_zeroed(layout: Layout) -> *mut u8 {
    if is_plain(layout.align(), layout.size()) {
        // SAFETY: any size may be asked for.
        return unsafe { calloc(layout.size(), 1).cast() };
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
    unsafe { free(block.cast()) }
}

/// # Safety
/// As of `GlobalAlloc::realloc`.
#[inline(always)]
pub unsafe fn realloc(block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
    // SAFETY: the caller gives a block away that is its own, if the answer is not null.
    match is_plain(layout.align(), size) {
        true => unsafe { realloc_plain(block.cast(), size).cast() },
        false => unsafe { realloc_aligned(block, layout, size) },
    }
}

/// # Safety
/// As of `GlobalAlloc::alloc`.
#[inline]
unsafe fn aligned(layout: Layout) -> *mut u8 {
    let mut block = ptr::null_mut();
    let align = layout.align().max(size_of::<usize>());
    // SAFETY: there is a place for the block, and the alignment is a power of two.
    let refused = unsafe { posix_memalign(&raw mut block, align, layout.size()) };
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
pub fn connect(teller: &'static Teller, asks: impl FnOnce()) -> Option<usize> {
    // SAFETY: the name ends with a zero; what is so called is of that type. It stays as it is.
    unsafe {
        let found = libc::dlsym(libc::RTLD_DEFAULT, SYMBOL.as_ptr());
        if found.is_null() {
            return None;
        }
        let connect = transmute::<*mut c_void, Connect>(found);
        let below = connect(None)?;
        let own = ask(below);
        let before = (below.calls)();
        asks();
        if (below.calls)() != before || connect(Some(teller)).is_none() {
            own.iter().for_each(Function::put_back);
            return None;
        }
        Some((below.in_use)())
    }
}

/// One of the functions above, as it was.
struct Function {
    place: &'static AtomicPtr<c_void>,
    address: *mut c_void,
}

impl Function {
    fn put_back(&self) {
        self.place.store(self.address, Ordering::Relaxed);
    }
}

/// Asks those below from now on. Blocks of the functions before are theirs too.
fn ask(below: &Below) -> [Function; 5] {
    let functions = [
        (&MALLOC, below.malloc as *mut c_void),
        (&CALLOC, below.calloc as *mut c_void),
        (&REALLOC, below.realloc as *mut c_void),
        (&FREE, below.free as *mut c_void),
        (&POSIX_MEMALIGN, below.posix_memalign as *mut c_void),
    ];
    functions.map(|(place, address)| Function {
        place,
        address: place.swap(address, Ordering::Relaxed),
    })
}
