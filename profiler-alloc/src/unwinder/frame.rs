//! What a walk gives: frames, how it ended, and hashes of whole stacks.

use crate::unwinder::modules::Site;

/// How a walk ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// At the outermost frame.
    Complete,
    /// Before it: no unwind rule, or the next frame is not on this stack.
    #[cfg_attr(
        portable_unwinder,
        allow(dead_code, reason = "the portable unwinder does not tell")
    )]
    CutOff,
}

/// Whether a walk is to go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Visit {
    GoOn,
    /// What lies further out is known.
    Enough,
}

/// A frame that a walk came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    pub site: Site,
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
}

/// Hash of a sequence of return addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fingerprint(u64);

impl Fingerprint {
    pub const EMPTY: Fingerprint = Fingerprint(0x243f_6a88_85a3_08d3);

    #[inline]
    pub fn push(&mut self, site: Site) {
        let mixed = (self.0 ^ site.to_bits()).wrapping_mul(0xff51_afd7_ed55_8ccd);
        self.0 = mixed ^ (mixed >> 32);
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
