//! The stacks of a profile split up: below a frame for each context, and above one for each type of
//! what they allocated.
//!
//! ```text
//! route=/search ── app::main ── app::search ── Vec<Hit>
//!                                           └─ String
//! route=(none)  ── app::main ── app::start ── HashMap<u64, Page>
//! ```

use std::collections::{BTreeMap, HashMap};

use super::{FrameId, StackFrame, StackNode, StackNodeId, StackTotal, Stacks};
use crate::defect::Defect;
use crate::profile::{Course, Profile, Stack};
use crate::report::attribution::Attribution;
use crate::report::types::TypeRows;
use crate::report::{Figures, Granularity, Scope};
use crate::source::Sources;
use crate::symbolize::Symbols;

/// What stacks are split up by, and how fine their frames are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Split<'a> {
    /// Contexts of this key are outermost.
    pub key: Option<&'a str>,
    /// Types are innermost; the functions' type arguments are to be looked up before.
    pub types: bool,
    /// Whose frames there are.
    pub scope: Scope,
    /// How fine.
    pub granularity: Granularity,
}

impl Stacks {
    /// The stacks of a profile, split up. `defects` are those of the stages before.
    pub fn split(
        profile: &Profile,
        symbols: &Symbols,
        sources: &mut Sources,
        mut defects: Vec<Defect>,
        split: Split<'_>,
    ) -> Stacks {
        let attribution = Attribution::new(profile, symbols, sources, Scope::User);
        defects.append(&mut sources.take_defects());
        let types = (split.types).then(|| TypeRows::new(profile, symbols, &attribution));
        let empty = Stacks::of(profile, &[], symbols, &attribution);
        let mut joined = Joined::new(Stacks {
            scope: split.scope,
            defects,
            ..empty
        });
        for (outermost, stacks) in by_context(profile, split.key) {
            for (innermost, stacks) in by_type(types.as_ref(), stacks) {
                let part = Stacks::of(profile, &stacks, symbols, &attribution);
                let part = part.restricted(split.scope, split.granularity);
                joined.add(outermost.as_ref(), innermost, part);
            }
        }
        joined.into_stacks()
    }
}

fn by_context(profile: &Profile, key: Option<&str>) -> Vec<(Option<StackFrame>, Vec<Stack>)> {
    let Some(key) = key else {
        return vec![(None, profile.stacks.clone())];
    };
    let parts = profile.stacks_by(key).into_iter();
    let parts = parts.filter(|(_, stacks)| !stacks.is_empty());
    let parts = parts.map(|(context, stacks)| {
        let value = context.map(|id| &*profile.contexts.all[id].value);
        (Some(StackFrame::context(key, value)), stacks)
    });
    parts.collect()
}

/// What only frees has no type.
fn by_type(
    types: Option<&TypeRows<'_>>,
    stacks: Vec<Stack>,
) -> Vec<(Option<StackFrame>, Vec<Stack>)> {
    let Some(types) = types else {
        return vec![(None, stacks)];
    };
    let mut parts: BTreeMap<Option<String>, Vec<Stack>> = BTreeMap::new();
    for stack in stacks {
        let kind = types.kind_of(&stack).map(|kind| kind.short());
        parts.entry(kind).or_default().push(stack);
    }
    let parts = parts.into_iter();
    parts
        .map(|(kind, stacks)| (kind.map(|kind| StackFrame::of_type(&kind)), stacks))
        .collect()
}

/// Trees that become one.
struct Joined {
    all: Stacks,
    frames: HashMap<StackFrame, FrameId>,
    children: HashMap<(StackNodeId, FrameId), StackNodeId>,
    sums: BTreeMap<StackNodeId, (Figures, Course)>,
}

impl Joined {
    fn new(empty: Stacks) -> Joined {
        Joined {
            all: empty,
            frames: HashMap::new(),
            children: HashMap::new(),
            sums: BTreeMap::new(),
        }
    }

    /// Puts `part` below `outermost`, with `innermost` at the end of each of its stacks.
    fn add(&mut self, outermost: Option<&StackFrame>, innermost: Option<StackFrame>, part: Stacks) {
        let root = outermost.map_or(0, |frame| self.child(0, frame.clone()));
        // Parents come before children, so a caller's node is known when its callee asks for it.
        let mut nodes: Vec<StackNodeId> = Vec::with_capacity(part.nodes.len());
        for (number, node) in part.nodes.iter().enumerate() {
            nodes.push(match number {
                0 => root,
                _ => {
                    let frame = part.frames[node.frame as usize].clone();
                    self.child(nodes[node.parent as usize], frame)
                }
            });
        }
        for stack in part.stacks {
            let end = nodes[stack.node as usize];
            let end = match &innermost {
                Some(frame) => self.child(end, frame.clone()),
                None => end,
            };
            let (sum, course) = self.sums.entry(end).or_default();
            sum.add(&stack.figures);
            course.add(&stack.course);
        }
        self.all.total.add(&part.total);
    }

    fn child(&mut self, parent: StackNodeId, frame: StackFrame) -> StackNodeId {
        let frames = &mut self.all.frames;
        let frame = *self.frames.entry(frame).or_insert_with_key(|frame| {
            frames.push(frame.clone());
            frames.len() as FrameId - 1
        });
        let nodes = &mut self.all.nodes;
        *self.children.entry((parent, frame)).or_insert_with(|| {
            nodes.push(StackNode { parent, frame });
            nodes.len() as StackNodeId - 1
        })
    }

    fn into_stacks(self) -> Stacks {
        let stacks = self.sums.into_iter();
        let stacks = stacks.map(|(node, (figures, course))| StackTotal {
            node,
            figures,
            course,
        });
        Stacks {
            stacks: stacks.collect(),
            ..self.all
        }
    }
}
