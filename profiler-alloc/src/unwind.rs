//! Walking a stack: by unwind tables, or by frame pointers where the tables have confirmed them.
//!
//! The table walk is the authority. A rule is compiled once per return address and found again by one probe, so a warm
//! walk costs a few nanoseconds a frame and needs no build flag.
//!
//! The frame-pointer walk only computes a fingerprint: the hash of the return addresses it passes. The fingerprint is
//! believed if a table walk once took the very same way (see [`Frames::is_confirmed_by`]); whether a function keeps a
//! frame pointer at a given return address is a property of its code, so what held once holds always.

use crate::cfi::Context;
#[cfg(not(portable_unwinder))]
use crate::cfi::{self, Rule, Step};
use crate::index::Index;
use crate::modules::Modules;
use crate::registers::Registers;
use crate::stack_memory::StackMemory;
use crate::store::Store;

/// Frames after which a walk gives up: no real stack is that deep, and a damaged one may be a circle.
const MAX_WALK: usize = 1 << 19;

/// How a walk ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// At the outermost frame.
    Complete,
    /// Before it: no unwind rule, or the next frame is not on this stack.
    CutOff,
}

/// Whether a walk is to go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Visit {
    GoOn,
    /// What lies further out is known.
    Enough,
}

/// Hash of a sequence of return addresses, innermost first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fingerprint(u64);

impl Fingerprint {
    pub const EMPTY: Fingerprint = Fingerprint(0x243f_6a88_85a3_08d3);

    #[inline]
    pub fn push(&mut self, address: usize) {
        let mixed = (self.0 ^ address as u64).wrapping_mul(0xff51_afd7_ed55_8ccd);
        self.0 = mixed ^ (mixed >> 32);
    }

    pub fn to_bits(self) -> u64 {
        self.0
    }
}

/// What a frame-pointer walk found.
#[derive(Clone, Copy, Debug)]
pub struct Guess {
    pub fingerprint: Fingerprint,
    pub len: usize,
}

impl Guess {
    /// No frame-pointer walk was made.
    pub const NONE: Guess = Guess {
        fingerprint: Fingerprint::EMPTY,
        len: 0,
    };
}

/// Everything a table walk needs beside the stack.
pub struct Tables<'a> {
    pub rules: &'a Index,
    pub modules: &'a Modules,
    pub store: &'a Store,
    pub context: &'a mut Context,
    pub now_ns: u64,
}

/// Walks by unwind tables from `registers`, giving every return address and its place to `visit`, innermost first.
#[cfg(not(portable_unwinder))]
pub fn walk(
    registers: Registers,
    memory: &mut StackMemory,
    tables: &mut Tables<'_>,
    mut visit: impl FnMut(usize, usize, &mut StackMemory) -> Visit,
) -> End {
    let Registers {
        mut pc,
        mut sp,
        mut fp,
    } = registers;
    for _ in 0..MAX_WALK {
        let Step::Caller {
            from_fp,
            offset,
            saved_fp,
        } = tables.rule(pc).step()
        else {
            return if tables.rule(pc).step() == Step::Outermost {
                End::Complete
            } else {
                End::CutOff
            };
        };
        let frame_end = if from_fp { fp } else { sp }.wrapping_add_signed(offset);
        // The caller's frame lies above this one; anything else is damage.
        if frame_end <= sp {
            return End::CutOff;
        }
        let Some(return_address) = memory.read(frame_end - 8) else {
            return End::CutOff;
        };
        if saved_fp != 0 {
            let Some(saved) = memory.read(frame_end.wrapping_add_signed(saved_fp)) else {
                return End::CutOff;
            };
            fp = saved;
        }
        if return_address == 0 {
            return End::Complete;
        }
        if visit(return_address, frame_end - 8, memory) == Visit::Enough {
            return End::Complete;
        }
        // The call ends where the return address begins, perhaps beyond the caller's last instruction.
        pc = return_address - 1;
        sp = frame_end;
    }
    End::CutOff
}

/// Walks by the `backtrace` crate: some 50 times slower, and at home everywhere.
#[cfg(portable_unwinder)]
pub fn walk(
    _: Registers,
    memory: &mut StackMemory,
    _: &mut Tables<'_>,
    mut visit: impl FnMut(usize, usize, &mut StackMemory) -> Visit,
) -> End {
    // Places are not known, so no outer end is ever found again.
    crate::portable::walk(|return_address| visit(return_address, 0, memory))
}

#[cfg(not(portable_unwinder))]
impl Tables<'_> {
    #[inline]
    fn rule(&mut self, pc: usize) -> Rule {
        match self.rules.find(pc as u64, |_| true) {
            Some(bits) => Rule::from_bits(bits),
            None => self.compile(pc),
        }
    }

    #[cold]
    #[inline(never)]
    fn compile(&mut self, pc: usize) -> Rule {
        let rule = match self.modules.find(self.store, pc, self.now_ns) {
            Some(module) => cfi::compile(&module, pc, self.context),
            None => Rule::UNKNOWN,
        };
        self.rules.insert(pc as u64, rule.to_bits());
        rule
    }
}

/// Walks by frame pointers: at each, the caller's frame pointer and, above it, the return address. A stack of more than
/// `most` frames is left to the tables, which need not walk all of it.
#[inline]
pub fn walk_frame_pointers(registers: Registers, memory: &mut StackMemory, most: usize) -> Guess {
    let mut guess = Guess::NONE;
    let (mut low, mut fp) = (registers.sp, registers.fp);
    while fp > low && memory.holds(fp.wrapping_add(8)) {
        let (Some(caller_fp), Some(return_address)) = (memory.read(fp), memory.read(fp + 8)) else {
            break;
        };
        if return_address == 0 {
            break;
        }
        guess.fingerprint.push(return_address);
        guess.len += 1;
        if guess.len > most {
            return Guess::NONE;
        }
        low = fp;
        fp = caller_fp;
    }
    guess
}

#[cfg(all(test, not(portable_unwinder)))]
mod tests;
