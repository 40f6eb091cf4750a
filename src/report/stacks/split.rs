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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Frame, builder::Builder, parse};
    use crate::report::diff::{PartChanges, type_figures};
    use crate::report::{Metric, Types};
    use crate::source::Places;
    use crate::symbolize::{CodeFrame, Instance, Instances};

    const VEC: &str = "/rustc/598/library/alloc/src/vec/mod.rs";
    const USER: &str = "/home/me/app/src/main.rs";

    /// `load` pushes orders by an inlined function, `look` by one that may be another's.
    fn orders(guessed: u64) -> (Profile, Symbols) {
        let mut builder = Builder::new();
        builder.module("/bin/app");
        let mut symbols = Symbols::default();
        let mut frame = |address, functions: &[(&str, &str)]| {
            let frame = Frame::new(0, address);
            let code = functions
                .iter()
                .map(|(name, file)| CodeFrame::new(name, file, 7));
            symbols.insert(frame, code.collect());
            let instances = functions.iter().map(|(name, _)| Instance {
                name: Some((*name).into()),
                sizes: Vec::new(),
            });
            let functions = instances.collect();
            symbols.insert_instances(
                frame,
                Instances {
                    unit: None,
                    functions,
                },
            );
            frame
        };
        let push = "push<app::Order, alloc::alloc::Global>";
        let load = frame(1, &[(push, VEC), ("app::load", USER)]);
        let shared = frame(2, &[(push, VEC)]);
        let look = frame(3, &[("app::look", USER)]);
        let route = builder.in_context("route", "/");
        for (frames, bytes) in [(vec![load, route], 100), (vec![shared, look], guessed)] {
            let stack = builder.stack(&frames);
            builder.allocated(stack, bytes, 1);
        }
        let (profile, _) = parse("x".as_ref(), builder.to_input()).unwrap();
        (profile, symbols)
    }

    #[test]
    fn types_are_innermost_and_contexts_outermost() {
        let (profile, symbols) = orders(5);
        let mut sources = Sources::new(Places::default());
        let split = Split {
            key: Some("route"),
            types: true,
            granularity: Granularity::Function,
            ..Split::default()
        };
        let stacks = Stacks::split(&profile, &symbols, &mut sources, Vec::new(), split);
        let names = |stack: &StackTotal| -> Vec<&str> {
            stacks
                .path(stack.node)
                .map(|frame| &*frame.function)
                .collect()
        };
        let found: Vec<_> = (stacks.stacks.iter())
            .map(|stack| (names(stack), stack.figures.live.bytes))
            .collect();
        assert_eq!(
            found,
            [
                (vec!["Vec<Order>", "push", "app::load", "route=/"], 100),
                (vec!["~Vec<Order>", "push", "app::look", "route=(none)"], 5),
            ]
        );
        assert_eq!(stacks.total.live.bytes, 105);
    }

    #[test]
    fn a_type_is_compared_with_itself_certain_or_not() {
        let types = |(profile, symbols): (Profile, Symbols)| {
            let mut sources = Sources::new(Places::default());
            Types::new(&profile, &symbols, &mut sources, Vec::new())
        };
        let [base, new] = [5, 70].map(|guessed| type_figures(&types(orders(guessed))));
        let changes = PartChanges::new("type", &base, &new);
        let [row] = &changes.rows[..] else {
            panic!("{changes:?}");
        };
        assert_eq!(row.name.as_deref(), Some("Vec<Order>"));
        let live = row.figures.change(Metric::Live);
        assert_eq!((live.base.bytes, live.new.bytes), (105, 170));
    }
}
