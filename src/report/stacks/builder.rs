//! The tree of stacks in the making: each frame and each node once.

use std::collections::HashMap;

use super::{FrameId, StackFrame, StackModule, StackNode, StackNodeId, StackTotal, Stacks};
use crate::defect::Defect;
use crate::profile::{Course, Frame, Profile, Stack, Totals};
use crate::report::attribution::Attribution;
use crate::report::{Figures, HeapGrowth, Loss, Recording, Sampling, Scope, naming};
use crate::source::Sources;
use crate::symbolize::{CodeFrameId, Origin, Symbols};

impl Stacks {
    /// The stacks of a profile. `defects` are those of the stages before.
    pub fn new(
        profile: &Profile,
        symbols: &Symbols,
        sources: &mut Sources,
        mut defects: Vec<Defect>,
    ) -> Stacks {
        let attribution = Attribution::new(profile, symbols, sources, Scope::User);
        defects.append(&mut sources.take_defects());
        let mut stacks = Stacks::of(profile, &profile.stacks, symbols, &attribution);
        stacks.defects = defects;
        stacks
    }

    /// Some stacks of a profile, in a tree that has no others.
    pub(in crate::report) fn of(
        profile: &Profile,
        part: &[Stack],
        symbols: &Symbols,
        attribution: &Attribution,
    ) -> Stacks {
        let mut tree = StacksBuilder::new(profile, symbols, attribution);
        let is_used = profile.nodes_of(part);
        // Parents come before children, so a caller's node is known when its callee asks for it.
        let mut ends: Vec<StackNodeId> = Vec::with_capacity(profile.nodes.len());
        for (node, is_used) in profile.nodes.iter().zip(is_used) {
            let caller = ends.get(node.parent as usize).copied().unwrap_or(0);
            ends.push(match node.frame {
                Some(frame) if is_used => tree.push(caller, frame),
                _ => caller,
            });
        }
        let mut sums: HashMap<StackNodeId, (Totals, Course)> = HashMap::new();
        let mut total = Totals::default();
        for stack in part {
            let (sum, course) = sums.entry(ends[stack.node as usize]).or_default();
            sum.add(&stack.totals);
            course.add(&stack.course);
            total.add(&stack.totals);
        }
        let ends = part.iter().map(|stack| ends[stack.node as usize]);
        let ends = ends.collect();
        let mut stacks: Vec<StackTotal> = (sums.into_iter())
            .map(|(node, (totals, course))| StackTotal {
                node,
                figures: Figures::of(&totals, None),
                course,
            })
            .collect();
        stacks.sort_by_key(|stack| stack.node);
        Stacks {
            recording: Recording::of(profile),
            sampling: Sampling::of(profile),
            scope: Scope::All,
            frames: tree.frames,
            nodes: tree.nodes,
            stacks,
            ends,
            waypoints: profile.waypoints.clone(),
            heap_growth: HeapGrowth::of(profile),
            modules: StackModule::all(profile),
            total: Figures::of(&total, None),
            unattributed: Figures::of(&profile.unattributed, None),
            losses: Loss::of(profile),
            defects: Vec::new(),
        }
    }
}

/// The tree in the making.
struct StacksBuilder<'a> {
    symbols: &'a Symbols,
    attribution: &'a Attribution,
    module_count: usize,
    frames: Vec<StackFrame>,
    nodes: Vec<StackNode>,
    children: HashMap<(StackNodeId, FrameId), StackNodeId>,
    by_text: HashMap<(String, String, Option<u32>, u16), FrameId>,
    by_code: Vec<Option<FrameId>>,
    titles: HashMap<usize, (String, String)>,
    elided: Option<FrameId>,
}

impl<'a> StacksBuilder<'a> {
    fn new(
        profile: &Profile,
        symbols: &'a Symbols,
        attribution: &'a Attribution,
    ) -> StacksBuilder<'a> {
        StacksBuilder {
            symbols,
            attribution,
            module_count: profile.modules.len(),
            frames: Vec::new(),
            nodes: vec![StackNode {
                parent: 0,
                frame: 0,
            }],
            children: HashMap::with_capacity(profile.nodes.len()),
            by_text: HashMap::new(),
            by_code: vec![None; symbols.ids().count()],
            titles: HashMap::new(),
            elided: None,
        }
    }

    /// The node of `frame` called from `caller`.
    fn push(&mut self, caller: StackNodeId, frame: Frame) -> StackNodeId {
        let symbols = self.symbols;
        if frame == Frame::ELIDED {
            let elided = self.elided();
            return self.child(caller, elided);
        }
        let mut node = caller;
        for &id in symbols.of(frame).iter().rev() {
            if symbols.origin(id) != Origin::Allocator {
                let frame = self.frame(id, frame);
                node = self.child(node, frame);
            }
        }
        node
    }

    fn child(&mut self, parent: StackNodeId, frame: FrameId) -> StackNodeId {
        let next = self.nodes.len() as StackNodeId;
        let node = *self.children.entry((parent, frame)).or_insert(next);
        if node == next {
            self.nodes.push(StackNode { parent, frame });
        }
        node
    }

    fn elided(&mut self) -> FrameId {
        let next = self.frames.len() as FrameId;
        let id = *self.elided.get_or_insert(next);
        if id == next {
            self.frames.push(StackFrame::left_out());
        }
        id
    }

    fn frame(&mut self, id: CodeFrameId, address: Frame) -> FrameId {
        if let Some(known) = self.by_code[id.index()] {
            return known;
        }
        let code = self.symbols.code(id);
        let (line, (file, function)) = match (code.line, self.attribution.row_of(id)) {
            (Some(_), Some(place)) => (place.line, self.title(place.table)),
            _ => {
                let title = (code.file.clone(), naming::simplify(&code.function));
                (code.line, title)
            }
        };
        let key = (function, file, line, code.module);
        let next = self.frames.len() as FrameId;
        let frame = *self.by_text.entry(key.clone()).or_insert(next);
        if frame == next {
            let (function, file, line, module) = key;
            self.frames.push(StackFrame {
                function,
                file,
                line,
                origin: self.symbols.origin(id),
                module: Some(usize::from(module)).filter(|&module| module < self.module_count),
                address: address.address(),
                verified: !self.symbols.is_unverified(module),
            });
        }
        self.by_code[id.index()] = Some(frame);
        frame
    }

    fn title(&mut self, table: usize) -> (String, String) {
        let attribution = self.attribution;
        let title = self.titles.entry(table).or_insert_with(|| {
            let (file, function) = attribution.title(table);
            (file.to_owned(), function)
        });
        title.clone()
    }
}
