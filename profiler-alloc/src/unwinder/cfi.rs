//! One 64-bit rule per return address: how to get from a frame to its caller, compiled from the
//! module's unwind table (`.eh_frame`, System V ABI AMD64, section 4.2.4; DWARF 5, section 6.4;
//! DWARF for the Arm 64-bit Architecture).
//!
//! ```text
//! bit 63   62 61   60         40…59                    20…39                 0…19
//! set      kind    CFA from   return address at CFA+n  saved fp at CFA+n     CFA = register + n
//!                  0 sp       (signed words;           (signed words;        (signed words)
//!                  1 fp       0: still in its register) 0: fp unchanged)
//! ```
//! Where every call puts the return address at the same place, as on x86-64, that field is not
//! there, and the other two are of 24 bits, in bytes.
//!
//! Nearly all code compiled from Rust, C and C++ fits. What runs between two stacks needs more:
//! signal trampolines, and the functions that coroutines begin in. Of these, kind 3:
//! ```text
//! bit 60   59         58       57          56          42…55         28…41           14…27    0…13
//! base     through    signal   return at   fp saved    saved fp      return address  k        n
//! 0 sp     0 CFA = base + n            from 0 CFA or   (all of these are signed words; through
//! 1 fp     1 CFA = [base + n] + k      1 base          memory: at [base + n] stands the caller's)
//! ```
//! Kind 0 is no rule; with bit 60 set, of code made at run time that keeps frame pointers.
//! Frames that need still more end the walk, and the stack is counted as cut off.

mod program;

use gimli::Register;

use self::program::{Cfa, FrameEntry, Saved, UnwindRow, leb128, look_up};
use crate::unwinder::arch;
use crate::unwinder::modules::Module;

/// A compiled rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnwindRule(u64);

/// What a rule says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// The caller's frame begins at `base + offset`. From there, its frame pointer was saved at
    /// `saved_fp`, if that is not 0, and its return address at `return_at`; without that it is
    /// still in its register.
    Caller {
        from_fp: bool,
        offset: isize,
        saved_fp: isize,
        return_at: Option<isize>,
    },
    /// The caller's frame may be on another stack.
    Trampoline(Trampoline),
    /// The code was made at run time and keeps frame pointers.
    ByFramePointer,
    /// This is the outermost frame.
    Outermost,
    /// The unwind table has no answer that fits a rule.
    Unknown,
}

/// How to get from the frame of code that runs between two stacks to its caller's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trampoline {
    pub from_fp: bool,
    /// The caller's frame begins at `base + offset`, or at what stands there.
    pub offset: isize,
    /// That, and what is added to it.
    pub through: Option<isize>,
    pub return_at: WordPlace,
    /// `None` if the frame pointer is the caller's.
    pub saved_fp: Option<WordPlace>,
    /// The caller was interrupted, and called nothing.
    pub is_signal: bool,
}

/// Where a word stands that the caller is found by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WordPlace {
    /// So many bytes from where the caller's frame begins.
    InFrame(isize),
    /// So many bytes from the register.
    FromBase(isize),
}

/// The bits of a field, and the bytes that it counts in.
const FIELD: (u32, i64) = match arch::RETURN_AT {
    Some(_) => (24, 1),
    None => (20, 8),
};
const SET: u64 = 1 << 63;
const KIND_CALLER: u64 = 1 << 61;
const KIND_OUTERMOST: u64 = 2 << 61;
const KIND_TRAMPOLINE: u64 = KIND_CALLER | KIND_OUTERMOST;
const FROM_FP: u64 = 1 << 60;

// Of a trampoline.
const THROUGH: u64 = 1 << 59;
const SIGNAL: u64 = 1 << 58;
const RETURN_FROM_BASE: u64 = 1 << 57;
const FP_FROM_BASE: u64 = 1 << 56;
/// Bits of a field.
const SHORT: u32 = 14;
const WORD: i64 = 8;

impl UnwindRule {
    pub const UNKNOWN: UnwindRule = UnwindRule(SET);
    /// Of code made at run time that keeps frame pointers.
    pub const BY_FRAME_POINTER: UnwindRule = UnwindRule(SET | FROM_FP);
    const OUTERMOST: UnwindRule = UnwindRule(SET | KIND_OUTERMOST);

