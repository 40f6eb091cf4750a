//! One 64-bit rule per return address: how to get from a frame to its caller, compiled from the module's unwind table
//! (`.eh_frame`, System V ABI AMD64, section 4.2.4; DWARF 5, section 6.4; DWARF for the Arm 64-bit Architecture).
//!
//! ```text
//! bit 63   62 61   60         40…59                    20…39                 0…19
//! set      kind    CFA from   return address at CFA+n  saved fp at CFA+n     CFA = register + n
//!                  0 sp       (signed words;           (signed words;        (signed words)
//!                  1 fp       0: still in its register) 0: fp unchanged)
//! ```
//! Where every call puts the return address at the same place, as on x86-64, that field is not there, and the other two are
//! of 24 bits, in bytes.
//!
//! Nearly all code compiled from Rust, C and C++ fits. Frames that need more (signal trampolines, some assembly) end the
//! walk, and the stack is counted as cut off.

use gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, EndianSlice, LittleEndian, Pointer, Register,
    RegisterRule, UnwindContext, UnwindContextStorage, UnwindSection, UnwindTableRow,
};

use crate::unwinder::arch;
use crate::unwinder::modules::Module;

/// A compiled rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule(u64);

/// What a rule says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// The caller's frame begins at `base + offset`. From there, its frame pointer was saved at `saved_fp`, if that is not 0,
    /// and its return address at `return_at`; without that it is still in its register.
    Caller {
        from_fp: bool,
        offset: isize,
        saved_fp: isize,
        return_at: Option<isize>,
    },
    /// This is the outermost frame.
    Outermost,
    /// The unwind table has no answer that fits a rule.
    Unknown,
}

/// The bits of a field, and the bytes that it counts in.
const FIELD: (u32, i64) = match arch::RETURN_AT {
    Some(_) => (24, 1),
    None => (20, 8),
};
const SET: u64 = 1 << 63;
const KIND_CALLER: u64 = 1 << 61;
const KIND_OUTERMOST: u64 = 2 << 61;
const FROM_FP: u64 = 1 << 60;

impl Rule {
    pub const UNKNOWN: Rule = Rule(SET);
    const OUTERMOST: Rule = Rule(SET | KIND_OUTERMOST);

    /// `return_at` is 0 for a return address that is in its register, or where it always is.
    fn caller(from_fp: bool, offset: i64, saved_fp: i64, return_at: i64) -> Rule {
        let (bits, unit) = FIELD;
        let fits = |value: i64| value % unit == 0 && (value / unit).abs() < 1 << (bits - 1);
        let values = [offset, saved_fp, return_at];
        if !values.into_iter().all(fits) {
            return Rule::UNKNOWN;
        }
        let field = |value: i64| (value / unit) as u64 & ((1 << bits) - 1);
        let base = if from_fp { FROM_FP } else { 0 };
        let fields = values
            .into_iter()
            .rev()
            .fold(0, |all, value| all << bits | field(value));
        Rule(SET | KIND_CALLER | base | fields)
    }

    pub const fn to_bits(self) -> u64 {
        self.0
    }

    pub const fn from_bits(bits: u64) -> Rule {
        Rule(bits)
    }

    #[inline]
    pub fn step(self) -> Step {
        let (bits, unit) = FIELD;
        let field = |number: u32| {
            let value = (self.0 << (64 - bits * (number + 1))) as i64 >> (64 - bits);
            (value * unit) as isize
        };
        if self.0 & KIND_CALLER != 0 {
            Step::Caller {
                from_fp: self.0 & FROM_FP != 0,
                offset: field(0),
                saved_fp: field(1),
                return_at: match arch::RETURN_AT {
                    Some(at) => Some(at),
                    None => Some(field(2)).filter(|&at| at != 0),
                },
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
    let mut section = EhFrame::from(bytes(eh_frame, index.min(eh_frame), end)?);
    section.set_vendor(arch::VENDOR);
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
    let return_at = match (row.register(arch::RETURN_ADDRESS), arch::RETURN_AT) {
        (Some(RegisterRule::Undefined), _) => return Rule::OUTERMOST,
        (Some(RegisterRule::Offset(at)), Some(always)) if at == always as i64 => 0,
        (Some(RegisterRule::Offset(at)), None) if at != 0 => at,
        (None | Some(RegisterRule::SameValue), None) => 0,
        _ => return Rule::UNKNOWN,
    };
    let CfaRule::RegisterAndOffset { register, offset } = *row.cfa() else {
        return Rule::UNKNOWN;
    };
    let from_fp = match register {
        arch::STACK_POINTER => false,
        arch::FRAME_POINTER => true,
        _ => return Rule::UNKNOWN,
    };
    let saved_fp = match row.register(arch::FRAME_POINTER) {
        Some(RegisterRule::Offset(at)) if at != 0 => at,
        None | Some(RegisterRule::Undefined | RegisterRule::SameValue) => 0,
        _ => return Rule::UNKNOWN,
    };
    Rule::caller(from_fp, offset, saved_fp, return_at)
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
        const MOST: i64 = 1 << 21;
        for (from_fp, offset, saved_fp, return_at) in [
            (false, 8, 0, 0),
            (true, 16, -16, -8),
            (false, MOST, -MOST, 8 - MOST),
            (true, -8, 8, -16),
        ] {
            let rule = Rule::caller(from_fp, offset, saved_fp, return_at);
            let expected = Step::Caller {
                from_fp,
                offset: offset as isize,
                saved_fp: saved_fp as isize,
                return_at: match arch::RETURN_AT {
                    Some(at) => Some(at),
                    None => Some(return_at as isize).filter(|&at| at != 0),
                },
            };
            assert_eq!(Rule::from_bits(rule.to_bits()).step(), expected);
        }
        assert_eq!(Rule::caller(false, 1 << 23, 0, 0), Rule::UNKNOWN);
        let is_in_words = arch::RETURN_AT.is_none();
        assert_eq!(Rule::caller(false, 12, 0, 0) == Rule::UNKNOWN, is_in_words);
        assert_eq!(Rule::OUTERMOST.step(), Step::Outermost);
        assert_eq!(Rule::UNKNOWN.step(), Step::Unknown);
    }
}
