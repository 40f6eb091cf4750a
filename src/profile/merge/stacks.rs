//! The stacks of one heap, folded: the same frames under the same contexts are one stack.

use std::collections::HashMap;

use super::super::heaps::Part;
use super::super::{Course, Frame, Node, NodeId, Stack, Totals};

/// What was folded so far. Frames name modules by their numbers in the merged profile.
#[derive(Default, Debug)]
pub struct Fold {
    /// Parent and frame of each node but the root, whose number is 0.
    nodes: Vec<(NodeId, Option<Frame>)>,
    /// Highest heap in use after the line of each.
    heap_after: Vec<Option<i64>>,
    by_frame: HashMap<(NodeId, Option<Frame>), NodeId>,
    /// Stacks by node and contexts.
    by_place: HashMap<(NodeId, usize), usize>,
    stacks: Vec<Stack>,
    unattributed: Totals,
}

/// What a part's own numbers stand for in the merged profile.
pub struct Numbers<'a> {
    /// Frames.
    pub frame: &'a dyn Fn(Frame) -> Frame,
    /// Sets of contexts, by number.
    pub sets: &'a [usize],
    /// When the part's recording began, nanoseconds since 1970.
    pub started_ns: u64,
}

impl Fold {
    /// Adds the nodes, the stacks and what belongs to none of another profile.
    pub fn add(&mut self, (nodes, stacks): (&[Node], &[Stack]), other: &Totals, of: &Numbers<'_>) {
        let mut places: Vec<NodeId> = Vec::with_capacity(nodes.len());
        places.push(0);
        for node in nodes.iter().skip(1) {
            let place = self.node(places[node.parent as usize], node.frame.map(of.frame));
            let heap_after = &mut self.heap_after[place as usize - 1];
            *heap_after = (*heap_after).max(node.heap_after);
            places.push(place);
        }
        for stack in stacks {
            let contexts = of.sets.get(stack.contexts).copied().unwrap_or(0);
            self.stack(places[stack.node as usize], contexts, stack, of.started_ns);
        }
        self.unattributed.add(other);
    }

    fn node(&mut self, parent: NodeId, frame: Option<Frame>) -> NodeId {
        let next = self.nodes.len() as NodeId + 1;
        let place = *self.by_frame.entry((parent, frame)).or_insert(next);
        if place == next {
            self.nodes.push((parent, frame));
            self.heap_after.push(None);
        }
        place
    }

    fn stack(&mut self, node: NodeId, contexts: usize, stack: &Stack, started_ns: u64) {
        let next = self.stacks.len();
        let place = *self.by_place.entry((node, contexts)).or_insert(next);
        if place == next {
            self.stacks.push(Stack {
                number: 0,
                node,
                contexts,
                totals: Totals::default(),
                course: Course::default(),
                span: None,
                touched: None,
            });
        }
        let sum = &mut self.stacks[place];
        sum.totals.add(&stack.totals);
        sum.course.add(&stack.course.without_waypoints(started_ns));
    }

    /// The part of the merged profile: numbered by the frames alone, so that it is the same in
    /// whatever order the profiles were added. Times count from `started_ns`.
    pub fn finish(self, frame: &dyn Fn(Frame) -> Frame, sets: &[usize], started_ns: u64) -> Part {
        let Fold {
            nodes,
            heap_after,
            mut stacks,
            unattributed,
            ..
        } = self;
        // Children next to each other, in the order of their frames.
        let mut children: Vec<(NodeId, Option<Frame>, NodeId)> = (nodes.into_iter())
            .zip(1..)
            .map(|((parent, of), number)| (parent, of.map(frame), number))
            .collect();
        children.sort_unstable();
        let mut part = Part::empty();
        let mut numbers = vec![0; children.len() + 1];
        // Level by level, as parents come before children.
        let mut level: Vec<NodeId> = vec![0];
        while !level.is_empty() {
            let mut next = Vec::new();
            for parent in level {
                let first = children.partition_point(|&(of, _, _)| of < parent);
                for &(of, frame, number) in &children[first..] {
                    if of != parent {
                        break;
                    }
                    numbers[number as usize] = part.nodes.len() as NodeId;
                    next.push(number);
                    part.nodes.push(Node {
                        parent: numbers[parent as usize],
                        frame,
                        heap_after: heap_after[number as usize - 1],
                    });
                }
            }
            level = next;
        }
        for stack in &mut stacks {
            stack.node = numbers[stack.node as usize];
            stack.contexts = sets.get(stack.contexts).copied().unwrap_or(0);
            stack.course = stack.course.since(started_ns);
            stack.course.live.fill(stack.totals.live_bytes);
        }
        stacks.sort_unstable_by_key(|stack| (stack.node, stack.contexts));
        part.stacks = stacks;
        part.unattributed = unattributed;
        part
    }
}
