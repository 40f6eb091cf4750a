//! What a program's C libraries allocate, beside its own allocator: the preload library tells of
//! it.
//!
//! A block of C code's comes here once, from the library's `malloc`; a block of Rust's never does,
//! as the program's allocator asks past the library (`ffi/linux/system.rs`). An allocator of
//! another kind that ends in `malloc` cannot be told from C code: the library is then not
//! connected.

use profiler_alloc_format::c_heap::Teller;

use crate::counters::heaps::{self as counts, C_HEAP};
use crate::counters::own_work;
use crate::counters::slot::{self, Operation};
use crate::heaps;

/// Whom the library tells.
pub static TELLER: Teller = Teller { allocated, freeing };

/// The library is connected, and its blocks have so much in use, in bytes. To be called before a
/// recording begins: this is from before it.
pub fn is_connected(in_use: usize) {
    let size = in_use as u64;
    counts::count_unrecorded(C_HEAP, Operation::Alloc { size });
}

extern "C" fn allocated(address: usize, size: usize) {
    if !own_work::is_own(slot::current()) {
        heaps::allocated(C_HEAP, address, size as u64);
    }
}

extern "C" fn freeing(address: usize, size: usize) {
    if !own_work::is_own(slot::current()) {
        heaps::freed(C_HEAP, address, size as u64);
    }
}