    /// `return_at` is 0 for a return address that is in its register, or where it always is.
    fn caller(from_fp: bool, offset: i64, saved_fp: i64, return_at: i64) -> UnwindRule {
        let (bits, unit) = FIELD;
        // Where it always is, there is no room to say so.
        let return_at = arch::RETURN_AT.map_or(return_at, |_| 0);
        let fits = |value: i64| value % unit == 0 && (value / unit).abs() < 1 << (bits - 1);
        let values = [offset, saved_fp, return_at];
        if !values.into_iter().all(fits) {
            return UnwindRule::UNKNOWN;
        }
        let field = |value: i64| (value / unit) as u64 & ((1 << bits) - 1);
        let base = if from_fp { FROM_FP } else { 0 };
        let fields = values
            .into_iter()
            .rev()
            .fold(0, |all, value| all << bits | field(value));
        UnwindRule(SET | KIND_CALLER | base | fields)
    }

    #[cold]
    fn trampoline(what: Trampoline) -> UnwindRule {
        let of = |place: WordPlace, mark: u64| match place {
            WordPlace::InFrame(at) => (at as i64, 0),
            WordPlace::FromBase(at) => (at as i64, mark),
        };
        let (return_at, return_mark) = of(what.return_at, RETURN_FROM_BASE);
        let saved_fp = what.saved_fp.map(|place| of(place, FP_FROM_BASE));
        // 0 of the frame is no place of a saved frame pointer.
        if saved_fp == Some((0, 0)) {
            return UnwindRule::UNKNOWN;
        }
        let (fp_at, fp_mark) = saved_fp.unwrap_or_default();
        let values = [
            what.offset as i64,
            what.through.unwrap_or_default() as i64,
            return_at,
            fp_at,
        ];
        let fits = |value: i64| value % WORD == 0 && (value / WORD).abs() < 1 << (SHORT - 1);
        if !values.into_iter().all(fits) {
            return UnwindRule::UNKNOWN;
        }
        let field = |value: i64| (value / WORD) as u64 & ((1 << SHORT) - 1);
        let fields = (values.into_iter().rev()).fold(0, |all, value| all << SHORT | field(value));
        let mark = |is_set: bool, mark: u64| if is_set { mark } else { 0 };
        UnwindRule(
            SET | KIND_TRAMPOLINE
                | mark(what.from_fp, FROM_FP)
                | mark(what.through.is_some(), THROUGH)
                | mark(what.is_signal, SIGNAL)
                | return_mark
                | fp_mark
                | fields,
        )
    }

    #[cold]
    fn as_trampoline(self) -> Trampoline {
        let has = |mark: u64| self.0 & mark != 0;
        let field = |number: u32| {
            let value = (self.0 << (64 - SHORT * (number + 1))) as i64 >> (64 - SHORT);
            (value * WORD) as isize
        };
        let place = |at: isize, is_from_base: bool| match is_from_base {
            true => WordPlace::FromBase(at),
            false => WordPlace::InFrame(at),
        };
        let (fp_at, fp_from_base) = (field(3), has(FP_FROM_BASE));
        Trampoline {
            from_fp: has(FROM_FP),
            offset: field(0),
            through: has(THROUGH).then(|| field(1)),
            return_at: place(field(2), has(RETURN_FROM_BASE)),
            saved_fp: (fp_at != 0 || fp_from_base).then(|| place(fp_at, fp_from_base)),
            is_signal: has(SIGNAL),
        }
    }

    pub const fn to_bits(self) -> u64 {
        self.0
    }

    pub const fn from_bits(bits: u64) -> UnwindRule {
        UnwindRule(bits)
    }

    #[inline]
    pub fn step(self) -> Step {
        let (bits, unit) = FIELD;
        let field = |number: u32| {
            let value = (self.0 << (64 - bits * (number + 1))) as i64 >> (64 - bits);
            (value * unit) as isize
        };
        if self.0 & KIND_TRAMPOLINE == KIND_CALLER {
            Step::Caller {
                from_fp: self.0 & FROM_FP != 0,
                offset: field(0),
                saved_fp: field(1),
                return_at: match arch::RETURN_AT {
                    Some(at) => Some(at),
                    None => Some(field(2)).filter(|&at| at != 0),
                },
            }
        } else if self.0 & KIND_TRAMPOLINE == KIND_TRAMPOLINE {
            Step::Trampoline(self.as_trampoline())
        } else if self.0 & KIND_OUTERMOST != 0 {
            Step::Outermost
        } else if self == UnwindRule::BY_FRAME_POINTER {
            Step::ByFramePointer
        } else {
            Step::Unknown
        }
    }
}

