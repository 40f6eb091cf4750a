//! One figure of all stacks as a tree with sums, the largest parts only: what flamegraphs and text
//! trees draw.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

use super::stacks::{FrameId, StackNodeId, Stacks};
use super::{Bytes, Metric};

/// How much of a tree is kept, largest parts first.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Limits {
    /// Parts below this share of the whole are left out, from 0 to 1.
    pub min_share: f64,
    /// So many nodes at most.
    pub nodes: usize,
    /// So many frames below each other at most.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            min_share: 0.0,
            nodes: 50_000,
            depth: 500,
        }
    }
}

/// A tree of frames with the sums of one figure.
#[derive(Clone, PartialEq, Debug)]
pub struct CallTree {
    /// What is summed.
    pub metric: Metric,
    /// False: callers above their callees. True: callees above their callers.
    pub inverted: bool,
    /// Nodes as they are shown: a parent before its children, children by size. Number 0 is the
    /// whole.
    pub nodes: Vec<CallNode>,
    /// What was left out.
    pub cut: Cut,
}

/// A frame of the tree.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CallNode {
    /// The frame, a number in [`Stacks::frames`]; of no meaning for the whole.
    pub frame: FrameId,
    /// The node above; the whole is its own.
    pub parent: usize,
    /// Frames above it; 0 is the whole.
    pub depth: usize,
    /// Everything at and below this node, what was left out included.
    pub sum: Bytes,
    /// The part of `sum` that no node below has: ends of stacks, and what was left out.
    pub own: i64,
}

/// What was left out of a tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cut {
    /// Subtrees.
    pub parts: usize,
    /// Their sum.
    pub sum: i64,
}

/// A node not yet opened.
struct Closed {
    number: usize,
    sum: i64,
    inside: Inside,
}

enum Inside {
    /// The subtree of a node.
    Below(StackNodeId),
    /// Stacks, and how far outward of each this node is. For trees that are inverted.
    Ends(Vec<(u32, StackNodeId)>),
}

impl PartialEq for Closed {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Closed {}
impl PartialOrd for Closed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Closed {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.sum.cmp(&other.sum)).then_with(|| other.number.cmp(&self.number))
    }
}

impl CallTree {
    /// The tree of `metric` over `stacks`. Figures below 0, which only damage or sampling can give,
    /// count as 0.
    pub fn new(stacks: &Stacks, metric: Metric, inverted: bool, limits: Limits) -> CallTree {
        let values = Values::new(stacks, metric, inverted);
        let whole = values.whole();
        let min = (whole.bytes as f64 * limits.min_share).ceil().max(1.0) as i64;
        let mut nodes = vec![CallNode {
            frame: 0,
            parent: 0,
            depth: 0,
            sum: whole,
            own: whole.bytes,
        }];
        let mut cut = Cut::default();
        let mut closed = BinaryHeap::from([Closed {
            number: 0,
            sum: whole.bytes,
            inside: values.all(),
        }]);
        while let Some(Closed { number, inside, .. }) = closed.pop() {
            let depth = nodes[number].depth + 1;
            for (frame, sum, inside) in values.open(inside) {
                if sum.bytes < min || nodes.len() >= limits.nodes || depth > limits.depth {
                    if sum.bytes > 0 {
                        cut.parts += 1;
                        cut.sum = cut.sum.saturating_add(sum.bytes);
                    }
                    continue;
                }
                // Saturated sums need not add up.
                nodes[number].own = nodes[number].own.saturating_sub(sum.bytes).max(0);
                nodes.push(CallNode {
                    frame,
                    parent: number,
                    depth,
                    sum,
                    own: sum.bytes,
                });
                closed.push(Closed {
                    number: nodes.len() - 1,
                    sum: sum.bytes,
                    inside,
                });
            }
        }
        CallTree {
            metric,
            inverted,
            nodes: in_order(nodes),
            cut,
        }
    }

    /// The sum of everything, in bytes, or in blocks for [`Metric::Count`].
    pub fn whole(&self) -> i64 {
        self.nodes[0].sum.bytes
    }
}

