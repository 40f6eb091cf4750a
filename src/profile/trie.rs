//! The trie of stacks, and what each stack did.

use profiler_alloc_format::Frame;

use super::course::Course;
use super::totals::Totals;

/// Number of a [`Node`] in [`Profile::nodes`](super::Profile::nodes).
pub type NodeId = u32;

/// A frame and its caller's node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Node {
    /// The caller's node, below this one's own number. The root is its own parent.
    pub parent: NodeId,
    /// The frame. `None` for the root, for a node being made, and for a damaged one.
    pub frame: Option<Frame>,
    /// Heap in use in bytes after the line this frame stands on ran (the highest, if it ran more
    /// than once).
    pub heap_after: Option<i64>,
}

impl Node {
    /// The root.
    pub(super) const ROOT: Node = Node {
        parent: 0,
        frame: None,
        heap_after: None,
    };
}

/// Totals of one distinct stack.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Stack {
    /// Its innermost frame.
    pub node: NodeId,
    /// Number of the contexts in force, in [`Contexts::sets`](super::Contexts::sets). Stacks of the
    /// same frames and of other contexts have the same node.
    pub contexts: usize,
    /// What was allocated, freed and kept with this call stack.
    pub totals: Totals,
    /// When that was.
    pub course: Course,
}
