//! The stacks of a profile as its author reads them: a tree of functions and lines, with figures
//! where a stack ends.
//!
//! Addresses on one line are one frame, inlined functions are frames of their own, and the
//! allocator's frames are left out. Every view of stacks is made from this tree: flamegraph, text
//! tree, leaks, exports.

mod builder;
mod split;

use std::borrow::Cow;
use std::path::PathBuf;

pub use split::Split;

use super::{Figures, HeapGrowth, Loss, Metric, Recording, Sampling, Scope};
use crate::defect::Defect;
use crate::profile::{ContextPattern, Course, Profile};
use crate::symbolize::{Origin, crate_of};

/// What stands above all stacks without any frame of the user's own source.
pub const OUTSIDE: &str = "(outside the program's own source)";

/// Number of a [`StackFrame`] in [`Stacks::frames`].
pub type FrameId = u32;
/// Number of a [`StackNode`] in [`Stacks::nodes`].
pub type StackNodeId = u32;

/// All stacks of a profile.
#[derive(Clone, PartialEq, Debug)]
pub struct Stacks {
    /// Which program and when.
    pub recording: Recording,
    /// How it was sampled.
    pub sampling: Sampling,
    /// Whose frames there are.
    pub scope: Scope,
    /// Distinct frames.
    pub frames: Vec<StackFrame>,
    /// The tree. Number 0 is the root, without a frame; a parent's number is below its children's.
    pub nodes: Vec<StackNode>,
    /// What stacks allocated, freed and kept, in the order of their nodes, at most one for a node.
    pub stacks: Vec<StackTotal>,
    /// Where each stack of the profile ends, by its place there; empty where they are split up.
    pub(super) ends: Vec<StackNodeId>,
    /// Times at which it is known what each stack had live, in nanoseconds since the start.
    pub waypoints: Vec<u64>,
    /// By how much the whole heap grew; it is counted, whatever stacks say. `None` if it did not.
    pub heap_growth: Option<HeapGrowth>,
    /// Executables and libraries, by [`StackFrame::module`]. The first is the main executable.
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

/// A line of a function.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct StackFrame {
    /// The function as in the report's tables, or `module+0xoffset`.
    pub function: String,
    /// The source file: as in the report's tables if it is the user's, else as the compiler wrote
    /// it; empty if unknown.
    pub file: String,
    /// From 1. `None` if unknown, or made by the compiler.
    pub line: Option<u32>,
    /// Whose code it is.
    pub origin: Origin,
    /// Number of the module. `None` for frames of no module.
    pub module: Option<usize>,
    /// Return address of one of its calls, as written in the module's file.
    pub address: u64,
    /// Whether the module's file is the recorded one; if not, function and line may be wrong.
    pub verified: bool,
}

impl StackFrame {
    /// Stands where the middle of a very deep stack was left out.
    pub(super) fn left_out() -> StackFrame {
        StackFrame::named("(frames left out)")
    }

    /// Stands for what could be charged to no stack.
    pub(super) fn unattributed() -> StackFrame {
        StackFrame::named("(not attributed)")
    }

    /// Stands for stacks of which no frame is known.
    pub(super) fn without_frames() -> StackFrame {
        StackFrame::named("(no frame)")
    }

    /// Stands above the stacks without any frame of the user's own source.
    pub(super) fn outside() -> StackFrame {
        StackFrame {
            origin: Origin::Dependency,
            ..StackFrame::named(OUTSIDE)
        }
    }

    /// Whether it stands for everything outside of the user's own source.
    pub fn is_outside(&self) -> bool {
        self.function == OUTSIDE && self.file.is_empty()
    }

    /// The crate it is of, or else the file name of its module.
    pub fn crate_name<'a>(&'a self, modules: &'a [StackModule]) -> Cow<'a, str> {
        let module = || {
            let path = &modules.get(self.module?)?.path;
            Some(path.file_name()?.to_string_lossy())
        };
        crate_of(&self.function, &self.file)
            .or_else(module)
            .unwrap_or_default()
    }

    /// Stands for a context, outside of all that was done in it.
    pub(super) fn context(key: &str, value: Option<&str>) -> StackFrame {
        StackFrame::named(&ContextPattern::new(key, value).to_string())
    }

    /// Stands for what a stack allocated, inside of all its functions.
    pub(super) fn of_type(name: &str) -> StackFrame {
        StackFrame::named(name)
    }

    fn named(function: &str) -> StackFrame {
        StackFrame {
            function: function.to_owned(),
            file: String::new(),
            line: None,
            origin: Origin::Unknown,
            module: None,
            address: 0,
            verified: true,
        }
    }
}

/// A frame and its caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StackNode {
    /// The caller's node. The root is its own parent.
    pub parent: StackNodeId,
    /// The frame; of no meaning for the root.
    pub frame: FrameId,
}

