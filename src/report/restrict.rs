//! Makes stacks short enough to read: the user's own frames, and of what they call only the first
//! function.
//!
//! ```text
//! lang_start → main → app::main → app::load → Vec::extend → Vec::reserve → finish_grow
//!                     app::main → app::load → Vec::extend
//! ```

use std::collections::HashMap;

use super::stacks::{FrameId, StackFrame, StackNode, StackNodeId, StackTotal, Stacks};
use super::{Course, Figures, Origin, Scope};

/// How fine the frames of stacks are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Granularity {
    /// A frame for every line of a function
    #[default]
    Line,
    /// One frame for a function
    Function,
}

impl Stacks {
    /// The same stacks with fewer frames; all totals stay.
    ///
    /// [`Scope::User`] keeps the user's own frames, and of those of dependencies and std the first
    /// below each of the user's. Where the program has no lines of its own, frames of its
    /// executable are taken for the user's.
    pub fn restricted(&self, scope: Scope, granularity: Granularity) -> Stacks {
        if scope == Scope::All && granularity == Granularity::Line {
            return self.clone();
        }
        let has_user = (self.frames.iter()).any(|frame| frame.origin == Origin::User);
        let is_own = |frame: &StackFrame| match frame.origin {
            Origin::User => true,
            Origin::Unknown => !has_user || frame.module.is_none(),
            _ => scope == Scope::All,
        };
        let mut restricted = Restricted::new(self, granularity);
        // Per node of the full tree: its node in the restricted one, and whether that is a foreign
        // frame.
        let mut places: Vec<(StackNodeId, bool)> = Vec::with_capacity(self.nodes.len());
        for (number, node) in self.nodes.iter().enumerate() {
            if number == 0 {
                places.push((0, false));
                continue;
            }
            let (caller, caller_is_foreign) = places[node.parent as usize];
            let frame = &self.frames[node.frame as usize];
            places.push(if is_own(frame) {
                (restricted.child(caller, node.frame), false)
            } else if caller == 0 || caller_is_foreign {
                (caller, caller_is_foreign)
            } else {
                (restricted.child(caller, node.frame), true)
            });
        }
        let mut sums: HashMap<StackNodeId, (Figures, Course)> = HashMap::new();
        for stack in &self.stacks {
            let node = restricted.end(&places, stack.node);
            let (sum, course) = sums.entry(node).or_default();
            sum.add(&stack.figures);
            course.add(&stack.course);
        }
        let ends = self.ends.iter();
        let ends = ends.map(|&node| restricted.end(&places, node)).collect();
        let stacks = sums
            .into_iter()
            .map(|(node, (figures, course))| StackTotal {
                node,
                figures,
                course,
            });
        let mut stacks: Vec<StackTotal> = stacks.collect();
        stacks.sort_by_key(|stack| stack.node);
        Stacks {
            recording: self.recording.clone(),
            sampling: self.sampling,
            scope,
            frames: restricted.frames,
            nodes: restricted.nodes,
            stacks,
            ends,
            waypoints: self.waypoints.clone(),
            heap_growth: self.heap_growth,
            modules: self.modules.clone(),
            total: self.total,
            unattributed: self.unattributed,
            losses: self.losses.clone(),
            defects: self.defects.clone(),
        }
    }
}

struct Restricted<'a> {
    full: &'a Stacks,
    granularity: Granularity,
    frames: Vec<StackFrame>,
    nodes: Vec<StackNode>,
    children: HashMap<(StackNodeId, FrameId), StackNodeId>,
    by_full: Vec<Option<FrameId>>,
    by_function: HashMap<(String, String), FrameId>,
    /// By the node of the full tree; that of the root stands for all.
    outside: HashMap<StackNodeId, StackNodeId>,
}

impl<'a> Restricted<'a> {
    fn new(full: &'a Stacks, granularity: Granularity) -> Restricted<'a> {
        Restricted {
            full,
            granularity,
            frames: Vec::new(),
            nodes: full.nodes[..1].to_vec(),
            children: HashMap::new(),
            by_full: vec![None; full.frames.len()],
            by_function: HashMap::new(),
            outside: HashMap::new(),
        }
    }

    /// Where a stack ends that ended in `node` of the full tree.
    fn end(&mut self, places: &[(StackNodeId, bool)], node: StackNodeId) -> StackNodeId {
        match places[node as usize].0 {
            0 => self.outside(node),
            place => place,
        }
    }

    fn child(&mut self, parent: StackNodeId, full: FrameId) -> StackNodeId {
        let frame = self.frame(full);
        let next = self.nodes.len() as StackNodeId;
        let node = *self.children.entry((parent, frame)).or_insert(next);
        if node == next {
            self.nodes.push(StackNode { parent, frame });
        }
        node
    }

    fn frame(&mut self, full: FrameId) -> FrameId {
        if let Some(known) = self.by_full[full as usize] {
            return known;
        }
        let mut frame = self.full.frames[full as usize].clone();
        let next = self.frames.len() as FrameId;
        let id = if self.granularity == Granularity::Function {
            frame.line = None;
            let key = (frame.file.clone(), frame.function.clone());
            *self.by_function.entry(key).or_insert(next)
        } else {
            next
        };
        if id == next {
            self.frames.push(frame);
        }
        self.by_full[full as usize] = Some(id);
        id
    }

    /// The node of a stack without any frame of the user's own, which ends in `end` of the full
    /// tree: below the one that stands for all of these, a frame for each crate that it goes
    /// through, the first function of that.
    fn outside(&mut self, end: StackNodeId) -> StackNodeId {
        let full = self.full;
        let parent = |node: StackNodeId| full.nodes[node as usize].parent;
        let unknown = std::iter::successors(Some(end), |&node| (node != 0).then(|| parent(node)));
        let unknown: Vec<StackNodeId> = unknown
            .take_while(|node| !self.outside.contains_key(node))
            .collect();
        for &node in unknown.iter().rev() {
            let narrow = match node {
                0 => self.outermost(),
                _ => self.below(self.outside[&parent(node)], node),
            };
            self.outside.insert(node, narrow);
        }
        self.outside[&end]
    }

    /// The node that stands for all stacks without any frame of the user's own.
    fn outermost(&mut self) -> StackNodeId {
        self.frames.push(StackFrame::outside());
        let frame = self.frames.len() as FrameId - 1;
        self.nodes.push(StackNode { parent: 0, frame });
        self.nodes.len() as StackNodeId - 1
    }

    /// The node of `node` below `caller`: that itself if both are of one crate.
    fn below(&mut self, caller: StackNodeId, node: StackNodeId) -> StackNodeId {
        let full = self.full;
        let here = full.nodes[node as usize];
        let frame_of = |node: StackNode| &full.frames[node.frame as usize];
        // Std's own crates call each other to and fro.
        let crate_of = |node: StackNode| match frame_of(node).crate_name(&full.modules) {
            name if ["std", "core", "alloc"].contains(&&*name) => "std".into(),
            name => name,
        };
        let above = full.nodes[here.parent as usize];
        match here.parent != 0 && crate_of(here) == crate_of(above) {
            true => caller,
            false => self.child(caller, here.frame),
        }
    }
}
