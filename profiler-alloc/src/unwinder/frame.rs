//! What a walk gives: frames, how it ended, and hashes of whole stacks.

use crate::hash::spread_high;
use crate::unwinder::modules::CodeAddress;

/// How a walk ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// At the outermost frame.
    Complete,
    /// Before it.
    #[cfg_attr(
        portable_unwinder,
        allow(dead_code, reason = "the portable unwinder does not tell")
    )]
    CutOff(Why),
}

/// Why a walk ended before the outermost frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// In code that is of no module, having been made at run time, and keeps no frame pointers.
    RunTimeCode,
    /// In a module that has no unwind table, or none that fits a rule.
    NoTable,
    /// On a stack that is not the thread's own, such as a coroutine's, of which nothing there says
    /// who resumed it.
    OtherStack,
    /// What the table says of the caller cannot be.
    Damage,
}

/// A frame that a walk came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WalkedFrame {
    pub site: CodeAddress,
    /// Its stack pointer: where the frame further in ends.
    pub sp: usize,
    /// Where its return address stands; 0 if that is in a register, or the walk does not know.
    pub place: usize,
    /// The frame pointer it had.
    pub fp: usize,
    /// Where that was saved; 0 if the frame further in has not changed it.
    pub fp_at: usize,
    /// The frame pointer of the frame further in led here.
    pub by_fp: bool,
    /// Words that are named nowhere here led here, too.
    pub by_more: bool,
}

/// Hash of a sequence of return addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fingerprint(u64);

impl Fingerprint {
    pub const EMPTY: Fingerprint = Fingerprint(0x243f_6a88_85a3_08d3);

    #[inline]
    pub fn push(&mut self, site: CodeAddress) {
        let mixed = (self.0 ^ site.to_bits()).wrapping_mul(0xff51_afd7_ed55_8ccd);
        self.0 = mixed ^ (mixed >> 32);
    }

    /// That of the same frames below a root, given by number; 0 is none.
    #[inline]
    pub fn below(self, root: u32) -> Fingerprint {
        Fingerprint(self.0 ^ spread_high(root.into()))
    }

    pub const fn to_bits(self) -> u64 {
        self.0
    }

    pub const fn from_bits(bits: u64) -> Fingerprint {
        Fingerprint(bits)
    }
}

/// What a frame-pointer walk found.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    pub fingerprint: Fingerprint,
    pub len: usize,
}

impl Candidate {
    /// No frame-pointer walk was made.
    pub const NONE: Candidate = Candidate {
        fingerprint: Fingerprint::EMPTY,
        len: 0,
    };
}
