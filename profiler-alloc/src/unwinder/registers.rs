//! Where a walk starts: program counter, stack pointer and frame pointer of the function that asks.

/// The registers an unwinder needs.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    portable_unwinder,
    allow(dead_code, reason = "the portable unwinder finds its own start")
)]
pub struct Registers {
    pub pc: usize,
    pub sp: usize,
    pub fp: usize,
    /// The return address, if the function has not put it elsewhere.
    #[cfg(target_arch = "aarch64")]
    pub link: usize,
}

impl Registers {
    /// Of a function that has put its return address on the stack.
    pub const fn new(pc: usize, sp: usize, fp: usize) -> Registers {
        Registers {
            pc,
            sp,
            fp,
            #[cfg(target_arch = "aarch64")]
            link: 0,
        }
    }

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

    /// Registers of the function this is inlined into; valid while that function runs.
    #[cfg(target_arch = "aarch64")]
    #[inline(always)]
    pub fn capture() -> Registers {
        let (pc, sp, fp, link);
        // SAFETY: reads four registers, changes nothing.
        unsafe {
            core::arch::asm!(
                "mov {link}, x30",
                "adr {pc}, .",
                "mov {sp}, sp",
                "mov {fp}, x29",
                link = out(reg) link,
                pc = out(reg) pc,
                sp = out(reg) sp,
                fp = out(reg) fp,
                options(nomem, nostack, preserves_flags)
            );
        }
        Registers { pc, sp, fp, link }
    }

    /// Elsewhere the portable unwinder finds its own start.
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    #[inline(always)]
    pub fn capture() -> Registers {
        Registers::new(0, 0, 0)
    }

    /// The register that a return address may be in.
    #[cfg(all(target_arch = "aarch64", not(portable_unwinder)))]
    #[inline(always)]
    pub fn link(self) -> Option<usize> {
        Some(self.link)
    }

    /// On this machine a call puts the return address on the stack.
    #[cfg(not(any(target_arch = "aarch64", portable_unwinder)))]
    #[inline(always)]
    pub fn link(self) -> Option<usize> {
        None
    }
}
