//! The programs of an unwind table, run as far as a walk needs them: where the caller's frame
//! begins, its return address and its frame pointer. Of all other registers nothing is kept, so
//! that this fits on a small stack.
//!
//! ```text
//! FDE  which code, which CIE; its program runs from the beginning of the function to the
//!      instruction that is looked for
//! CIE  what many FDEs have in common; its program runs before theirs
//! ```

use crate::unwinder::arch;

/// What is known at one instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnwindRow {
    pub cfa: Cfa,
    pub return_address: Saved,
    pub fp: Saved,
}

/// Where the caller's frame begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cfa {
    Unknown,
    Register { register: u16, offset: i64 },
    Expression(&'static [u8]),
}

/// Where a register of the caller's stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Saved {
    /// It is still in its register.
    Same,
    Undefined,
    /// So far from the caller's frame.
    At(i64),
    /// At an address that is to be computed.
    Expression(&'static [u8]),
    /// Elsewhere.
    Other,
}

/// The unwind table's entry for one function.
#[derive(Clone, Copy, Debug)]
pub struct FrameEntry {
    start: usize,
    end: usize,
    /// Its caller was interrupted, and called nothing.
    pub is_signal: bool,
    code_unit: u64,
    data_unit: i64,
    /// The register whose value is the return address.
    return_address: u64,
    first: Bytes,
    then: Bytes,
}

/// What many entries have in common.
struct CommonEntry {
    code_unit: u64,
    data_unit: i64,
    return_address: u64,
    augmentation: Augmentation,
    program: Bytes,
}

/// How the entries are written.
#[derive(Clone, Copy, Default)]
struct Augmentation {
    /// They say how long what is theirs alone is.
    is_sized: bool,
    encoding: u8,
    is_signal: bool,
}

impl CommonEntry {
    fn of(mut common: Bytes) -> Option<CommonEntry> {
        if common.unsigned(4)? != 0 {
            return None;
        }
        let version = common.unsigned(1)?;
        let letters = common.text()?;
        let code_unit = common.uleb()?;
        let data_unit = common.sleb()?;
        let return_address = match version {
            1 => common.unsigned(1)?,
            3 => common.uleb()?,
            _ => return None,
        };
        Some(CommonEntry {
            code_unit,
            data_unit,
            return_address,
            augmentation: Augmentation::of(letters, &mut common)?,
            program: common,
        })
    }

    /// The entry of one function, which has this in common with others.
    fn with(self, mut entry: Bytes) -> Option<FrameEntry> {
        let Augmentation {
            is_sized,
            encoding,
            is_signal,
        } = self.augmentation;
        let start = entry.pointer(encoding)?;
        let len = entry.pointer(encoding & 0x0f)?;
        if is_sized {
            let len = entry.uleb()? as usize;
            entry.take(len)?;
        }
        Some(FrameEntry {
            start,
            end: start.checked_add(len)?,
            is_signal,
            code_unit: self.code_unit,
            data_unit: self.data_unit,
            return_address: self.return_address,
            first: self.program,
            then: entry,
        })
    }
}

impl Augmentation {
    fn of(letters: &[u8], common: &mut Bytes) -> Option<Augmentation> {
        let mut found = Augmentation::default();
        let Some((b'z', letters)) = letters.split_first() else {
            return letters.is_empty().then_some(found);
        };
        found.is_sized = true;
        let len = common.uleb()? as usize;
        let mut data = common.take(len)?;
        for letter in letters {
            match letter {
                b'R' => found.encoding = data.unsigned(1)? as u8,
                b'L' => drop(data.unsigned(1)?),
                b'P' => {
                    let encoding = data.unsigned(1)? as u8;
                    data.pointer(encoding & 0x0f)?;
                }
                b'S' => found.is_signal = true,
                _ => {}
            }
        }
        Some(found)
    }
}

