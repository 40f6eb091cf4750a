//! Whether code made at run time keeps frame pointers, which nothing but the code itself tells.
//!
//! Engines either always do (Cranelift, V8) or never (LLVM by default, which registers unwind
//! tables in place of it). Where they do not, the register holds what it held in some function
//! further out, and that function's caller would be taken for whoever called the code:
//!
//! ```text
//! make_all()       keeps a frame pointer, 7ffe'1f00
//! make_one()       does not: a release build
//! run-time code    55 48 89 e5 …      push rbp; mov rbp, rsp   [rbp + 8] leads to make_one
//!                  48 83 ec 08 …      sub rsp, 8         [rbp + 8] leads to the caller of make_all
//! ```
//! So a function sets the register up before it calls anything, or a walk ends there.

use crate::ffi::os;
use crate::unwinder::arch;

/// How far back from a call its function is looked for: code made at run time has no symbols. A
/// function of Cranelift's is mostly smaller than a page.
const MOST: usize = 256 << 10;
/// A part of a page that is read at a time.
const PART: usize = 512;

/// True if the function that calls something at `call` has set up a frame pointer before, or one
/// just before it in memory has: there, one engine makes all code alike. True also where the
/// system does not tell.
#[cold]
#[inline(never)]
pub fn keeps_frame_pointers(call: usize) -> bool {
    let mut bytes = [0u8; PART + arch::SETUP];
    let mut end = call;
    while end > call.saturating_sub(MOST) {
        let start = end.saturating_sub(1) & !(PART - 1);
        // What begins here may end in the part that was read before.
        let wanted = &mut bytes[..(end - start) + arch::SETUP];
        let read = os::copy_memory(start, wanted);
        match read {
            None => return true,
            Some(0) => return false,
            Some(read) if arch::sets_frame_pointer(&wanted[..read]) => return true,
            Some(_) => {}
        }
        end = start;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::memory::OwnedBytes;

    #[cfg(not(target_arch = "aarch64"))]
    const SETUPS: [&[u8]; 4] = [
        &[0x55, 0x48, 0x89, 0xe5],
        &[0x55, 0x48, 0x8b, 0xec],
        &[0x48, 0x8d, 0x6c, 0x24, 0x50],
        &[0x48, 0x8d, 0xac, 0x24, 0, 1, 0, 0],
    ];
    /// `lea rbp, [rsi + 80]`, `mov rsp, rbp`
    #[cfg(not(target_arch = "aarch64"))]
    const OTHERS: [&[u8]; 2] = [&[0x48, 0x8d, 0x6e, 0x50], &[0x48, 0x89, 0xec]];
    #[cfg(target_arch = "aarch64")]
    const SETUPS: [&[u8]; 2] = [&[0xfd, 0x03, 0x00, 0x91], &[0xfd, 0x43, 0x00, 0x91]];
    /// `mov x28, sp`, `mov sp, x29`
    #[cfg(target_arch = "aarch64")]
    const OTHERS: [&[u8]; 2] = [&[0xfc, 0x03, 0x00, 0x91], &[0xbf, 0x03, 0x00, 0x91]];

    fn is_told() -> bool {
        let from = [0u8; 8];
        os::copy_memory(from.as_ptr().addr(), &mut [0; 8]).is_some()
    }

    #[test]
    fn what_sets_the_register_up_is_seen_wherever_it_stands() {
        // There is nothing before it, as far as is looked.
        let mut memory = OwnedBytes::zeroed(2 * MOST).unwrap();
        for at in [0, 4, 300, 508, 512, 4092].map(|at| MOST + at) {
            for length in [8, 500, 504, 512, 516, 5000, 200_000] {
                let code = |setup: &[u8], memory: &mut OwnedBytes| {
                    memory[at..at + setup.len()].copy_from_slice(setup);
                    let keeps = keeps_frame_pointers(memory.as_ptr().addr() + at + length);
                    memory[at..at + setup.len()].fill(0);
                    keeps
                };
                for setup in SETUPS {
                    assert!(code(setup, &mut memory), "{setup:x?}, {at}, {length}");
                }
                for other in OTHERS {
                    let expected = !is_told();
                    assert_eq!(code(other, &mut memory), expected, "{other:x?}");
                }
            }
        }
    }

    #[test]
    fn the_search_ends_where_no_memory_is() {
        let pages = crate::ffi::memory::reserve(2 * 4096).unwrap();
        assert_eq!(keeps_frame_pointers(pages.addr() + 5000), !is_told());
    }
}
