//! The trie of stacks without the nodes that name contexts.

use std::collections::HashMap;

use profiler_alloc_format::{CONTEXTS_MODULE, Frame};

use super::totals::Totals;
use super::trie::{Node, NodeId, Stack};

/// Takes the contexts out of the trie: whoever does not ask for them sees the stacks that there
/// would be without. Gives what stacks without a frame were attributed, and how many nodes name
/// contexts that the profile does not have.
pub(super) fn take_out(
    nodes: &mut Vec<Node>,
    stacks: &mut Vec<Stack>,
    set_count: usize,
) -> (Totals, u64) {
    let mut lost = Totals::default();
    let set_of = |node: &Node| {
        let frame = node.frame.filter(|frame| frame.module() == CONTEXTS_MODULE);
        frame.map(Frame::address)
    };
    if !nodes.iter().any(|node| set_of(node).is_some()) {
        return (lost, 0);
    }
    let mut damaged = 0;
    let mut kept: Vec<Node> = vec![nodes[0]];
    let mut by_frame: HashMap<(NodeId, Frame), NodeId> = HashMap::new();
    // What each node has become, and below which set it stands.
    let mut places: Vec<(NodeId, usize)> = vec![(0, 0)];
    for node in &nodes[1..] {
        let (parent, set) = places[node.parent as usize];
        if let Some(number) = set_of(node) {
            let known = usize::try_from(number)
                .ok()
                .filter(|&number| number < set_count);
            damaged += u64::from(known.is_none());
            places.push((parent, known.unwrap_or(0)));
            continue;
        }
        let next = kept.len() as NodeId;
        let place = match node.frame {
            Some(frame) => *by_frame.entry((parent, frame)).or_insert(next),
            None => next,
        };
        match kept.get_mut(place as usize) {
            Some(known) => known.heap_after = known.heap_after.max(node.heap_after),
            None => kept.push(Node { parent, ..*node }),
        }
        places.push((place, set));
    }
    stacks.retain_mut(|stack| {
        let (node, contexts) = places[stack.node as usize];
        stack.node = node;
        stack.contexts = contexts;
        if node == 0 {
            lost.add(&stack.totals);
        }
        node != 0
    });
    *nodes = kept;
    (lost, damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Course;

    fn node(parent: NodeId, frame: Frame, heap_after: i64) -> Node {
        Node {
            parent,
            frame: Some(frame),
            heap_after: Some(heap_after),
        }
    }

    fn stack(node: NodeId) -> Stack {
        Stack {
            number: 0,
            node,
            contexts: 0,
            totals: Totals {
                alloc_bytes: 10 * i64::from(node),
                ..Totals::default()
            },
            course: Course::default(),
            span: None,
            touched: None,
        }
    }

    #[test]
    fn stacks_under_contexts_are_the_stacks_that_there_would_be_without() {
        let (main, serve) = (Frame::new(0, 0x10), Frame::new(0, 0x20));
        let root = Node {
            parent: 0,
            frame: None,
            heap_after: None,
        };
        let mut nodes = vec![
            root,
            node(0, main, 1),
            node(1, serve, 2),
            node(0, Frame::contexts(1), 0),
            node(3, main, 5),
            node(4, serve, 1),
            node(0, Frame::contexts(9), 0),
            node(6, main, 0),
        ];
        let mut stacks = vec![stack(2), stack(5), stack(7), stack(3)];
        let (lost, damaged) = take_out(&mut nodes, &mut stacks, 2);
        assert_eq!(nodes, [root, node(0, main, 5), node(1, serve, 2)]);
        let found: Vec<_> = stacks
            .iter()
            .map(|stack| (stack.node, stack.contexts))
            .collect();
        assert_eq!(found, [(2, 0), (2, 1), (1, 0)]);
        assert_eq!((lost.alloc_bytes, damaged), (30, 1));
    }
}