/// What one stack did itself, callees not included.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct StackTotal {
    /// Node of its innermost frame.
    pub node: StackNodeId,
    /// Its figures.
    pub figures: Figures,
    /// When that was.
    pub course: Course,
}

/// An executable or library.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StackModule {
    /// Path of its file; empty if unknown.
    pub path: PathBuf,
    /// Build-id in hexadecimal digits; empty if it has none.
    pub build_id: String,
}

impl StackModule {
    pub(super) fn all(profile: &Profile) -> Vec<StackModule> {
        let modules = profile.modules.iter().map(|module| StackModule {
            path: module.path.clone(),
            build_id: module.build_id.iter().map(|b| format!("{b:02x}")).collect(),
        });
        modules.collect()
    }
}

impl Stacks {
    /// Gives what could be charged to no stack, and what has no frame, a stack of one frame: so
    /// that the stacks add up to the whole, and each can be shown.
    #[must_use]
    pub fn complete(mut self) -> Stacks {
        if let Some(bare) = self.stacks.iter().position(|stack| stack.node == 0) {
            let bare = self.stacks.remove(bare);
            self.push(StackFrame::without_frames(), bare.figures, bare.course);
        }
        if self.unattributed != Figures::default() {
            self.push(
                StackFrame::unattributed(),
                self.unattributed,
                Course::default(),
            );
            self.unattributed = Figures::default();
        }
        self
    }

    fn push(&mut self, frame: StackFrame, figures: Figures, course: Course) {
        self.frames.push(frame);
        self.nodes.push(StackNode {
            parent: 0,
            frame: self.frames.len() as FrameId - 1,
        });
        self.stacks.push(StackTotal {
            node: self.nodes.len() as StackNodeId - 1,
            figures,
            course,
        });
    }

    /// The frames of a stack that ends in `node`, innermost first.
    pub fn path(&self, node: StackNodeId) -> impl Iterator<Item = &StackFrame> {
        let mut at = node;
        std::iter::from_fn(move || {
            let here = (at != 0).then(|| &self.nodes[at as usize])?;
            at = here.parent;
            Some(&self.frames[here.frame as usize])
        })
    }

    /// The figure of every node, callees included, by node number.
    pub fn inclusive(&self, metric: Metric) -> Vec<i64> {
        let mut sums = vec![0_i64; self.nodes.len()];
        for stack in &self.stacks {
            sums[stack.node as usize] = metric.of(&stack.figures).bytes;
        }
        for number in (1..self.nodes.len()).rev() {
            let parent = self.nodes[number].parent as usize;
            sums[parent] = sums[parent].saturating_add(sums[number]);
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Frame, builder::Builder, parse};
    use crate::source::{Places, Sources};
    use crate::symbolize::{CodeFrame, Symbols};

    #[test]
    fn addresses_on_one_line_are_one_frame_and_the_allocator_is_none() {
        let mut builder = Builder::new();
        builder.module("/bin/app");
        let frame = |address| Frame::new(0, address);
        let first = builder.stack(&[frame(9), frame(1), frame(5)]);
        builder.allocated(first, 100, 1);
        let second = builder.stack(&[frame(9), frame(2), frame(5)]);
        builder.allocated(second, 20, 2);
        let deep = builder.stack(&[frame(3), Frame::ELIDED, frame(5)]);
        builder.allocated(deep, 3, 1);
        let mut symbols = Symbols::default();
        let code = |name: &str, line| CodeFrame::new(name, "/home/me/app/src/main.rs", line);
        symbols.insert(frame(5), vec![code("app::main", 1)]);
        symbols.insert(frame(1), vec![code("app::run<u8>", 2)]);
        symbols.insert(frame(2), vec![code("app::run<u16>", 2)]);
        symbols.insert(
            frame(9),
            vec![
                CodeFrame::new("__rust_alloc", "", 1),
                code("app::inlined", 3),
            ],
        );
        symbols.insert(frame(3), vec![code("app::deep", 4)]);
        let (profile, _) = parse("x".as_ref(), builder.to_input()).unwrap();
        let mut sources = Sources::new(Places::default());
        let stacks = Stacks::new(&profile, &symbols, &mut sources, Vec::new());
        let shown: Vec<(Vec<&str>, i64)> = (stacks.stacks.iter())
            .map(|stack| {
                let path = stacks.path(stack.node);
                let names = path.map(|frame| frame.function.as_str()).collect();
                (names, stack.figures.allocated.bytes)
            })
            .collect();
        assert_eq!(
            shown,
            [
                (vec!["app::inlined", "app::run", "app::main"], 120),
                (vec!["app::deep", "(frames left out)", "app::main"], 3),
            ]
        );
        assert_eq!(stacks.total.count, 4);
        let sums = stacks.inclusive(Metric::Allocated);
        assert_eq!(sums[0], 123);
        assert_eq!(sums, [123, 123, 120, 120, 3, 3]);
    }
}
