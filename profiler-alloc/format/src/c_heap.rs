//! How the preload library and a program that has the crate meet, in one process.
//!
//! ```text
//! C code ──malloc──▶ the library ──Teller──▶ the crate      counted in the heap "C heap"
//!                         │
//! Rust ──▶ the crate ─────┼──Below──▶ the C library's malloc
//! ```
//! The crate looks for [`SYMBOL`] and calls it. From then on the program's allocator asks the
//! functions of [`Below`] for its blocks: they do not come by the library, so what does is not
//! Rust's. Both may be of different versions of memprof; nothing here ever changes but with the
//! name of the symbol.

use core::ffi::{CStr, c_int, c_void};

/// What the library is asked by, of type [`Connect`].
pub const SYMBOL: &CStr = c"memprof_c_heap_1";

/// Connects the two, if a `Teller` is given; else only says what is below. `None` where the library
/// has no part: the program's calls of `malloc` do not come to it, or another has connected.
pub type Connect = unsafe extern "C" fn(Option<&'static Teller>) -> Option<&'static Below>;

/// To whom the library tells what C code does. Called on the thread that does it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Teller {
    /// A block at this address, of so many bytes, was allocated.
    pub allocated: extern "C" fn(usize, usize),
    /// The block at this address, of so many bytes, is about to be freed.
    pub freeing: extern "C" fn(usize, usize),
}

/// The allocator below the library, and what the library has counted.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Below {
    /// C's function of that name.
    pub malloc: unsafe extern "C" fn(usize) -> *mut c_void,
    /// C's function of that name.
    pub calloc: unsafe extern "C" fn(usize, usize) -> *mut c_void,
    /// C's function of that name.
    pub realloc: unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void,
    /// C's function of that name.
    pub free: unsafe extern "C" fn(*mut c_void),
    /// C's function of that name.
    pub posix_memalign: unsafe extern "C" fn(*mut *mut c_void, usize, usize) -> c_int,
    /// How many blocks were asked of the library so far.
    pub calls: extern "C" fn() -> usize,
    /// What the library's blocks have in use. *Bytes.*
    pub in_use: extern "C" fn() -> usize,
}
