//! One 64-bit rule per return address: how to get from a frame to its caller, compiled from the module's unwind table
//! (`.eh_frame`, System V ABI AMD64, section 4.2.4; DWARF 5, section 6.4).
//!
//! ```text
//! bit 63   62 61   60         24…47                0…23
//! set      kind    CFA from   saved rbp at CFA+n   CFA = register + n
//!                  0 rsp      (signed bytes;       (signed bytes)
//!                  1 rbp      0: rbp unchanged)
//! ```
//! Nearly all code compiled from Rust, C and C++ fits. Frames that need more (signal trampolines, some assembly) end the
//! walk, and the stack is counted as cut off.

use gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, EndianSlice, LittleEndian, Pointer, Register,
    RegisterRule, UnwindContext, UnwindContextStorage, UnwindSection, UnwindTableRow, X86_64,
};

use crate::modules::Module;

/// A compiled rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule(u64);

/// What a rule says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// The caller's frame begins at `base + offset`, and its return address stands 8 bytes below.
    Caller {
        from_fp: bool,
        offset: isize,
        saved_fp: isize,
    },
    /// This is the outermost frame.
    Outermost,
    /// The unwind table has no answer that fits a rule.
    Unknown,
}

const OFFSET_BITS: u32 = 24;
const SET: u64 = 1 << 63;
const KIND_CALLER: u64 = 1 << 61;
const KIND_OUTERMOST: u64 = 2 << 61;
const FROM_FP: u64 = 1 << 60;

impl Rule {
    pub const UNKNOWN: Rule = Rule(SET);
    const OUTERMOST: Rule = Rule(SET | KIND_OUTERMOST);

    fn caller(from_fp: bool, offset: i64, saved_fp: i64) -> Rule {
        let fits = |value: i64| value.abs() < 1 << (OFFSET_BITS - 1);
        if !fits(offset) || !fits(saved_fp) {
            return Rule::UNKNOWN;
        }
        let field = |value: i64| value as u64 & ((1 << OFFSET_BITS) - 1);
        let base = if from_fp { FROM_FP } else { 0 };
        Rule(SET | KIND_CALLER | base | field(saved_fp) << OFFSET_BITS | field(offset))
    }

    pub const fn to_bits(self) -> u64 {
        self.0
    }

    pub const fn from_bits(bits: u64) -> Rule {
        Rule(bits)
    }

    #[inline]
    pub fn step(self) -> Step {
        let field =
            |at: u32| ((self.0 << (64 - OFFSET_BITS - at)) as i64 >> (64 - OFFSET_BITS)) as isize;
        if self.0 & KIND_CALLER != 0 {
            Step::Caller {
                from_fp: self.0 & FROM_FP != 0,
                offset: field(0),
                saved_fp: field(OFFSET_BITS),
            }
        } else if self.0 & KIND_OUTERMOST != 0 {
            Step::Outermost
        } else {
            Step::Unknown
        }
    }
}

/// Fixed storage for evaluating one unwind program: no allocation, kept off the stack.
pub struct Storage;

impl UnwindContextStorage<usize> for Storage {
    type Rules = [(Register, RegisterRule<usize>); 24];
    type Stack = [UnwindTableRow<usize, Self>; 4];
}

/// Working memory of [`compile`].
pub type Context = UnwindContext<usize, Storage>;

/// The rule for the code at `pc` (a return address minus one, or a program counter).
pub fn compile(module: &Module, pc: usize, context: &mut Context) -> Rule {
    try_compile(module, pc, context).unwrap_or(Rule::UNKNOWN)
}

fn try_compile(module: &Module, pc: usize, context: &mut Context) -> Option<Rule> {
    let (index, end) = (module.unwind_index, module.unwind_end);
    let bases = BaseAddresses::default().set_eh_frame_hdr(index as u64);
    let header = EhFrameHdr::from(bytes(index, index, end)?)
        .parse(&bases, 8)
        .ok()?;
    let Pointer::Direct(eh_frame) = header.eh_frame_ptr() else {
        return None;
    };
    let eh_frame = eh_frame as usize;
    let bases = bases.set_eh_frame(eh_frame as u64);
    let section = EhFrame::from(bytes(eh_frame, index.min(eh_frame), end)?);
    let table = header.table()?;
    let entry = table
        .pointer_to_offset(table.lookup(pc as u64, &bases).ok()?)
        .ok()?;
    let function = section
        .fde_from_offset(&bases, entry, EhFrame::cie_from_offset)
        .ok()?;
    if !function.contains(pc as u64) || function.is_signal_trampoline() {
        return None;
    }
    let row = function
        .unwind_info_for_address(&section, &bases, context, pc as u64)
        .ok()?;
    Some(rule_of(row))
}

fn rule_of(row: &UnwindTableRow<usize, Storage>) -> Rule {
    if row.register(X86_64::RA) == Some(RegisterRule::Undefined) {
        return Rule::OUTERMOST;
    }
    let CfaRule::RegisterAndOffset { register, offset } = *row.cfa() else {
        return Rule::UNKNOWN;
    };
    let from_fp = match register {
        X86_64::RSP => false,
        X86_64::RBP => true,
        _ => return Rule::UNKNOWN,
    };
    if row.register(X86_64::RA) != Some(RegisterRule::Offset(-8)) {
        return Rule::UNKNOWN;
    }
    let saved_fp = match row.register(X86_64::RBP) {
        Some(RegisterRule::Offset(at)) if at != 0 => at,
        None | Some(RegisterRule::Undefined | RegisterRule::SameValue) => 0,
        _ => return Rule::UNKNOWN,
    };
    Rule::caller(from_fp, offset, saved_fp)
}

/// The module's bytes from `start` to the end of the segment that begins at or before `low`.
fn bytes(start: usize, low: usize, end: usize) -> Option<EndianSlice<'static, LittleEndian>> {
    if start == 0 || start < low || start >= end {
        return None;
    }
    // SAFETY: `low..end` lies in one loaded segment of a module that holds a frame of this very stack, so it is mapped
    // and read-only for as long as this walk lasts.
    let bytes = unsafe { core::slice::from_raw_parts(start as *const u8, end - start) };
    Some(EndianSlice::new(bytes, LittleEndian))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_round_trip() {
        for (from_fp, offset, saved_fp) in
            [(false, 8, 0), (true, 16, -16), (false, 1 << 22, -(1 << 22))]
        {
            let rule = Rule::from_bits(Rule::caller(from_fp, offset, saved_fp).to_bits());
            let expected = Step::Caller {
                from_fp,
                offset: offset as isize,
                saved_fp: saved_fp as isize,
            };
            assert_eq!(rule.step(), expected);
        }
        assert_eq!(Rule::caller(false, 1 << 23, 0), Rule::UNKNOWN);
        assert_eq!(Rule::OUTERMOST.step(), Step::Outermost);
        assert_eq!(Rule::UNKNOWN.step(), Step::Unknown);
    }
}
