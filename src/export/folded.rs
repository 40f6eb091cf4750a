//! Folded stacks: one line for each, `main;load;parse 4096`, as flamegraph tools read them.

use std::borrow::Cow;
use std::io::{self, Write};

use super::label;
use crate::report::{Metric, StackFrame, Stacks};

/// Folded stacks, outermost function first. Stacks with nothing of the figure are left out, as are
/// those below 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Folded {
    /// The figure.
    pub metric: Metric,
    /// Write lines as well: `load (src/main.rs:12)`.
    pub lines: bool,
}

impl Folded {
    /// Writes the stacks to `out`.
    pub fn export(&self, stacks: &Stacks, out: &mut dyn Write) -> io::Result<()> {
        let names: Vec<String> = (stacks.frames.iter())
            .map(|frame| self.name(frame))
            .collect();
        let mut path: Vec<&str> = Vec::new();
        for stack in &stacks.stacks {
            let value = self.metric.of(&stack.figures).bytes;
            if value <= 0 {
                continue;
            }
            path.clear();
            let mut node = stack.node;
            while node != 0 {
                let at = &stacks.nodes[node as usize];
                path.push(&names[at.frame as usize]);
                node = at.parent;
            }
            for (index, name) in path.iter().rev().enumerate() {
                let separator = if index == 0 { "" } else { ";" };
                write!(out, "{separator}{name}")?;
            }
            writeln!(out, " {value}")?;
        }
        Ok(())
    }

    fn name(&self, frame: &StackFrame) -> String {
        let name: Cow<'_, str> = match self.lines {
            true => label::function_and_line(frame).into(),
            false => label::function(frame),
        };
        // What parts frames may not stand in one.
        name.replace(';', ":")
    }
}
