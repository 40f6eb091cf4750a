//! The stacks of a profile below a frame for each context: what each route or tenant did, as a tree.
//!
//! ```text
//! route=/search ── app::main ── app::serve ── app::search
//! route=(none)  ── app::main ── app::start
//! ```

use std::collections::HashMap;

use super::{FrameId, StackFrame, StackNode, StackTotal, Stacks};
use crate::defect::Defect;
use crate::profile::Profile;
use crate::report::attribution::Attribution;
use crate::report::{Granularity, Scope};
use crate::source::Sources;
use crate::symbolize::Symbols;

impl Stacks {
    /// The stacks of a profile by the contexts of `key`, with the frames of `scope`, as fine as
    /// `granularity`. `defects` are those of the stages before.
    pub fn by_context(
        profile: &Profile,
        symbols: &Symbols,
        sources: &mut Sources,
        mut defects: Vec<Defect>,
        (key, scope, granularity): (&str, Scope, Granularity),
    ) -> Stacks {
        let attribution = Attribution::new(profile, symbols, sources, Scope::User);
        defects.append(&mut sources.take_defects());
        let empty = Stacks::of(profile, &[], symbols, &attribution);
        let mut joined = Joined {
            all: Stacks {
                scope,
                defects,
                ..empty
            },
            frames: HashMap::new(),
        };
        for (context, stacks) in profile.stacks_by(key) {
            if stacks.is_empty() {
                continue;
            }
            let value = context.map(|id| &*profile.contexts.all[id].value);
            let part = Stacks::of(profile, &stacks, symbols, &attribution);
            let part = part.restricted(scope, granularity);
            joined.add(StackFrame::context(key, value), part);
        }
        joined.all
    }
}

/// Trees that become one.
struct Joined {
    all: Stacks,
    frames: HashMap<StackFrame, FrameId>,
}

impl Joined {
    /// Puts `part` below `outermost`.
    fn add(&mut self, outermost: StackFrame, part: Stacks) {
        let outermost = self.frame(outermost);
        let frames: Vec<FrameId> = part.frames.into_iter().map(|f| self.frame(f)).collect();
        // The part's root is the context.
        let first = self.all.nodes.len() as u32;
        let nodes = part
            .nodes
            .iter()
            .enumerate()
            .map(|(number, node)| match number {
                0 => StackNode {
                    parent: 0,
                    frame: outermost,
                },
                _ => StackNode {
                    parent: first + node.parent,
                    frame: frames[node.frame as usize],
                },
            });
        self.all.nodes.extend(nodes);
        let stacks = part.stacks.into_iter().map(|stack| StackTotal {
            node: first + stack.node,
            ..stack
        });
        self.all.stacks.extend(stacks);
        self.all.total.add(&part.total);
    }

    fn frame(&mut self, frame: StackFrame) -> FrameId {
        let all = &mut self.all.frames;
        *self.frames.entry(frame).or_insert_with_key(|frame| {
            all.push(frame.clone());
            all.len() as FrameId - 1
        })
    }
}
