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
        let mut common = all.after(id_at.checked_sub(back)?)?.entry()?;
        if back == 0 || common.unsigned(4)? != 0 {
            return None;
        }
        let version = common.unsigned(1)?;
        let augmentation = common.text()?;
        let code_unit = common.uleb()?;
        let data_unit = common.sleb()?;
        let return_address = match version {
            1 => common.unsigned(1)?,
            3 => common.uleb()?,
            _ => return None,
        };
        let (mut encoding, mut is_signal) = (0, false);
        let is_sized = augmentation.first() == Some(&b'z');
        if is_sized {
            let len = common.uleb()? as usize;
            let mut data = common.take(len)?;
            for letter in &augmentation[1..] {
                match letter {
                    b'R' => encoding = data.unsigned(1)? as u8,
                    b'L' => drop(data.unsigned(1)?),
                    b'P' => {
                        let encoding = data.unsigned(1)? as u8;
                        data.pointer(encoding & 0x0f)?;
                    }
                    b'S' => is_signal = true,
                    _ => {}
                }
            }
        } else if !augmentation.is_empty() {
            return None;
        }
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
            code_unit,
            data_unit,
            return_address,
            first: common,
            then: entry,
        })
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

impl ProgramRun<'_> {
    /// Runs to the end, or to where the next row would begin beyond the instruction.
    fn program(&mut self, mut code: Bytes) -> Option<()> {
        let (code_unit, data_unit) = (self.function.code_unit, self.function.data_unit);
        let mut remembered = [self.row; MOST_REMEMBERED];
        let mut count = 0;
        while !code.bytes.is_empty() {
            let operation = code.unsigned(1)?;
            let (kind, operand) = (operation >> 6, operation & 0x3f);
            let advance = match (kind, operand) {
                (1, delta) => Some(delta),
                (0, 0x02) => Some(code.unsigned(1)?),
                (0, 0x03) => Some(code.unsigned(2)?),
                (0, 0x04) => Some(code.unsigned(4)?),
                _ => None,
            };
            if let Some(delta) = advance {
                let delta = delta.checked_mul(code_unit)? as usize;
                self.at = self.at.checked_add(delta)?;
                if self.at > self.pc {
                    return Some(());
                }
                continue;
            }
            match (kind, operand) {
                (2, register) => {
                    let offset = code.uleb()? as i64;
                    self.set(register, Saved::At(offset.checked_mul(data_unit)?));
                }
                (3, register) => self.restore(register)?,
                (0, 0x00) => {}
                (0, 0x05) => {
                    let (register, offset) = (code.uleb()?, code.uleb()? as i64);
                    self.set(register, Saved::At(offset.checked_mul(data_unit)?));
                }
                (0, 0x06) => {
                    let register = code.uleb()?;
                    self.restore(register)?;
                }
                (0, 0x07) => {
                    let register = code.uleb()?;
                    self.set(register, Saved::Undefined);
                }
                (0, 0x08) => {
                    let register = code.uleb()?;
                    self.set(register, Saved::Same);
                }
                // In another register; or the value itself is computed.
                (0, 0x09 | 0x14) => {
                    let (register, _) = (code.uleb()?, code.uleb()?);
                    self.set(register, Saved::Other);
                }
                (0, 0x0a) => {
                    *remembered.get_mut(count)? = self.row;
                    count += 1;
                }
                (0, 0x0b) => {
                    count = count.checked_sub(1)?;
                    self.row = remembered[count];
                }
                (0, 0x0c) => {
                    let (register, offset) = (code.uleb()?, code.uleb()? as i64);
                    self.row.cfa = cfa(register, offset)?;
                }
                (0, 0x0d) => {
                    let register = code.uleb()?;
                    let Cfa::Register { offset, .. } = self.row.cfa else {
                        return None;
                    };
                    self.row.cfa = cfa(register, offset)?;
                }
                (0, 0x0e) => {
                    let offset = code.uleb()? as i64;
                    self.move_cfa(offset)?;
                }
                (0, 0x0f) => self.row.cfa = Cfa::Expression(code.block()?),
                (0, 0x10) => {
                    let register = code.uleb()?;
                    let place = Saved::Expression(code.block()?);
                    self.set(register, place);
                }
                (0, 0x11) => {
                    let (register, offset) = (code.uleb()?, code.sleb()?);
                    self.set(register, Saved::At(offset.checked_mul(data_unit)?));
                }
                (0, 0x12) => {
                    let (register, offset) = (code.uleb()?, code.sleb()?);
                    self.row.cfa = cfa(register, offset.checked_mul(data_unit)?)?;
                }
                (0, 0x13) => {
                    let offset = code.sleb()?.checked_mul(data_unit)?;
                    self.move_cfa(offset)?;
                }
                (0, 0x15) => {
                    let (register, _) = (code.uleb()?, code.sleb()?);
                    self.set(register, Saved::Other);
                }
                (0, 0x16) => {
                    let register = code.uleb()?;
                    code.block()?;
                    self.set(register, Saved::Other);
                }
                // AArch64: whether the return address is signed, which takes no knowing.
                (0, 0x2c | 0x2d) if cfg!(target_arch = "aarch64") => {}
                // How much of the arguments is on the stack.
                (0, 0x2e) => drop(code.uleb()?),
                (0, 0x2f) => {
                    let (register, offset) = (code.uleb()?, code.uleb()? as i64);
                    let offset = offset.checked_mul(data_unit)?.checked_neg()?;
                    self.set(register, Saved::At(offset));
                }
                _ => return None,
            }
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
    let len = 1 + bytes.iter().take(5).position(|byte| byte & 0x80 == 0)?;
    let value = (bytes[..len].iter().rev()).fold(0, |all, byte| all << 7 | i64::from(byte & 0x7f));
    let bits = 7 * len as u32;
    let is_below = is_signed && value >> (bits - 1) & 1 != 0;
    Some((
        value - if is_below { 1 << bits } else { 0 },
        bytes.len() - len,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

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
