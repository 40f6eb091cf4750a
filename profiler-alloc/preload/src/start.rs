//! Whether to record, decided before `main`, on the program's own stack.
//!
//! A program that has the crate records itself, with its attributes and contexts. A program that
//! brings its own `malloc` never calls this one's. In both this library only hands through, and
//! tells the crate what C code does.

use core::ffi::c_void;
use core::mem::transmute;
use core::slice;

use crate::below;

#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

extern "C" fn start() {
    let is_ours_called = is_ours_called();
    let is_recorded = is_ours_called && !has_crate();
    crate::maps::are_told(is_recorded && below::is_libcs());
    if is_recorded {
        profiler_alloc::preload::start(below::is_glibcs());
    } else if is_ours_called {
        crate::c_heap::may_connect();
    }
}

/// True if the program's calls of `malloc` come here: one is made, and looked for.
///
/// Addresses do not tell. In a program that brings its own, this library's name `malloc` means that
/// one too; in one that is linked to fixed addresses it means a stub of the program's, which jumps
/// here (Debian's python3).
fn is_ours_called() -> bool {
    let calls = || profiler_alloc::stats().allocations;
    // SAFETY: the names end with a zero, and what is so called is of these types. The block is
    // given back to whom it is from.
    unsafe {
        let malloc = libc::dlsym(libc::RTLD_DEFAULT, c"malloc".as_ptr());
        let free = libc::dlsym(libc::RTLD_DEFAULT, c"free".as_ptr());
        if malloc.is_null() || free.is_null() {
            return false;
        }
        let before = calls();
        let block = transmute::<*mut c_void, below::Malloc>(malloc)(1);
        let is_ours_called = calls() != before;
        transmute::<*mut c_void, below::Free>(free)(block);
        is_ours_called
    }
}

/// True if the crate left its note in the program.
fn has_crate() -> bool {
    // SAFETY: asks for a number.
    let (headers, count) = unsafe {
        (
            libc::getauxval(libc::AT_PHDR) as usize,
            libc::getauxval(libc::AT_PHNUM) as usize,
        )
    };
    let headers = core::ptr::with_exposed_provenance::<libc::Elf64_Phdr>(headers);
    if headers.is_null() {
        return false;
    }
    // SAFETY: the kernel says where the program's headers are, and how many; they stay.
    let headers = unsafe { slice::from_raw_parts(headers, count) };
    let own = headers.iter().find(|header| header.p_type == libc::PT_PHDR);
    let bias = own.map_or(0, |own| {
        headers.as_ptr().addr().wrapping_sub(own.p_vaddr as usize)
    });
    headers
        .iter()
        .filter(|header| header.p_type == libc::PT_NOTE)
        .any(|header| {
            let at = bias.wrapping_add(header.p_vaddr as usize);
            // SAFETY: a note that is loaded is mapped, as long as the header says.
            let notes = unsafe {
                let at = core::ptr::with_exposed_provenance::<u8>(at);
                slice::from_raw_parts(at, header.p_memsz as usize)
            };
            let name = profiler_alloc::preload::NOTE_NAME;
            notes.windows(name.len()).any(|window| window == name)
        })
}
