//! Stacks as JSON, for programs. `docs/json.md` describes the shape.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;

use super::json_text;
use crate::render::FiguresShape;
use crate::render::shape::{self, LossShape, RecordingShape, SamplingShape};
use crate::report::{Origin, StackFrame, StackModule, StackNode, StackTotal, Stacks};

/// Name and version of the shape.
const STACKS: &str = "memprof-stacks/1";

/// Stacks as JSON.
#[derive(Clone, Copy, Debug, Default)]
pub struct StacksJson;

impl StacksJson {
    /// Writes the stacks to `out`.
    pub fn export(&self, stacks: &Stacks, out: &mut dyn Write) -> io::Result<()> {
        let shape = ExportShape {
            schema: STACKS,
            recording: RecordingShape::of(&stacks.recording),
            sampling: SamplingShape::of(&stacks.sampling),
            modules: stacks.modules.iter().map(ModuleShape::of).collect(),
            frames: stacks.frames.iter().map(FrameShape::of).collect(),
            nodes: stacks.nodes.iter().map(NodeShape::of).collect(),
            stacks: stacks.stacks.iter().map(StackShape::of).collect(),
            losses: shape::losses(&stacks.losses),
            defects: shape::defects(&stacks.defects),
        };
        json_text::write(&shape, out)
    }
}

#[derive(Serialize)]
struct ExportShape<'a> {
    schema: &'static str,
    recording: RecordingShape<'a>,
    sampling: SamplingShape,
    modules: Vec<ModuleShape<'a>>,
    frames: Vec<FrameShape<'a>>,
    nodes: Vec<NodeShape>,
    stacks: Vec<StackShape>,
    losses: Vec<LossShape>,
    defects: Vec<String>,
}

#[derive(Serialize)]
struct ModuleShape<'a> {
    path: Cow<'a, str>,
    build_id: &'a str,
}

impl<'a> ModuleShape<'a> {
    fn of(module: &'a StackModule) -> Self {
        ModuleShape {
            // Paths are bytes, JSON is text.
            path: module.path.to_string_lossy(),
            build_id: &module.build_id,
        }
    }
}

#[derive(Serialize)]
struct FrameShape<'a> {
    function: &'a str,
    file: &'a str,
    line: Option<u32>,
    origin: &'static str,
    module: Option<usize>,
    verified: bool,
}

impl<'a> FrameShape<'a> {
    fn of(frame: &'a StackFrame) -> Self {
        FrameShape {
            function: &frame.function,
            file: &frame.file,
            line: frame.line,
            origin: match frame.origin {
                Origin::User => "user",
                Origin::Unknown => "unknown",
                Origin::Dependency => "dependency",
                Origin::Allocator => "allocator",
            },
            module: frame.module,
            verified: frame.verified,
        }
    }
}

#[derive(Serialize)]
struct NodeShape {
    parent: u32,
    frame: u32,
}

impl NodeShape {
    fn of(node: &StackNode) -> Self {
        NodeShape {
            parent: node.parent,
            frame: node.frame,
        }
    }
}

#[derive(Serialize)]
struct StackShape {
    node: u32,
    last_ns: u64,
    #[serde(flatten)]
    figures: FiguresShape,
}

impl StackShape {
    fn of(stack: &StackTotal) -> Self {
        StackShape {
            node: stack.node,
            last_ns: stack.course.taken.map_or(0, |taken| taken.last_ns),
            figures: FiguresShape::of(&stack.figures),
        }
    }
}
