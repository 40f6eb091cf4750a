//! From one stack of a thread to its next: the frames in between were left, with so much heap in
//! use.

use core::sync::atomic::Ordering;

use profiler_alloc_format::{CONTEXTS_MODULE, Frame, HEAPS_MODULE, NodeCells};

use crate::profile_file::store::Store;

/// A thread went on from the stack ending at `left` to the one ending at `entered`, with `heap`
/// bytes in use in between: every frame that is no longer on the stack, or stands at another line,
/// has then been left with that heap. Both stacks were taken with the same contexts in force.
pub fn leave(store: &Store, left: u32, entered: u32, heap: i64) {
    let mark = mark_of(heap);
    let nodes = nodes_of(store, left, entered);
    let (mut left, mut entered) = (left as usize, entered as usize);
    while left != entered {
        let Some(cells) = nodes.get(left.max(entered)) else {
            return;
        };
        let parent = cells.parent.load(Ordering::Relaxed) as usize;
        if left > entered {
            set(cells, mark);
            left = parent;
        } else {
            entered = parent;
        }
    }
}

/// The same of stacks that were taken with other contexts in force: their nodes have no ancestor in
/// common, so the frames are compared.
///
/// ```text
/// root ── route=/a ── main ── serve ── load        left: load, and not serve, though there
///    └─── route=/b ── main ── serve ── store       are two nodes for it
/// ```
pub fn leave_contexts(store: &Store, left: u32, entered: u32, heap: i64) {
    let nodes = nodes_of(store, left, entered);
    let (left_depth, entered_depth) = (depth(nodes, left), depth(nodes, entered));
    let common = left_depth.min(entered_depth);
    let mut pair = (
        up(nodes, left, left_depth - common),
        up(nodes, entered, entered_depth - common),
    );
    // Frames of the left stack, innermost first, that are not on the other.
    let mut gone = left_depth - common;
    for step in 1..=common {
        let ((Some(left), next_left), (Some(entered), next_entered)) =
            (go_up(nodes, pair.0), go_up(nodes, pair.1))
        else {
            return;
        };
        if left.frame.load(Ordering::Relaxed) != entered.frame.load(Ordering::Relaxed) {
            gone = left_depth - common + step;
        }
        pair = (next_left, next_entered);
    }
    let mark = mark_of(heap);
    let mut at = left;
    for _ in 0..gone {
        let (Some(cells), next) = go_up(nodes, at) else {
            return;
        };
        set(cells, mark);
        at = next;
    }
}

/// The outermost frame above `node`, that of contexts or of a heap included.
pub fn outermost(store: &Store, node: u32) -> Option<Frame> {
    let nodes = nodes_of(store, node, node);
    let mut at = nodes.get(node as usize).filter(|_| node != 0)?;
    loop {
        match at.parent.load(Ordering::Relaxed) {
            0 => return Some(Frame::from_bits(at.frame.load(Ordering::Relaxed))),
            // A parent's number is below its child's.
            parent => at = nodes.get(parent as usize)?,
        }
    }
}

fn mark_of(heap: i64) -> u64 {
    heap.max(0) as u64 + 1
}

/// A parent's number is below its children's, so stepping the larger of the two ends at their
/// common ancestor, and all nodes on the way are among these.
fn nodes_of(store: &Store, left: u32, entered: u32) -> &'static [NodeCells] {
    let count = left.max(entered) as usize + 1;
    store.nodes.get_many(0, count).unwrap_or_default()
}

fn set(cells: &NodeCells, mark: u64) {
    // Mostly it was left with more before.
    if cells.heap_after.load(Ordering::Relaxed) < mark {
        cells.heap_after.fetch_max(mark, Ordering::Relaxed);
    }
}

/// The record of a node, and its caller's number; none for the root, and for contexts and heaps,
/// which are no frames.
fn go_up(nodes: &[NodeCells], node: u32) -> (Option<&NodeCells>, u32) {
    let is_frame = |cells: &&NodeCells| {
        let frame = Frame::from_bits(cells.frame.load(Ordering::Relaxed));
        !matches!(frame.module(), CONTEXTS_MODULE | HEAPS_MODULE)
    };
    match nodes
        .get(node as usize)
        .filter(|_| node != 0)
        .filter(is_frame)
    {
        Some(cells) => (Some(cells), cells.parent.load(Ordering::Relaxed)),
        None => (None, 0),
    }
}

/// Frames from the outermost to `node`.
fn depth(nodes: &[NodeCells], node: u32) -> usize {
    let mut at = node;
    let mut depth = 0;
    while let (Some(_), next) = go_up(nodes, at) {
        depth += 1;
        at = next;
    }
    depth
}

/// The frame `steps` further out than `node`.
fn up(nodes: &[NodeCells], node: u32, steps: usize) -> u32 {
    (0..steps).fold(node, |at, _| go_up(nodes, at).1)
}
