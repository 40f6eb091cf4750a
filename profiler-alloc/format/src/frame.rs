//! One frame of a stack: a return address as module number and address within the module.

/// The module number of an address that belonged to no known module.
pub const UNKNOWN_MODULE: u16 = u16::MAX;
/// The module number of a frame that is no code: the contexts in force, above the outermost frame
/// of a stack. See [`Frame::contexts`].
pub const CONTEXTS_MODULE: u16 = u16::MAX - 1;
/// The module number of a frame that is no code: the heap that a stack took memory of, above all
/// else. See [`Frame::heap`].
pub const HEAPS_MODULE: u16 = u16::MAX - 2;

/// A return address, packed: `module << 48 | address`.
///
/// The address is the one written in the module's own file (run-time address minus load bias), so
/// it can be looked up offline. It is the *return* address: the call is the instruction before it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Frame(u64);

impl Frame {
    /// Stands where the middle of a very deep stack was left out.
    pub const ELIDED: Frame = Frame(u64::MAX);
    const ADDRESS_BITS: u32 = 48;

    /// The frame at `address` of module number `module`. Bits of the address above the 48th are
    /// dropped.
    pub const fn new(module: u16, address: u64) -> Frame {
        Frame((module as u64) << Self::ADDRESS_BITS | address & ((1 << Self::ADDRESS_BITS) - 1))
    }

    /// Stands above the outermost frame of a stack that was taken with contexts in force: those of
    /// record `number` of [`Table::ContextSets`](crate::Table::ContextSets).
    pub const fn contexts(number: u32) -> Frame {
        Frame::new(CONTEXTS_MODULE, number as u64)
    }

    /// Stands above the outermost frame, and above the contexts, of a stack of another heap than
    /// the main one: record `number` of [`Table::Heaps`](crate::Table::Heaps).
    pub const fn heap(number: u32) -> Frame {
        Frame::new(HEAPS_MODULE, number as u64)
    }

    /// The frame stored as `bits`.
    pub const fn from_bits(bits: u64) -> Frame {
        Frame(bits)
    }

    /// As stored in the file.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// Number of the module, or [`UNKNOWN_MODULE`].
    pub const fn module(self) -> u16 {
        (self.0 >> Self::ADDRESS_BITS) as u16
    }

    /// Return address as written in the module's file.
    pub const fn address(self) -> u64 {
        self.0 & ((1 << Self::ADDRESS_BITS) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_module_and_address() {
        let frame = Frame::new(7, 0xffff_8000_1234_5678);
        assert_eq!((frame.module(), frame.address()), (7, 0x8000_1234_5678));
        assert_eq!(Frame::from_bits(frame.to_bits()), frame);
        assert_ne!(frame, Frame::ELIDED);
        let contexts = Frame::contexts(9);
        assert_eq!(
            (contexts.module(), contexts.address()),
            (CONTEXTS_MODULE, 9)
        );
        let heap = Frame::heap(2);
        assert_eq!((heap.module(), heap.address()), (HEAPS_MODULE, 2));
    }
}
