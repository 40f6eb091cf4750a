//! The stacks of a profile call by call: addresses, and for each the functions that were inlined
//! there.
//!
//! [`Stacks`](super::Stacks) is what people read; this is what tools want that have a table of
//! addresses of their own, such as pprof. A call of the allocator's is left out.

use std::collections::HashMap;

use super::attribution::Attribution;
use super::{
    Figures, FrameId, Loss, Recording, Sampling, Scope, StackFrame, StackModule, StackSpan,
    StackTotal, naming,
};
use crate::defect::Defect;
use crate::profile::{Contexts, Course, Frame, Profile, Totals};
use crate::source::Sources;
use crate::symbolize::{CodeFrameId, Origin, Symbols, call_address};

/// Number of a [`Location`] in [`Calls::locations`].
pub type LocationId = u32;

/// All stacks of a profile, by address.
#[derive(Clone, PartialEq, Debug)]
pub struct Calls {
    /// Which program and when.
    pub recording: Recording,
    /// How it was sampled.
    pub sampling: Sampling,
    /// Distinct lines of functions. Files are named by the path to open them at, where they are
    /// known.
    pub frames: Vec<StackFrame>,
    /// Distinct calls.
    pub locations: Vec<Location>,
    /// The tree. Number 0 is the root, without a location; a parent's number is below its
    /// children's.
    pub nodes: Vec<LocationNode>,
    /// What stacks allocated, freed and kept, in the order of their nodes, at most one for a node.
    pub stacks: Vec<StackTotal>,
    /// The same, each apart by the contexts that were in force: what tools get that have labels.
    pub parts: Vec<StackPart>,
    /// By [`StackPart::contexts`], keys and values. The first is none.
    pub contexts: Vec<Vec<(String, String)>>,
    /// Executables and libraries. The first is the main executable.
    pub modules: Vec<StackModule>,
    /// The sum of all stacks.
    pub total: Figures,
    /// What could not be charged to any stack.
    pub unattributed: Figures,
    /// What the recorder could not keep.
    pub losses: Vec<Loss>,
    /// What is wrong with the profile, or missing beside it.
    pub defects: Vec<Defect>,
}

/// What one stack did itself while the same contexts were in force.
#[derive(Clone, PartialEq, Debug)]
pub struct StackPart {
    /// Node of its innermost call.
    pub node: u32,
    /// Number of the contexts in [`Calls::contexts`].
    pub contexts: usize,
    /// Its figures.
    pub figures: Figures,
    /// Spans of traces that took some of it: for each of its stacks in the recording, the last.
    pub spans: Vec<StackSpan>,
}

/// An address that calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Location {
    /// Number of the module. `None` if unknown, and where frames were left out.
    pub module: Option<usize>,
    /// Address of the call, as written in the module's file.
    pub address: u64,
    /// Its function, innermost inlined one first; never empty.
    pub frames: Vec<FrameId>,
}

/// A call and its caller's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LocationNode {
    /// The caller's node. The root is its own parent.
    pub parent: u32,
    /// The call; of no meaning for the root.
    pub location: LocationId,
}

impl Calls {
    /// The calls of a profile. `defects` are those of the stages before.
    pub fn new(
        profile: &Profile,
        symbols: &Symbols,
        sources: &mut Sources,
        mut defects: Vec<Defect>,
    ) -> Calls {
        let attribution = Attribution::new(profile, symbols, sources, Scope::User);
        let mut tree = CallsBuilder {
            symbols,
            sources,
            attribution: &attribution,
            module_count: profile.modules.len(),
            frames: Vec::new(),
            by_code: vec![None; symbols.ids().count()],
            by_frame: HashMap::new(),
            locations: Vec::new(),
        };
        let root = LocationNode {
            parent: 0,
            location: 0,
        };
        let mut nodes = vec![root];
        // Every node of the profile is one here, unless it is the allocator's: then it stands for
        // its caller.
        let mut ends: Vec<u32> = Vec::with_capacity(profile.nodes.len());
        for node in &profile.nodes {
            let parent = ends.get(node.parent as usize).copied().unwrap_or(0);
            let location = node.frame.and_then(|frame| tree.location(frame));
            ends.push(match location {
                Some(location) => {
                    nodes.push(LocationNode { parent, location });
                    nodes.len() as u32 - 1
                }
                None => parent,
            });
        }
        let mut sums: HashMap<u32, (Totals, Course)> = HashMap::with_capacity(profile.stacks.len());
        let mut parts: HashMap<(u32, usize), (Totals, Vec<StackSpan>)> =
            HashMap::with_capacity(profile.stacks.len());
        let mut total = Totals::default();
        for stack in &profile.stacks {
            let node = ends[stack.node as usize];
            let (sum, course) = sums.entry(node).or_default();
            sum.add(&stack.totals);
            course.add(&stack.course);
            let (part, spans) = parts.entry((node, stack.contexts)).or_default();
            part.add(&stack.totals);
            spans.extend(stack.span);
            total.add(&stack.totals);
        }
        let mut stacks: Vec<StackTotal> = (sums.into_iter())
            .filter(|(_, (totals, _))| !totals.is_empty())
            .map(|(node, (totals, course))| StackTotal {
                node,
                figures: Figures::of(&totals, None),
                course,
            })
            .collect();
        stacks.sort_by_key(|stack| stack.node);
        let mut parts: Vec<StackPart> = (parts.into_iter())
            .filter(|(_, (totals, _))| !totals.is_empty())
            .map(|((node, contexts), (totals, spans))| StackPart {
                node,
                contexts,
                figures: Figures::of(&totals, None),
                spans,
            })
            .collect();
        parts.sort_by_key(|part| (part.node, part.contexts));
        let (frames, locations) = (tree.frames, tree.locations);
        defects.append(&mut sources.take_defects());
        Calls {
            recording: Recording::of(profile),
            sampling: Sampling::of(profile),
            frames,
            locations,
            nodes,
            stacks,
            parts,
            contexts: names(&profile.contexts),
            modules: StackModule::all(profile),
            total: Figures::of(&total, None),
            unattributed: Figures::of(&profile.unattributed, None),
            losses: Loss::of(profile),
            defects,
        }
    }