/// The rule for the code at `pc` (a return address minus one, or a program counter).
pub fn compile(module: &Module, pc: usize) -> UnwindRule {
    try_compile(module, pc).unwrap_or(UnwindRule::UNKNOWN)
}

fn try_compile(module: &Module, pc: usize) -> Option<UnwindRule> {
    let (index, end) = (module.unwind_index, module.unwind_end);
    let (eh_frame, entry) = look_up(bytes(index, index, end)?, index, pc)?;
    let section = bytes(eh_frame, index.min(eh_frame), end)?;
    let function = FrameEntry::at(section, eh_frame, entry)?;
    let row = function.row(pc)?;
    if !function.is_signal {
        let rule = rule_of(&row);
        if rule != UnwindRule::UNKNOWN {
            return Some(rule);
        }
    }
    trampoline_of(&row, function.is_signal)
}

/// What fits a rule of no compiler's function, such as these of two coroutines' first functions and
/// of a signal's:
///
/// ```text
/// CFA = rbp + 16, return address and rbp below      any function's, but rbp is another stack's
/// CFA = [rbp] + 24, return address at CFA - 16      at rbp stands where the other stack was left
/// CFA = [rsp + 160], return address at rsp + 168    what the kernel saved of the registers
/// ```
#[cold]
#[inline(never)]
fn trampoline_of(row: &UnwindRow, is_signal: bool) -> Option<UnwindRule> {
    let (base, offset, through) = match row.cfa {
        Cfa::Register { register, offset } => (register, offset as isize, None),
        Cfa::Expression(expression) => sum(expression)?,
        Cfa::Unknown => return None,
    };
    let place = |saved: Saved| match saved {
        Saved::At(at) => Some(WordPlace::InFrame(at as isize)),
        Saved::Expression(expression) => match sum(expression)? {
            (register, at, None) if register == base => Some(WordPlace::FromBase(at)),
            _ => None,
        },
        Saved::Same | Saved::Undefined | Saved::Other => None,
    };
    let saved_fp = match row.fp {
        Saved::Same | Saved::Undefined => None,
        saved => Some(place(saved)?),
    };
    Some(UnwindRule::trampoline(Trampoline {
        from_fp: is_frame_pointer(base)?,
        offset,
        through,
        return_at: place(row.return_address)?,
        saved_fp,
        is_signal,
    }))
}

/// An expression that is a register and a number, or what stands there and perhaps another number:
/// `DW_OP_breg7 160, DW_OP_deref` is `77 a0 01 06`.
///
/// `DW_OP_reg7` names the register and not its value, so it has no place here; but unwinders take
/// it for the value, and wasmtime's fibers are found by `57 06 23 38`.
fn sum(expression: &[u8]) -> Option<(u16, isize, Option<isize>)> {
    const DEREF: u8 = 0x06;
    const PLUS: u8 = 0x23;
    const REG0: u8 = 0x50;
    const REG31: u8 = 0x6f;
    const BREG0: u8 = 0x70;
    const BREG31: u8 = 0x8f;
    let number = |bytes, is_signed| {
        let (value, left) = leb128(bytes, is_signed)?;
        Some((value as isize, &bytes[bytes.len() - left..]))
    };
    let (&first, rest) = expression.split_first()?;
    let (register, (offset, rest)) = match first {
        REG0..=REG31 => (first - REG0, (0, rest)),
        BREG0..=BREG31 => (first - BREG0, number(rest, true)?),
        _ => return None,
    };
    let register = u16::from(register);
    let through = match rest {
        [] => None,
        [DEREF] => Some(0),
        [DEREF, PLUS, more @ ..] => match number(more, false)? {
            (more, []) => Some(more),
            _ => return None,
        },
        _ => return None,
    };
    Some((register, offset, through))
}

/// `None` of another register than the two that walks keep.
fn is_frame_pointer(register: u16) -> Option<bool> {
    match Register(register) {
        arch::STACK_POINTER => Some(false),
        arch::FRAME_POINTER => Some(true),
        _ => None,
    }
}