/// The address of an unwind table, and the offset in it of the last entry that begins at or before
/// `pc`, by its `index`, which stands at `address` (LSB Core, section 10.6.2).
#[inline(never)]
pub fn look_up(index: &'static [u8], address: usize, pc: usize) -> Option<(usize, usize)> {
    /// What all linkers write: signed numbers of four bytes, from where the index begins.
    const PAIRS: u64 = 0x3b;
    let mut rest = Bytes {
        bytes: index,
        address,
    };
    if rest.unsigned(1)? != 1 {
        return None;
    }
    let (of_table, of_count) = (rest.unsigned(1)?, rest.unsigned(1)?);
    if rest.unsigned(1)? != PAIRS {
        return None;
    }
    let table = rest.pointer(of_table as u8)?;
    let count = rest.pointer(of_count as u8)?;
    let number = |at: usize| {
        let bytes = rest.bytes.get(at.checked_mul(4)?..)?.first_chunk()?;
        Some(address.wrapping_add_signed(i32::from_le_bytes(*bytes) as isize))
    };
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        match number(middle.checked_mul(2)?)? <= pc {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    let entry = number(low.checked_sub(1)?.checked_mul(2)? + 1)?;
    Some((table, entry.checked_sub(table)?))
}

/// Rows that may be set aside at a time.
const MOST_REMEMBERED: usize = 4;

impl FrameEntry {
    /// The entry at `offset` of a section that stands at `address`. `None` of what is none, or is
    /// of a kind that compilers do not make.
    pub fn at(section: &'static [u8], address: usize, offset: usize) -> Option<FrameEntry> {
        let all = Bytes {
            bytes: section,
            address,
        };
        let mut entry = all.after(offset)?.entry()?;
        let id_at = entry.address - address;
        let back = entry.unsigned(4)? as usize;
        let common = all.after(id_at.checked_sub(back)?)?.entry()?;
        if back == 0 {
            return None;
        }
        CommonEntry::of(common)?.with(entry)
    }

    /// What is known at `pc`, which must be in the function.
    pub fn row(&self, pc: usize) -> Option<UnwindRow> {
        if !(self.start..self.end).contains(&pc) {
            return None;
        }
        let mut run = ProgramRun {
            function: self,
            row: UnwindRow {
                cfa: Cfa::Unknown,
                return_address: Saved::Same,
                fp: Saved::Same,
            },
            first: None,
            at: self.start,
            pc,
        };
        run.program(self.first)?;
        run.first = Some(run.row);
        run.program(self.then)?;
        Some(run.row)
    }
}

/// A program under way.
struct ProgramRun<'a> {
    function: &'a FrameEntry,
    row: UnwindRow,
    /// What the common part has left.
    first: Option<UnwindRow>,
    at: usize,
    pc: usize,
}