    /// Gives what could be charged to no stack, and what has no frame, a stack of one call: so that
    /// the stacks add up to the whole, and each can be shown.
    #[must_use]
    pub fn complete(mut self) -> Calls {
        if let Some(bare) = self.stacks.iter().position(|stack| stack.node == 0) {
            let bare = self.stacks.remove(bare);
            self.push(StackFrame::without_frames(), bare.figures, bare.course);
            let node = self.nodes.len() as u32 - 1;
            let bare = self.parts.iter_mut().filter(|part| part.node == 0);
            bare.for_each(|part| part.node = node);
        }
        if self.unattributed != Figures::default() {
            self.push(
                StackFrame::unattributed(),
                self.unattributed,
                Course::default(),
            );
            self.parts.push(StackPart {
                node: self.nodes.len() as u32 - 1,
                contexts: 0,
                figures: self.unattributed,
                spans: Vec::new(),
            });
            self.unattributed = Figures::default();
        }
        self
    }

    fn push(&mut self, frame: StackFrame, figures: Figures, course: Course) {
        self.frames.push(frame);
        self.locations.push(Location {
            module: None,
            address: 0,
            frames: vec![self.frames.len() as FrameId - 1],
        });
        self.nodes.push(LocationNode {
            parent: 0,
            location: self.locations.len() as LocationId - 1,
        });
        self.stacks.push(StackTotal {
            node: self.nodes.len() as u32 - 1,
            figures,
            course,
        });
    }

    /// The calls of a stack that ends in `node`, innermost first.
    pub fn path(&self, node: u32) -> impl Iterator<Item = LocationId> {
        let mut at = node;
        std::iter::from_fn(move || {
            let here = (at != 0).then(|| &self.nodes[at as usize])?;
            at = here.parent;
            Some(here.location)
        })
    }
}

/// By the number of a set, its contexts.
fn names(contexts: &Contexts) -> Vec<Vec<(String, String)>> {
    let name = |&id: &usize| {
        let context = &contexts.all[id];
        (context.key.clone(), context.value.clone())
    };
    let sets = contexts.sets.iter();
    sets.map(|set| set.iter().map(name).collect()).collect()
}

/// Frames and locations in the making.
struct CallsBuilder<'a> {
    symbols: &'a Symbols,
    sources: &'a mut Sources,
    attribution: &'a Attribution,
    module_count: usize,
    frames: Vec<StackFrame>,
    by_code: Vec<Option<FrameId>>,
    by_frame: HashMap<Frame, Option<LocationId>>,
    locations: Vec<Location>,
}

impl CallsBuilder<'_> {
    /// The location of `frame`; `None` if it is the allocator's alone.
    fn location(&mut self, frame: Frame) -> Option<LocationId> {
        if let Some(&known) = self.by_frame.get(&frame) {
            return known;
        }
        let location = self.make(frame);
        let id = location.map(|location| {
            self.locations.push(location);
            self.locations.len() as LocationId - 1
        });
        self.by_frame.insert(frame, id);
        id
    }

    fn make(&mut self, frame: Frame) -> Option<Location> {
        if frame == Frame::ELIDED {
            self.frames.push(StackFrame::left_out());
            return Some(Location {
                module: None,
                address: 0,
                frames: vec![self.frames.len() as FrameId - 1],
            });
        }
        let symbols = self.symbols;
        let frames: Vec<FrameId> = (symbols.of(frame).iter())
            .filter(|&&id| symbols.origin(id) != Origin::Allocator)
            .map(|&id| self.frame(id, frame))
            .collect();
        let module = usize::from(frame.module());
        (!frames.is_empty()).then(|| Location {
            module: Some(module).filter(|&module| module < self.module_count),
            address: call_address(frame),
            frames,
        })
    }

    fn frame(&mut self, id: CodeFrameId, address: Frame) -> FrameId {
        if let Some(known) = self.by_code[id.index()] {
            return known;
        }
        let code = self.symbols.code(id);
        let (file, function, line) = match (code.line, self.attribution.row_of(id)) {
            (Some(_), Some(place)) => {
                let path = self.sources.get(&code.file).path.clone();
                let (_, function) = self.attribution.title(place.table);
                (path.to_string_lossy().into_owned(), function, place.line)
            }
            _ => {
                let function = naming::simplify(&code.function);
                (code.file.clone(), function, code.line)
            }
        };
        let module = usize::from(code.module);
        self.frames.push(StackFrame {
            function,
            file,
            line,
            origin: self.symbols.origin(id),
            module: Some(module).filter(|&module| module < self.module_count),
            address: address.address(),
            verified: !self.symbols.is_unverified(code.module),
        });
        let frame = self.frames.len() as FrameId - 1;
        self.by_code[id.index()] = Some(frame);
        frame
    }
}
