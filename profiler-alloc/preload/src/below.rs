//! The allocator below: whichever would serve the program without this library. That is the C
//! library's, or that of a library preloaded or linked behind this one, such as jemalloc. All
//! functions are of one library, the one that `malloc` is found in, so that what is asked about a
//! block is asked of whom it comes from.

use core::ffi::{CStr, c_int, c_void};
use core::mem::transmute_copy;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU8, Ordering};

use crate::bootstrap;

const UNKNOWN: u8 = 0;
const SEARCHING: u8 = 1;
const FOUND: u8 = 2;

static STATE: AtomicU8 = AtomicU8::new(UNKNOWN);

/// One function of the allocator below.
pub struct Function {
    name: &'static CStr,
    address: AtomicPtr<c_void>,
}

macro_rules! functions {
    ($($name:ident = $text:literal),* $(,)?) => {
        $(pub static $name: Function = Function { name: $text, address: AtomicPtr::new(ptr::null_mut()) };)*
        static ALL: &[&Function] = &[$(&$name),*];
    };
}

functions! {
    MALLOC = c"malloc",
    FREE = c"free",
    CALLOC = c"calloc",
    REALLOC = c"realloc",
    POSIX_MEMALIGN = c"posix_memalign",
    ALIGNED_ALLOC = c"aligned_alloc",
    MEMALIGN = c"memalign",
    VALLOC = c"valloc",
    PVALLOC = c"pvalloc",
    USABLE_SIZE = c"malloc_usable_size",
    MMAP = c"mmap",
    MUNMAP = c"munmap",
    MREMAP = c"mremap",
    MPROTECT = c"mprotect",
    SBRK = c"sbrk",
    BRK = c"brk",
}

pub type Malloc = unsafe extern "C" fn(usize) -> *mut c_void;
pub type Free = unsafe extern "C" fn(*mut c_void);
pub type Calloc = unsafe extern "C" fn(usize, usize) -> *mut c_void;
pub type Realloc = unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void;
pub type PosixMemalign = unsafe extern "C" fn(*mut *mut c_void, usize, usize) -> c_int;
pub type Aligned = unsafe extern "C" fn(usize, usize) -> *mut c_void;
pub type UsableSize = unsafe extern "C" fn(*mut c_void) -> usize;

impl Function {
    /// `None` while it is searched for, by this thread or another, and where the allocator below
    /// has none.
    ///
    /// # Safety
    /// `F` is the function's type.
    #[inline(always)]
    pub unsafe fn get<F: Copy>(&self) -> Option<F> {
        let address = self.address.load(Ordering::Relaxed);
        let address = if address.is_null() {
            self.find()?
        } else {
            address
        };
        // SAFETY: a function pointer is an address, and this one is of an `F`.
        Some(unsafe { transmute_copy(&address) })
    }

    #[cold]
    #[inline(never)]
    fn find(&self) -> Option<*mut c_void> {
        let claim = STATE.compare_exchange(UNKNOWN, SEARCHING, Ordering::AcqRel, Ordering::Acquire);
        if claim.is_ok() {
            for function in ALL {
                // SAFETY: the name ends with a zero. dlsym gives an address or null.
                let address = unsafe { libc::dlsym(libc::RTLD_NEXT, function.name.as_ptr()) };
                function.address.store(address, Ordering::Release);
            }
            STATE.store(FOUND, Ordering::Release);
        }
        Some(self.address.load(Ordering::Acquire)).filter(|address| !address.is_null())
    }
}

pub type Mmap =
    unsafe extern "C" fn(*mut c_void, usize, c_int, c_int, c_int, libc::off_t) -> *mut c_void;
pub type Munmap = unsafe extern "C" fn(*mut c_void, usize) -> c_int;
pub type Mremap =
    unsafe extern "C" fn(*mut c_void, usize, usize, c_int, *mut c_void) -> *mut c_void;
pub type Mprotect = unsafe extern "C" fn(*mut c_void, usize, c_int) -> c_int;
pub type Sbrk = unsafe extern "C" fn(isize) -> *mut c_void;
pub type Brk = unsafe extern "C" fn(*mut c_void) -> c_int;

/// Whether the allocator below is the GNU C library's own.
pub fn is_glibcs() -> bool {
    // SAFETY: the name ends with a zero; the address is not called.
    is_libcs()
        && unsafe { !libc::dlsym(libc::RTLD_DEFAULT, c"gnu_get_libc_version".as_ptr()).is_null() }
}

/// Whether the allocator below is the C library's own, which maps its memory by calls of its own.
/// Any other calls the `mmap` that programs call: what it maps would be counted as the program's.
pub fn is_libcs() -> bool {
    let of = |function: &Function| {
        // SAFETY: an address of a library or null is asked about, and a place for the answer given.
        unsafe {
            let address: *const c_void = function.get::<*const c_void>()?;
            let mut found: libc::Dl_info = core::mem::zeroed();
            let is_known = libc::dladdr(address, &raw mut found) != 0;
            is_known.then_some(found.dli_fbase.addr())
        }
    };
    of(&MALLOC).is_some() && of(&MALLOC) == of(&MMAP)
}

/// The room that the allocator below has for a block of its own; 0 for null.
///
/// # Safety
/// `block` is null or a block of the allocator below.
#[inline(always)]
pub unsafe fn usable_size(block: *mut c_void) -> usize {
    // SAFETY: the type is that of malloc_usable_size.
    match unsafe { USABLE_SIZE.get::<UsableSize>() } {
        // SAFETY: the caller's promise is passed on.
        Some(usable_size) if !block.is_null() => unsafe { usable_size(block) },
        _ => 0,
    }
}

/// A block for whoever allocates while the functions are searched for.
pub fn early(size: usize) -> *mut c_void {
    bootstrap::take(size).cast()
}