/// What stands behind the code of an instruction.
#[derive(Clone, Copy, PartialEq, Eq)]
struct OperandShape {
    has_register: bool,
    number: NumberShape,
    has_block: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum NumberShape {
    None,
    Unsigned,
    Signed,
    /// In units of data.
    UnsignedUnits,
    SignedUnits,
}

/// What was read of it; 0 and nothing of what is not there.
#[derive(Clone, Copy)]
struct Operands {
    register: u64,
    number: i64,
    block: &'static [u8],
}

/// The shape of an instruction, whose code has `kind` in its two highest bits. `None` of one that
/// is not known.
fn shape_of(kind: u64, operand: u64) -> Option<OperandShape> {
    use NumberShape::{None as No, Signed, SignedUnits, Unsigned, UnsignedUnits};
    let (has_register, number, has_block) = match (kind, operand) {
        (2, _) => (false, UnsignedUnits, false),
        (3, _) | (0, 0x00 | 0x0a | 0x0b) => (false, No, false),
        (0, 0x05 | 0x2f) => (true, UnsignedUnits, false),
        (0, 0x06 | 0x07 | 0x08 | 0x0d) => (true, No, false),
        (0, 0x09 | 0x0c | 0x14) => (true, Unsigned, false),
        (0, 0x0e | 0x2e) => (false, Unsigned, false),
        (0, 0x0f) => (false, No, true),
        (0, 0x10 | 0x16) => (true, No, true),
        (0, 0x11 | 0x12) => (true, SignedUnits, false),
        (0, 0x13) => (false, SignedUnits, false),
        (0, 0x15) => (true, Signed, false),
        // AArch64: whether the return address is signed, which takes no knowing.
        (0, 0x2c | 0x2d) if cfg!(target_arch = "aarch64") => (false, No, false),
        _ => return None,
    };
    Some(OperandShape {
        has_register,
        number,
        has_block,
    })
}

/// Functions here are small: an unoptimized one has room on the stack for all that any of its
/// branches may need, and whoever allocates may have 16 KiB in all.
impl ProgramRun<'_> {
    /// Runs to the end, or to where the next row would begin beyond the instruction.
    fn program(&mut self, mut code: Bytes) -> Option<()> {
        let mut remembered = [self.row; MOST_REMEMBERED];
        let mut count = 0;
        while !code.bytes.is_empty() {
            let operation = code.unsigned(1)?;
            let (kind, operand) = (operation >> 6, operation & 0x3f);
            match (kind, operand) {
                (1, _) | (0, 0x02..=0x04) => {
                    if !self.advance(kind, operand, &mut code)? {
                        return Some(());
                    }
                }
                (0, 0x0a) => {
                    *remembered.get_mut(count)? = self.row;
                    count += 1;
                }
                (0, 0x0b) => {
                    count = count.checked_sub(1)?;
                    self.row = remembered[count];
                }
                _ => {
                    let operands = self.operands(shape_of(kind, operand)?, &mut code)?;
                    self.apply(kind, operand, operands)?;
                }
            }
        }
        Some(())
    }

    /// Moves on in the code. False if the next row begins beyond the instruction.
    fn advance(&mut self, kind: u64, operand: u64, code: &mut Bytes) -> Option<bool> {
        let delta = match (kind, operand) {
            (0, 0x02) => code.unsigned(1)?,
            (0, 0x03) => code.unsigned(2)?,
            (0, _) => code.unsigned(4)?,
            _ => operand,
        };
        let delta = delta.checked_mul(self.function.code_unit)? as usize;
        self.at = self.at.checked_add(delta)?;
        Some(self.at <= self.pc)
    }

    fn operands(&self, shape: OperandShape, code: &mut Bytes) -> Option<Operands> {
        let register = match shape.has_register {
            true => code.uleb()?,
            false => 0,
        };
        let number = match shape.number {
            NumberShape::None => 0,
            NumberShape::Unsigned | NumberShape::UnsignedUnits => code.uleb()? as i64,
            NumberShape::Signed | NumberShape::SignedUnits => code.sleb()?,
        };
        let unit = match shape.number {
            NumberShape::UnsignedUnits | NumberShape::SignedUnits => self.function.data_unit,
            _ => 1,
        };
        let block = match shape.has_block {
            true => code.block()?,
            false => &[],
        };
        Some(Operands {
            register,
            number: number.checked_mul(unit)?,
            block,
        })
    }

    /// Does what an instruction says.
    fn apply(&mut self, kind: u64, operand: u64, operands: Operands) -> Option<()> {
        let Operands {
            register,
            number,
            block,
        } = operands;
        match (kind, operand) {
            (2, register) => self.set(register, Saved::At(number)),
            (3, register) => self.restore(register)?,
            (0, 0x05 | 0x11) => self.set(register, Saved::At(number)),
            (0, 0x2f) => self.set(register, Saved::At(number.checked_neg()?)),
            (0, 0x06) => self.restore(register)?,
            (0, 0x07) => self.set(register, Saved::Undefined),
            (0, 0x08) => self.set(register, Saved::Same),
            // In another register; or the value itself is computed.
            (0, 0x09 | 0x14 | 0x15 | 0x16) => self.set(register, Saved::Other),
            (0, 0x10) => self.set(register, Saved::Expression(block)),
            (0, 0x0c | 0x12) => self.row.cfa = cfa(register, number)?,
            (0, 0x0d) => match self.row.cfa {
                Cfa::Register { offset, .. } => self.row.cfa = cfa(register, offset)?,
                _ => return None,
            },
            (0, 0x0e | 0x13) => self.move_cfa(number)?,
            (0, 0x0f) => self.row.cfa = Cfa::Expression(block),
            // Nothing; or how much of the arguments is on the stack.
            _ => {}
        }
        Some(())
    }

