//! AArch64 (DWARF for the Arm 64-bit Architecture; Procedure Call Standard, AAPCS64).
//!
//! A call puts the return address in x30, and every function that makes calls itself puts it where
//! it likes, perhaps signed: some of the bits above the address are then a code that the function
//! checks before it returns.

use gimli::{AArch64, Register};

pub const STACK_POINTER: Register = AArch64::SP;
pub const FRAME_POINTER: Register = AArch64::X29;

/// Each function's rule says where the return address stands.
pub const RETURN_AT: Option<isize> = None;

/// The return address in a word of the stack, without its signature.
///
/// Which bits are the signature depends on how many an address has, which the kernel chose: the
/// machine knows. On one without signatures the instruction, `xpaclri`, is one of those that do
/// nothing, and an unsigned address stays as it is.
#[inline(always)]
pub fn address_in(word: usize) -> usize {
    let address;
    // SAFETY: changes one register, which is named.
    unsafe {
        core::arch::asm!(
            "hint #7",
            inout("x30") word => address,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    address
}

/// Bytes that tell that an instruction sets up a frame pointer.
pub const SETUP: usize = 4;

/// True if an instruction in `code`, which begins with one, sets up a frame pointer.
pub fn sets_frame_pointer(code: &[u8]) -> bool {
    code.chunks_exact(SETUP).any(|bytes| {
        let word = bytes.try_into().map(u32::from_le_bytes).unwrap_or_default();
        // add x29, sp, #n; `mov x29, sp` with 0
        word & 0xffc0_03ff == 0x9100_03fd
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_taken_off_and_nothing_else() {
        let signed: usize;
        // SAFETY: signs x30, or does nothing on a machine that cannot (`paciasp`).
        unsafe {
            core::arch::asm!("hint #25", inout("x30") 0x5555_1234usize => signed);
        }
        for word in [signed, 0x5555_1234] {
            assert_eq!(address_in(word), 0x5555_1234, "{word:#x}");
        }
        assert_eq!(address_in(0xffff_8765_4320), 0xffff_8765_4320);
    }
}
