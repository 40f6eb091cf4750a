//! x86-64 (System V ABI AMD64, section 3.6.2).

use gimli::{Register, Vendor, X86_64};

pub const STACK_POINTER: Register = X86_64::RSP;
pub const FRAME_POINTER: Register = X86_64::RBP;
pub const RETURN_ADDRESS: Register = X86_64::RA;
pub const VENDOR: Vendor = Vendor::Default;

/// Where the return address stands, from the end of the frame that it leads out of.
pub const RETURN_AT: Option<isize> = Some(-8);

/// The return address in a word of the stack.
#[inline(always)]
pub const fn address_in(word: usize) -> usize {
    word
}
