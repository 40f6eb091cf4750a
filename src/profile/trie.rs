//! The trie of stacks, and what each stack did.

use profiler_alloc_format as format;
use profiler_alloc_format::{COUNT_FRACTION_BITS, Frame};

use super::accounts::Touched;
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
    /// Its number in the file.
    pub(super) number: u32,
    /// Its innermost frame.
    pub node: NodeId,
    /// Number of the contexts in force, in [`Contexts::sets`](super::Contexts::sets). Stacks of the
    /// same frames and of other contexts have the same node.
    pub contexts: usize,
    /// What was allocated, freed and kept with this call stack.
    pub totals: Totals,
    /// When that was.
    pub course: Course,
    /// The span of a trace that took blocks here last.
    pub span: Option<StackSpan>,
    /// What of its large blocks was resident.
    pub touched: Option<Touched>,
}

/// A span of a trace, and what it took on a stack, as part of that stack's totals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StackSpan {
    /// The trace, as OpenTelemetry writes it.
    pub trace_id: [u8; 16],
    /// The span.
    pub span_id: [u8; 8],
    /// Bytes allocated.
    pub alloc_bytes: i64,
    /// Blocks allocated.
    pub alloc_count: i64,
}

impl StackSpan {
    /// `None` where there is none, or it was being written.
    pub(super) fn of(record: &format::StackSpan) -> Option<StackSpan> {
        let [high, low] = record.trace_id.map(u128::from);
        (record.turn.is_multiple_of(2) && record.span_id != 0).then(|| StackSpan {
            trace_id: (high << 64 | low).to_be_bytes(),
            span_id: record.span_id.to_be_bytes(),
            alloc_bytes: record.alloc_bytes as i64,
            alloc_count: (record.alloc_count >> COUNT_FRACTION_BITS) as i64,
        })
    }
}
