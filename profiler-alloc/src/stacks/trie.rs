//! The trie of stacks in the file: every node is a frame and the node of its caller, parents
//! before children.
//!
//! A node is complete before an index from (parent, frame) hands its number out. Two threads that
//! meet the same frame for the first time at once make two nodes that say the same.

use profiler_alloc_format::Frame;

use crate::hash::mix;
use crate::lockfree::atomic::Ordering;
use crate::lockfree::index::Index;
use crate::profile_file::store::Store;

pub struct Trie {
    nodes: Index,
}

impl Trie {
    /// A trie whose index starts with `1 << first_bits` entries.
    pub const fn new(first_bits: u32) -> Trie {
        Trie {
            nodes: Index::new(first_bits),
        }
    }

    /// The node of `frame`, called from `parent`; made if it is new. `None` if a table is full.
    pub fn child(&self, store: &Store, parent: u32, frame: Frame) -> Option<u32> {
        let key = mix(frame.to_bits()) ^ u64::from(parent);
        let is_it = |number: u64| {
            store.nodes.get(number as usize).is_some_and(|cells| {
                cells.parent.load(Ordering::Relaxed) == parent
                    && cells.frame.load(Ordering::Relaxed) == frame.to_bits()
            })
        };
        if let Some(node) = self.nodes.find(key, is_it) {
            return Some(node as u32);
        }
        let number = store.take(&store.nodes, &store.header().node_count)?;
        let cells = store.nodes.get(number)?;
        cells.parent.store(parent, Ordering::Relaxed);
        cells.frame.store(frame.to_bits(), Ordering::Release);
        self.nodes
            .insert(key, number as u64)
            .then_some(number as u32)
    }

    /// Number of the stack that ends at `node`; made if it is new, at `now_ns`. `None` if the table
    /// is full.
    pub fn stack(&self, store: &Store, node: u32, now_ns: u64) -> Option<u32> {
        let cells = store.nodes.get(node as usize)?;
        let known = cells.stack.load(Ordering::Acquire);
        if known != 0 {
            return Some(known);
        }
        let stack = store.take(&store.stacks, &store.header().stack_count)? as u32;
        let record = store.stacks.get(stack as usize)?;
        let first_ms = u32::try_from((now_ns / 1_000_000).saturating_add(1)).unwrap_or(u32::MAX);
        record.first_ms.store(first_ms, Ordering::Relaxed);
        record.node.store(node, Ordering::Relaxed);
        // The loser of a race leaves an empty stack record behind, which readers skip.
        match cells
            .stack
            .compare_exchange(0, stack, Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) => Some(stack),
            Err(other) => Some(other),
        }
    }

    /// Bytes of address space of the index.
    pub fn bytes(&self) -> usize {
        self.nodes.bytes()
    }
}
