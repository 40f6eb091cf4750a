//! Walking a stack: by unwind tables, or by frame pointers where the tables have confirmed them.
//!
//! The table walk is the authority. A rule is compiled once per return address and found again by
//! one probe, so a warm walk costs a few nanoseconds a frame and needs no build flag.
//!
//! What leads from one stack to another, it follows there: a function that runs on a stack of its
//! own (`stacker`), the function that a coroutine begins in, the frame that the kernel makes for a
//! signal. Code made at run time has no tables; where it keeps frame pointers, it goes on by these
//! until it meets a module again.
//!
//! The frame-pointer walk only computes a fingerprint: the hash of the return addresses it passes.
//! The fingerprint is believed if a table walk once took the very same way (see
//! [`Frames::is_confirmed_by`]); whether a function keeps a frame pointer at a given return address
//! is a property of its code, so what held once holds always.

use core::ops::ControlFlow;

use crate::unwinder::arch;
#[cfg(not(portable_unwinder))]
use crate::unwinder::beyond::{At, CallerFrame, cut_off, outermost};
use crate::unwinder::cfi::{Step, UnwindRule};
#[cfg(not(portable_unwinder))]
use crate::unwinder::frame::Why;
use crate::unwinder::frame::{Candidate, End, WalkedFrame};
use crate::unwinder::modules::{CodeAddress, Modules};
use crate::unwinder::registers::Registers;
use crate::unwinder::stack_memory::StackMemory;
use crate::unwinder::stack_words::StackWords;
use crate::unwinder::tables::Tables;

/// Frames after which a walk gives up: no real stack is that deep, and a damaged one may be a
/// circle.
const MAX_WALK: usize = 1 << 19;

/// Walks by unwind tables from `registers`, giving every frame to `visit`, innermost first.
#[cfg(not(portable_unwinder))]
pub fn walk(
    registers: Registers,
    memory: &mut StackMemory,
    tables: &mut Tables<'_>,
    mut visit: impl FnMut(WalkedFrame, &mut StackMemory) -> ControlFlow<()>,
) -> End {
    let Registers { pc, sp, fp, .. } = registers;
    let mut link = registers.link();
    let code = tables.site(pc);
    let mut at = At { code, sp, fp };
    let mut rule = tables.rule(code);
    for _ in 0..MAX_WALK {
        let caller = match caller_of(at, rule, link, tables, memory) {
            Ok(caller) => caller,
            Err(end) => return end,
        };
        // All other functions have made a call, which took the register.
        link = None;
        let return_address = arch::address_in(caller.word);
        if return_address == 0 {
            return outermost(memory);
        }
        // One that was interrupted is told from one that called by an address one further on: so
        // the call is where it was interrupted, for us as for whoever reads the profile.
        let return_address = return_address + usize::from(caller.is_signal);
        let (site, next) = tables.caller(return_address);
        let found = WalkedFrame {
            site,
            sp: caller.sp,
            place: caller.place,
            fp: caller.fp,
            fp_at: caller.fp_at,
            by_fp: caller.by_fp,
            by_more: caller.by_more,
        };
        if visit(found, memory).is_break() {
            return End::Complete;
        }
        rule = next;
        at = At {
            code: site.call(),
            sp: caller.sp,
            fp: caller.fp,
        };
    }
    End::CutOff(Why::Damage)
}

/// The frame of the caller, by the `rule` of the code at `at`; or why there is none. `link` is the
/// register with the return address, of a function that has made no call yet.
///
/// A function of its own, so that unoptimized what it needs is off the stack again when the
/// caller's rule is looked for.
#[cfg(not(portable_unwinder))]
#[inline]
fn caller_of(
    at: At,
    rule: UnwindRule,
    link: Option<usize>,
    tables: &mut Tables<'_>,
    memory: &mut StackMemory,
) -> Result<CallerFrame, End> {
    let (from_fp, offset, saved_fp, return_at) = match rule.step() {
        Step::Caller {
            from_fp,
            offset,
            saved_fp,
            return_at,
        } => (from_fp, offset, saved_fp, return_at),
        Step::Trampoline(trampoline) => {
            let caller = tables.through(trampoline, at, memory);
            return caller.ok_or_else(|| cut_off(Why::Damage, memory));
        }
        Step::ByFramePointer => {
            let caller = tables.by_frame_pointer(at, memory);
            return caller.ok_or(End::CutOff(Why::RunTimeCode));
        }
        Step::Unknown => return Err(tables.without_rule(at, memory)),
        Step::Outermost => return Err(outermost(memory)),
    };
    let base = if from_fp { at.fp } else { at.sp };
    let sp = base.wrapping_add_signed(offset);
    // The caller's frame lies above this one, which may be empty if the return address is
    // elsewhere.
    let is_further = sp > at.sp || (sp == at.sp && return_at.is_none());
    let (place, word) = match return_at {
        Some(at) => {
            let place = sp.wrapping_add_signed(at);
            (place, memory.read(place))
        }
        None => (0, link),
    };
    let (fp_at, fp) = match saved_fp {
        0 => (0, Some(at.fp)),
        saved => {
            let fp_at = sp.wrapping_add_signed(saved);
            (fp_at, memory.read(fp_at))
        }
    };
    let (word, fp) = match (is_further, word, fp) {
        (true, Some(word), Some(fp)) => (word, fp),
        _ => match tables.on_other_stack(at, sp, [place, fp_at], memory) {
            Some([word, fp]) => (word, if fp_at == 0 { at.fp } else { fp }),
            None => return Err(cut_off(Why::Damage, memory)),
        },
    };
    Ok(CallerFrame {
        sp,
        place,
        word,
        fp,
        fp_at,
        by_fp: from_fp,
        by_more: false,
        is_signal: false,
    })
}

