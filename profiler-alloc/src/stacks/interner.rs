//! From the frames of a walk to the number of their stack: the trie of nodes and the table of
//! stacks in the file.
//!
//! An index from the fingerprint of a whole walk to its stack spares most walks the way through
//! the trie.

use core::sync::atomic::Ordering;

use profiler_alloc_format::{Frame, UNKNOWN_MODULE};

use crate::lockfree::index::Index;
use crate::profile_file::store::Store;
use crate::stacks::frame_buffer::Frames;
use crate::stacks::trie::Trie;
use crate::unwinder::frame::Fingerprint;
use crate::unwinder::modules::{CodeAddress, Modules};

/// Number of the stack that takes what no longer fits.
pub const OTHER: u32 = 0;

/// The interned stacks.
pub struct Stacks {
    walks: Index,
    guesses: Index,
    trie: Trie,
}

/// A stack's number, and its innermost node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StackRef {
    pub stack: u32,
    pub node: u32,
}

impl StackRef {
    pub const OTHER: StackRef = StackRef {
        stack: OTHER,
        node: 0,
    };

    fn to_bits(self) -> u64 {
        u64::from(self.stack) << 32 | u64::from(self.node)
    }

    fn from_bits(bits: u64) -> StackRef {
        StackRef {
            stack: (bits >> 32) as u32,
            node: bits as u32,
        }
    }
}

impl Stacks {
    pub const fn new() -> Stacks {
        Stacks {
            walks: Index::new(12),
            guesses: Index::new(10),
            trie: Trie::new(13),
        }
    }

    /// The stack that a confirmed frame-pointer walk has led to before.
    pub fn known_candidate(&self, fingerprint: Fingerprint) -> Option<StackRef> {
        self.guesses
            .find(fingerprint.to_bits(), |_| true)
            .map(StackRef::from_bits)
    }

    /// Remembers that a confirmed frame-pointer walk leads to `stack`.
    pub fn confirm(&self, fingerprint: Fingerprint, stack: StackRef) {
        if stack != StackRef::OTHER {
            self.guesses.insert(fingerprint.to_bits(), stack.to_bits());
        }
    }

    /// The stack of a table walk, made if it is new. [`StackRef::OTHER`] if a table is full.
    /// `roots` gives what stands above the outermost frame, outermost first; the fingerprint knows
    /// of it.
    pub fn intern(
        &self,
        store: &Store,
        modules: &Modules,
        (frames, fingerprint): (&Frames, Fingerprint),
        roots: impl FnOnce() -> [Option<Frame>; 2],
        now_ns: u64,
    ) -> StackRef {
        let key = fingerprint.to_bits();
        if let Some(bits) = self.walks.find(key, |_| true) {
            return StackRef::from_bits(bits);
        }
        // Where there is no more room, a way through the trie would be in vain, each time anew.
        if store.has_all_stacks() {
            return StackRef::OTHER;
        }
        let Some(stack) = self.add(store, modules, frames, roots(), now_ns) else {
            return StackRef::OTHER;
        };
        self.walks.insert(key, stack.to_bits());
        stack
    }

    /// The stack that has `root` and no frame; it takes what no longer fits of that root.
    pub fn only_root(&self, store: &Store, root: Frame, now_ns: u64) -> Option<StackRef> {
        let node = self.trie.child(store, 0, root)?;
        let stack = self.trie.stack(store, node, now_ns)?;
        Some(StackRef { stack, node })
    }

    /// Bytes of address space of the indexes.
    pub fn bytes(&self) -> usize {
        self.walks.bytes() + self.guesses.bytes() + self.trie.bytes()
    }

    fn add(
        &self,
        store: &Store,
        modules: &Modules,
        frames: &Frames,
        roots: [Option<Frame>; 2],
        now_ns: u64,
    ) -> Option<StackRef> {
        if frames.walked() == 0 {
            return None;
        }
        let mut node = 0;
        for root in roots.into_iter().flatten() {
            node = self.trie.child(store, node, root)?;
        }
        for site in frames.outermost_first() {
            let frame = match site {
                Some(site) => frame_of(store, modules, site, now_ns),
                None => Frame::ELIDED,
            };
            node = self.trie.child(store, node, frame)?;
        }
        let stack = self.trie.stack(store, node, now_ns)?;
        Some(StackRef { stack, node })
    }
}

fn frame_of(store: &Store, modules: &Modules, site: CodeAddress, now_ns: u64) -> Frame {
    match modules.find(store, site.call(), now_ns) {
        Some(module) => {
            let address = site.address().wrapping_sub(module.bias);
            Frame::new(module.number, address as u64)
        }
        None => {
            store.header().lost_modules.fetch_add(1, Ordering::Relaxed);
            Frame::new(UNKNOWN_MODULE, site.address() as u64)
        }
    }
}