    fn set(&mut self, register: u64, saved: Saved) {
        if register == self.function.return_address {
            self.row.return_address = saved;
        } else if register == u64::from(arch::FRAME_POINTER.0) {
            self.row.fp = saved;
        }
    }

    fn restore(&mut self, register: u64) -> Option<()> {
        let first = self.first?;
        if register == self.function.return_address {
            self.row.return_address = first.return_address;
        } else if register == u64::from(arch::FRAME_POINTER.0) {
            self.row.fp = first.fp;
        }
        Some(())
    }

    fn move_cfa(&mut self, to: i64) -> Option<()> {
        match &mut self.row.cfa {
            Cfa::Register { offset, .. } => *offset = to,
            // Of no register. Tables written by hand say so of a function that they tell the rest
            // of afterwards, as wasmtime's of its fibers: `.cfi_startproc simple`,
            // `.cfi_def_cfa_offset 0`, and then an expression.
            Cfa::Unknown => {}
            Cfa::Expression(_) => return None,
        }
        Some(())
    }
}

fn cfa(register: u64, offset: i64) -> Option<Cfa> {
    let register = u16::try_from(register).ok()?;
    Some(Cfa::Register { register, offset })
}

/// Bytes that are yet to be read, and where the first of them stands.
#[derive(Clone, Copy, Debug)]
struct Bytes {
    bytes: &'static [u8],
    address: usize,
}

impl Bytes {
    fn after(&self, len: usize) -> Option<Bytes> {
        Some(Bytes {
            bytes: self.bytes.get(len..)?,
            address: self.address.checked_add(len)?,
        })
    }

    fn take(&mut self, len: usize) -> Option<Bytes> {
        let taken = Bytes {
            bytes: self.bytes.get(..len)?,
            ..*self
        };
        *self = self.after(len)?;
        Some(taken)
    }

    /// What an entry holds behind its length. `None` of the end of the section, and of one that
    /// needs 64 bits for that.
    fn entry(&mut self) -> Option<Bytes> {
        match self.unsigned(4)? {
            0 | 0xffff_ffff => None,
            len => self.take(len as usize),
        }
    }

    /// A number of so many bytes.
    fn unsigned(&mut self, len: usize) -> Option<u64> {
        let taken = self.take(len)?;
        let bytes = taken.bytes.iter().rev();
        Some(bytes.fold(0, |all, byte| all << 8 | u64::from(*byte)))
    }

    fn signed(&mut self, len: usize) -> Option<i64> {
        let unused = 64 - 8 * len as u32;
        self.unsigned(len)
            .map(|value| (value << unused) as i64 >> unused)
    }

    fn uleb(&mut self) -> Option<u64> {
        let (value, rest) = leb128(self.bytes, false)?;
        *self = self.after(self.bytes.len() - rest)?;
        Some(value as u64)
    }

    fn sleb(&mut self) -> Option<i64> {
        let (value, rest) = leb128(self.bytes, true)?;
        *self = self.after(self.bytes.len() - rest)?;
        Some(value)
    }

    fn block(&mut self) -> Option<&'static [u8]> {
        let len = self.uleb()? as usize;
        self.take(len).map(|taken| taken.bytes)
    }

    /// A text that ends with a zero, without it.
    fn text(&mut self) -> Option<&'static [u8]> {
        let len = self.bytes.iter().position(|byte| *byte == 0)?;
        let text = self.take(len)?;
        self.take(1)?;
        Some(text.bytes)
    }

    /// An address, as `encoding` says (LSB Core, section 10.5.1).
    fn pointer(&mut self, encoding: u8) -> Option<usize> {
        let from = match encoding & 0xf0 {
            0x00 => 0,
            0x10 => self.address,
            _ => return None,
        };
        let value = match encoding & 0x0f {
            0x00 | 0x04 | 0x0c => self.unsigned(8)?,
            0x01 => self.uleb()?,
            0x02 => self.unsigned(2)?,
            0x03 => self.unsigned(4)?,
            0x09 => self.sleb()? as u64,
            0x0a => self.signed(2)? as u64,
            0x0b => self.signed(4)? as u64,
            _ => return None,
        };
        Some(from.wrapping_add(value as usize))
    }
}

