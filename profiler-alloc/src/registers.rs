//! Where a walk starts: program counter, stack pointer and frame pointer of the function that asks.

/// The three registers an unwinder needs on x86-64.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    portable_unwinder,
    allow(dead_code, reason = "the portable unwinder finds its own start")
)]
pub struct Registers {
    pub pc: usize,
    pub sp: usize,
    pub fp: usize,
}

impl Registers {
    /// Registers of the function this is inlined into; valid while that function runs.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub fn capture() -> Registers {
        let (pc, sp, fp);
        // SAFETY: reads three registers, changes nothing.
        unsafe {
            core::arch::asm!(
                "lea {pc}, [rip]",
                "mov {sp}, rsp",
                "mov {fp}, rbp",
                pc = out(reg) pc,
                sp = out(reg) sp,
                fp = out(reg) fp,
                options(nomem, nostack, preserves_flags)
            );
        }
        Registers { pc, sp, fp }
    }

    /// Elsewhere the portable unwinder finds its own start.
    #[cfg(not(target_arch = "x86_64"))]
    #[inline(always)]
    pub fn capture() -> Registers {
        Registers {
            pc: 0,
            sp: 0,
            fp: 0,
        }
    }
}
