//! x86-64 (System V ABI AMD64, section 3.6.2).

use gimli::{Register, X86_64};

pub const STACK_POINTER: Register = X86_64::RSP;
pub const FRAME_POINTER: Register = X86_64::RBP;

/// Where the return address stands, from the end of the frame that it leads out of.
pub const RETURN_AT: Option<isize> = Some(-8);

/// The return address in a word of the stack.
#[inline(always)]
pub const fn address_in(word: usize) -> usize {
    word
}

/// Bytes that tell that an instruction sets up a frame pointer.
pub const SETUP: usize = 4;

/// True if an instruction in `code` sets up a frame pointer.
pub fn sets_frame_pointer(code: &[u8]) -> bool {
    (0..code.len()).any(|at| {
        matches!(
            code[at..],
            // mov rbp, rsp, in either encoding
            [0x48, 0x89, 0xe5, ..] | [0x48, 0x8b, 0xec, ..]
            // lea rbp, [rsp + n]
            | [0x48, 0x8d, 0x6c | 0xac, 0x24, ..]
        )
    })
}