fn rule_of(row: &UnwindRow) -> UnwindRule {
    let return_at = match (row.return_address, arch::RETURN_AT) {
        (Saved::Undefined, _) => return UnwindRule::OUTERMOST,
        (Saved::At(at), Some(always)) if at == always as i64 => 0,
        (Saved::At(at), None) if at != 0 => at,
        (Saved::Same, None) => 0,
        _ => return UnwindRule::UNKNOWN,
    };
    let Cfa::Register { register, offset } = row.cfa else {
        return UnwindRule::UNKNOWN;
    };
    let Some(from_fp) = is_frame_pointer(register) else {
        return UnwindRule::UNKNOWN;
    };
    let saved_fp = match row.fp {
        Saved::At(at) if at != 0 => at,
        Saved::Same | Saved::Undefined => 0,
        _ => return UnwindRule::UNKNOWN,
    };
    UnwindRule::caller(from_fp, offset, saved_fp, return_at)
}

/// The module's bytes from `start` to the end of the segment that begins at or before `low`.
fn bytes(start: usize, low: usize, end: usize) -> Option<&'static [u8]> {
    if start == 0 || start < low || start >= end {
        return None;
    }
    // SAFETY: `low..end` lies in one loaded segment of a module that holds a frame of this very
    // stack, so it is mapped and read-only for as long as this walk lasts.
    Some(unsafe { core::slice::from_raw_parts(start as *const u8, end - start) })
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
            let rule = UnwindRule::caller(from_fp, offset, saved_fp, return_at);
            let expected = Step::Caller {
                from_fp,
                offset: offset as isize,
                saved_fp: saved_fp as isize,
                return_at: match arch::RETURN_AT {
                    Some(at) => Some(at),
                    None => Some(return_at as isize).filter(|&at| at != 0),
                },
            };
            assert_eq!(UnwindRule::from_bits(rule.to_bits()).step(), expected);
        }
        assert_eq!(
            UnwindRule::caller(false, 1 << 23, 0, 0),
            UnwindRule::UNKNOWN
        );
        let is_in_words = arch::RETURN_AT.is_none();
        assert_eq!(
            UnwindRule::caller(false, 12, 0, 0) == UnwindRule::UNKNOWN,
            is_in_words
        );
        assert_eq!(UnwindRule::OUTERMOST.step(), Step::Outermost);
        assert_eq!(UnwindRule::UNKNOWN.step(), Step::Unknown);
        let by_frame_pointer = UnwindRule::BY_FRAME_POINTER;
        assert_eq!(by_frame_pointer.step(), Step::ByFramePointer);
    }
    #[test]
    fn numbers_are_read_as_dwarf_has_them() {
        for (bytes, signed, unsigned, left) in [
            (&[0x00u8, 9][..], 0, 0, 1),
            (&[0x18], 24, 24, 0),
            (&[0x7f], -1, 127, 0),
            (&[0xa0, 0x01], 160, 160, 0),
            (&[0x80, 0x7f], -128, 16256, 0),
            (&[0x80, 0x80, 0x7f, 1, 2], -16384, 2080768, 2),
        ] {
            assert_eq!(leb128(bytes, true), Some((signed, left)));
            assert_eq!(leb128(bytes, false), Some((unsigned, left)));
        }
        assert_eq!(leb128(&[], true), None);
        assert_eq!(leb128(&[0x80], true), None);
        assert_eq!(leb128(&[0x80, 0x80, 0x80, 0x80, 0x80, 1], true), None);
    }

    #[test]
    fn rules_of_trampolines_round_trip() {
        const MOST: isize = 8 * ((1 << 13) - 1);
        let places = [
            WordPlace::InFrame(-16),
            WordPlace::FromBase(168),
            WordPlace::FromBase(0),
        ];
        for through in [None, Some(0), Some(24), Some(-MOST)] {
            for (return_at, is_signal) in places.into_iter().zip([false, true, true]) {
                for saved_fp in [
                    None,
                    Some(WordPlace::FromBase(0)),
                    Some(WordPlace::InFrame(-MOST)),
                ] {
                    let what = Trampoline {
                        from_fp: is_signal,
                        offset: MOST,
                        through,
                        return_at,
                        saved_fp,
                        is_signal,
                    };
                    let rule = UnwindRule::from_bits(UnwindRule::trampoline(what).to_bits());
                    assert_eq!(rule.step(), Step::Trampoline(what));
                    for offset in [MOST + 8, -MOST - 16, 4] {
                        let rule = UnwindRule::trampoline(Trampoline { offset, ..what });
                        assert_eq!(rule, UnwindRule::UNKNOWN, "{offset}");
                    }
                }
            }
        }
    }

    /// Every function of every module of this test, at its beginning, at its end and in between:
    /// another interpreter comes to the same.
    #[test]
    fn programs_come_to_what_gimli_comes_to() {
        use gimli::{BaseAddresses, CfaRule, EhFrame, EhFrameHdr, EndianSlice, LittleEndian};
        use gimli::{Pointer, RegisterRule, UnwindContext, UnwindSection};
        let (mut functions, mut rows) = (0, 0);
        crate::ffi::loader::each(|_, loaded| {
            let (index, end) = (loaded.unwind_index, loaded.unwind_end);
            if index == 0 {
                return;
            }
            let bases = BaseAddresses::default().set_eh_frame_hdr(index as u64);
            let (index_at, index) = (index, bytes(index, index, end).unwrap());
            let header = EndianSlice::new(index, LittleEndian);
            let header = EhFrameHdr::from(header).parse(&bases, 8).unwrap();
            let Pointer::Direct(address) = header.eh_frame_ptr() else {
                panic!("an address");
            };
            let bases = bases.set_eh_frame(address);
            let section = bytes(address as usize, index_at.min(address as usize), end).unwrap();
            let mut table = EhFrame::from(EndianSlice::new(section, LittleEndian));
            if cfg!(target_arch = "aarch64") {
                // It has an instruction of its own, for return addresses that are signed.
                table.set_vendor(gimli::Vendor::AArch64);
            }
            let mut context = UnwindContext::new();
            let theirs = header.table().unwrap();
            let mut entries = theirs.iter(&bases);
            while let Ok(Some((_, pointer))) = entries.next() {
                let offset = pointer.direct().unwrap() - address;
                let theirs = table
                    .fde_from_offset(&bases, (offset as usize).into(), EhFrame::cie_from_offset)
                    .unwrap();
                let ours = FrameEntry::at(section, address as usize, offset as usize).unwrap();
                assert_eq!(ours.is_signal, theirs.is_signal_trampoline());
                functions += 1;
                let (start, len) = (theirs.initial_address(), theirs.len());
                for pc in
                    [0, 1, 4, len / 2, len.saturating_sub(1)].map(|at| start + at.min(len - 1))
                {
                    let row = theirs
                        .unwind_info_for_address(&table, &bases, &mut context, pc)
                        .unwrap();
                    let found = ours.row(pc as usize).unwrap();
                    let by_index = look_up(index, index_at, pc as usize);
                    assert_eq!(by_index, Some((address as usize, offset as usize)));
                    let text = |expression: gimli::UnwindExpression<usize>| {
                        expression.get(&table).unwrap().0.slice()
                    };
                    let cfa = match row.cfa() {
                        CfaRule::RegisterAndOffset { register, offset } => Cfa::Register {
                            register: register.0,
                            offset: *offset,
                        },
                        CfaRule::Expression(expression) => Cfa::Expression(text(*expression)),
                    };
                    let saved = |register| match row.register(register) {
                        None | Some(RegisterRule::SameValue) => Saved::Same,
                        Some(RegisterRule::Undefined) => Saved::Undefined,
                        Some(RegisterRule::Offset(at)) => Saved::At(at),
                        Some(RegisterRule::Expression(expression)) => {
                            Saved::Expression(text(expression))
                        }
                        Some(_) => Saved::Other,
                    };
                    let (address, fp) =
                        (theirs.cie().return_address_register(), arch::FRAME_POINTER);
                    let theirs = UnwindRow {
                        cfa,
                        return_address: saved(address),
                        fp: saved(fp),
                    };
                    assert_eq!(found, theirs, "{pc:#x} of {:?}", loaded.name);
                    rows += 1;
                }
            }
        });
        assert!(
            functions > 3_000 && rows > 15_000,
            "{functions} functions, {rows} rows"
        );
    }
}