/// A number of up to five bytes, and how many bytes come after it.
pub(super) fn leb128(bytes: &[u8], is_signed: bool) -> Option<(i64, usize)> {
    const MOST: usize = 5;
    // No iterators: unoptimized, they would take more of the stack than all the rest.
    let (mut value, mut len) = (0, 0);
    loop {
        let byte = match bytes.get(len) {
            Some(&byte) if len < MOST => byte,
            _ => return None,
        };
        value |= i64::from(byte & 0x7f) << (7 * len);
        len += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let bits = 7 * len;
    let is_below = is_signed && value >> (bits - 1) & 1 != 0;
    let value = value - if is_below { 1 << bits } else { 0 };
    Some((value, bytes.len() - len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_searched() {
        // The table is 0x40 before the index; two functions, 0x1000 and 0x1100.
        let whole: &'static [u8] = &[
            1, 0x1b, 3, 0x3b, 0xbc, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 0xf0, 0xff, 0xff, 0xc8, 0xff,
            0xff, 0xff, 0, 0xf1, 0xff, 0xff, 0xe0, 0xff, 0xff, 0xff,
        ];
        let found = |pc| look_up(whole, 0x2000, pc);
        assert_eq!(found(0xfff), None);
        for (pc, offset) in [(0x1000, 8), (0x10ff, 8), (0x1100, 0x20), (0x9999, 0x20)] {
            assert_eq!(found(pc), Some((0x1fc0, offset)), "{pc:#x}");
        }
        assert_eq!(look_up(&whole[..27], 0x2000, 0x1100), None);
        for at in 0..whole.len() {
            for byte in 0..=u8::MAX {
                let mut changed = whole.to_vec();
                changed[at] = byte;
                look_up(changed.leak(), 0x2000, 0x10ff);
            }
        }
    }

    #[test]
    fn entries_that_lie_are_none() {
        // A CIE and an FDE as a compiler makes them: push of the frame pointer after one byte.
        let whole: &'static [u8] = &[
            20, 0, 0, 0, 0, 0, 0, 0, 1, b'z', b'R', 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1,
            0, 0, 20, 0, 0, 0, 28, 0, 0, 0, 0x10, 0, 0, 0, 0x20, 0, 0, 0, 0, 0x41, 0x0e, 16, 0x86,
            2, 0, 0,
        ];
        let function = FrameEntry::at(whole, 0x1000, 24).unwrap();
        assert_eq!((function.start, function.end), (0x1030, 0x1050));
        for (pc, offset) in [(0x1030, 8), (0x1031, 16), (0x104f, 16)] {
            let Cfa::Register { offset: found, .. } = function.row(pc).unwrap().cfa else {
                panic!("a register");
            };
            assert_eq!(found, offset, "{pc:#x}");
        }
        assert!(function.row(0x102f).is_none() && function.row(0x1050).is_none());
        for len in 0..whole.len() {
            let at = |offset| FrameEntry::at(&whole[..len], 0x1000, offset);
            assert!(at(24).is_none(), "{len}");
        }
        // Whatever a byte is changed to, there is an end, and no panic.
        for at in 0..whole.len() {
            for byte in 0..=u8::MAX {
                let mut changed = whole.to_vec();
                changed[at] = byte;
                let changed: &'static [u8] = changed.leak();
                for offset in [0, 24, at] {
                    if let Some(function) = FrameEntry::at(changed, 0x1000, offset) {
                        assert!((0x1030..0x1050).filter_map(|pc| function.row(pc)).count() <= 32);
                    }
                }
            }
        }
    }
}