/// The nodes, each parent before its children and children by size.
fn in_order(nodes: Vec<CallNode>) -> Vec<CallNode> {
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for (number, node) in nodes.iter().enumerate().skip(1) {
        children[node.parent].push(number);
    }
    let mut ordered = Vec::with_capacity(nodes.len());
    let mut path = vec![(0, 0)];
    while let Some((number, parent)) = path.pop() {
        let here = ordered.len();
        ordered.push(CallNode {
            parent,
            ..nodes[number]
        });
        let below = &mut children[number];
        below.sort_by_key(|&child| (nodes[child].sum.bytes, std::cmp::Reverse(child)));
        path.extend(below.iter().map(|&child| (child, here)));
    }
    ordered
}

/// The figure of every stack, and its sums.
struct Values<'a> {
    stacks: &'a Stacks,
    inverted: bool,
    own: Vec<(i64, f64)>,
    /// By node, what is below included. Empty for trees that are inverted.
    sums: Vec<(i64, f64)>,
    first_child: Vec<StackNodeId>,
    next_sibling: Vec<StackNodeId>,
}

impl<'a> Values<'a> {
    fn new(stacks: &'a Stacks, metric: Metric, inverted: bool) -> Values<'a> {
        let own = stacks.stacks.iter().map(|stack| {
            let value = metric.of(&stack.figures);
            (value.bytes.max(0), value.standard_error.powi(2))
        });
        let mut values = Values {
            stacks,
            inverted,
            own: own.collect(),
            sums: Vec::new(),
            first_child: Vec::new(),
            next_sibling: Vec::new(),
        };
        if !inverted {
            values.sum_up();
        }
        values
    }

    fn sum_up(&mut self) {
        let nodes = &self.stacks.nodes;
        self.sums = vec![(0, 0.0); nodes.len()];
        self.first_child = vec![0; nodes.len()];
        self.next_sibling = vec![0; nodes.len()];
        for (stack, &own) in self.stacks.stacks.iter().zip(&self.own) {
            self.sums[stack.node as usize] = own;
        }
        for number in (1..nodes.len()).rev() {
            let parent = nodes[number].parent as usize;
            let sum = self.sums[number];
            add(&mut self.sums[parent], sum);
            self.next_sibling[number] = self.first_child[parent];
            self.first_child[parent] = number as StackNodeId;
        }
    }

    fn whole(&self) -> Bytes {
        let mut sum = (0, 0.0);
        for &own in &self.own {
            add(&mut sum, own);
        }
        bytes(sum)
    }

    fn all(&self) -> Inside {
        if !self.inverted {
            return Inside::Below(0);
        }
        let ends = self.stacks.stacks.iter().enumerate();
        Inside::Ends(
            ends.map(|(index, stack)| (index as u32, stack.node))
                .collect(),
        )
    }

    fn open(&self, inside: Inside) -> Vec<(FrameId, Bytes, Inside)> {
        match inside {
            Inside::Below(node) => {
                let mut found = Vec::new();
                let mut child = self.first_child[node as usize];
                while child != 0 {
                    let sum = bytes(self.sums[child as usize]);
                    let frame = self.stacks.nodes[child as usize].frame;
                    found.push((frame, sum, Inside::Below(child)));
                    child = self.next_sibling[child as usize];
                }
                found
            }
            Inside::Ends(ends) => {
                type Group = ((i64, f64), Vec<(u32, StackNodeId)>);
                let mut groups: HashMap<FrameId, Group> = HashMap::new();
                for (index, node) in ends {
                    if node == 0 {
                        continue;
                    }
                    let here = self.stacks.nodes[node as usize];
                    let (sum, ends) = groups.entry(here.frame).or_default();
                    add(sum, self.own[index as usize]);
                    ends.push((index, here.parent));
                }
                let mut found: Vec<_> = (groups.into_iter())
                    .map(|(frame, (sum, ends))| (frame, bytes(sum), Inside::Ends(ends)))
                    .collect();
                found.sort_by_key(|(frame, ..)| *frame);
                found
            }
        }
    }
}

fn add(sum: &mut (i64, f64), more: (i64, f64)) {
    sum.0 = sum.0.saturating_add(more.0);
    sum.1 += more.1;
}

fn bytes((bytes, variance): (i64, f64)) -> Bytes {
    Bytes {
        bytes,
        standard_error: variance.max(0.0).sqrt(),
    }
}