/// Walks by the `backtrace` crate: some 50 times slower, and at home everywhere.
#[cfg(portable_unwinder)]
pub fn walk(
    _: Registers,
    memory: &mut StackMemory,
    tables: &mut Tables<'_>,
    mut visit: impl FnMut(WalkedFrame, &mut StackMemory) -> ControlFlow<()>,
) -> End {
    // Places are not known, so no outer end is ever found again.
    crate::unwinder::portable::walk(|return_address| {
        let found = WalkedFrame {
            site: tables.site(return_address),
            sp: 0,
            place: 0,
            fp: 0,
            fp_at: 0,
            by_fp: false,
            by_more: false,
        };
        visit(found, memory)
    })
}

/// How to find the return address of the function that a walk begins in: what its rule says, at
/// hand.
#[derive(Clone, Copy, Debug)]
pub struct FirstFrame {
    pc: usize,
    from_fp: bool,
    offset: isize,
    return_at: isize,
}

impl FirstFrame {
    /// Of no function.
    pub const NONE: FirstFrame = FirstFrame {
        pc: 0,
        from_fp: false,
        offset: 0,
        return_at: 0,
    };

    /// By the `rule` at `pc`, if it leads to a place on the stack.
    pub fn new(pc: usize, rule: UnwindRule) -> Option<FirstFrame> {
        match rule.step() {
            Step::Caller {
                from_fp,
                offset,
                return_at: Some(return_at),
                ..
            } => Some(FirstFrame {
                pc,
                from_fp,
                offset,
                return_at,
            }),
            Step::Caller { .. }
            | Step::Trampoline(_)
            | Step::ByFramePointer
            | Step::Outermost
            | Step::Unknown => None,
        }
    }

    /// True if a walk from `registers` begins in this function.
    #[inline]
    pub fn is_at(&self, registers: Registers) -> bool {
        self.pc == registers.pc
    }

    /// Where the return address stands.
    #[inline]
    pub fn return_at(&self, registers: Registers) -> usize {
        let base = match self.from_fp {
            true => registers.fp,
            false => registers.sp,
        };
        let return_at = arch::RETURN_AT.unwrap_or(self.return_at);
        base.wrapping_add_signed(self.offset)
            .wrapping_add_signed(return_at)
    }
}

/// Walks by frame pointers. A stack of more than `most` frames is left to the tables, which need
/// not walk all of it, and so is one with frames of a library that may be unloaded: what stands at
/// its addresses may change.
#[inline]
pub fn walk_frame_pointers(
    registers: Registers,
    memory: &mut StackMemory,
    modules: &Modules,
    most: usize,
) -> Candidate {
    let mut candidate = Candidate::NONE;
    follow_frame_pointers(registers, memory, |_, [_, word]| {
        let return_address = arch::address_in(word);
        if return_address == 0 {
            return false;
        }
        candidate
            .fingerprint
            .push(CodeAddress::staying(return_address));
        candidate.len += 1;
        let is_of_tables = candidate.len > most || modules.may_pass(return_address);
        if is_of_tables {
            candidate = Candidate::NONE;
        }
        !is_of_tables
    });
    candidate
}

/// Copies everything that a walk by frame pointers depends on beside the first. False if there is
/// no room.
#[cold]
pub fn copy_frame_pointers(
    registers: Registers,
    memory: &mut StackMemory,
    to: &mut StackWords<'_>,
) -> bool {
    let mut is_whole = true;
    follow_frame_pointers(registers, memory, |fp, [caller_fp, word]| {
        is_whole = to.push(fp, caller_fp) && to.push(fp + 8, word);
        is_whole && arch::address_in(word) != 0
    });
    if !is_whole {
        to.clear();
    }
    is_whole
}

/// Where each frame pointer points stand the caller's frame pointer and, above it, the word with
/// the return address: gives both to `visit`, from the inside out, until that gives false.
#[inline(always)]
fn follow_frame_pointers(
    registers: Registers,
    memory: &mut StackMemory,
    mut visit: impl FnMut(usize, [usize; 2]) -> bool,
) {
    let (mut low, mut fp) = (registers.sp, registers.fp);
    while fp > low && memory.holds(fp.wrapping_add(8)) {
        let (Some(caller_fp), Some(return_address)) = (memory.read(fp), memory.read(fp + 8)) else {
            break;
        };
        if !visit(fp, [caller_fp, return_address]) {
            break;
        }
        low = fp;
        fp = caller_fp;
    }
}

#[cfg(all(test, not(portable_unwinder)))]
mod tests;
