//! Stacks as a tree in text, callees below their callers or the other way round.

use std::io::{self, Write};

use super::escape::escape;
use super::foot::{cut_words, foot};
use super::style::TITLE;
use super::words;
use crate::report::{Bytes, CallNode, CallTree, Metric, Origin, StackFrame, Stacks};

/// A text tree for people.
#[derive(Clone, Copy, Debug, Default)]
pub struct TreeText {
    /// Characters of a line of the terminal; longer lines are cut there. `None` keeps them whole.
    pub width: Option<usize>,
}

impl TreeText {
    /// Writes `tree`, which was made of `stacks`, to `out`.
    pub fn tree(&self, stacks: &Stacks, tree: &CallTree, out: &mut dyn Write) -> io::Result<()> {
        let order = match tree.inverted {
            false => "callees below their callers",
            true => "callers below their callees",
        };
        let whole = value(tree.metric, tree.nodes[0].sum);
        let what = metric_words(tree.metric);
        writeln!(out, "{TITLE}{what}: {whole}; {order}{TITLE:#}\n")?;
        writeln!(out, "{:>12} {:>7} {:>12}", "Total", "Share", "Self")?;
        let shape = Shape::of(tree);
        for (number, node) in tree.nodes.iter().enumerate().skip(1) {
            let frame = &stacks.frames[node.frame as usize];
            let row = self.row(tree, node, &shape.prefix(tree, number), frame);
            writeln!(out, "{row}")?;
        }
        if tree.nodes.len() == 1 {
            writeln!(out, "{:>12}", "nothing")?;
        }
        writeln!(out)?;
        if let Some(words) = cut_words(tree.cut, tree.whole()) {
            writeln!(out, "{words}")?;
        }
        foot(stacks, out)
    }

    fn row(&self, tree: &CallTree, node: &CallNode, prefix: &str, frame: &StackFrame) -> String {
        let share = node.sum.bytes as f64 / tree.whole().max(1) as f64 * 100.0;
        let own = match node.own {
            0 => String::new(),
            bytes => value(
                tree.metric,
                Bytes {
                    bytes,
                    standard_error: 0.0,
                },
            ),
        };
        let name = format!("{prefix}{}", escape(&frame_name(frame)));
        let figures = format!(
            "{:>12} {share:>6.1}% {own:>12}  ",
            value(tree.metric, node.sum)
        );
        match self.width {
            Some(width) if width > figures.len() + 16 => {
                format!(
                    "{figures}{}",
                    super::text::cut(&name, width - figures.len())
                )
            }
            _ => format!("{figures}{name}"),
        }
    }
}

/// A frame in one line of text.
pub(super) fn frame_name(frame: &StackFrame) -> String {
    let mark = if frame.verified { "" } else { " ?" };
    let file = match frame.origin {
        Origin::User => frame.file.as_str(),
        // Where std and dependencies lie is of no interest, and long.
        _ => frame.file.rsplit('/').next().unwrap_or_default(),
    };
    match (frame.line, file) {
        (_, "") => format!("{}{mark}", frame.function),
        (Some(line), file) => format!("{}  {file}:{line}{mark}", frame.function),
        (None, file) => format!("{}  {file}{mark}", frame.function),
    }
}

/// What a figure is, in words.
pub(super) fn metric_words(metric: Metric) -> &'static str {
    match metric {
        Metric::Peak => "Bytes in use at the peak",
        Metric::Live => "Bytes in use at the end",
        Metric::Allocated => "Bytes allocated",
        Metric::Freed => "Bytes freed",
        Metric::Increment => "Bytes allocated minus freed",
        Metric::Temporary => "Bytes freed at once",
        Metric::Reallocated => "Bytes from realloc",
        Metric::Count => "Blocks allocated",
    }
}

/// A figure of `metric` with its unit, marked if it is mostly noise.
pub(super) fn value(metric: Metric, figure: Bytes) -> String {
    let mark = if figure.is_noise() { "~" } else { "" };
    match metric {
        Metric::Count => format!("{mark}{}", words::count(figure.bytes)),
        _ => format!("{mark}{}", words::bytes(figure.bytes)),
    }
}

/// Where lines branch off.
struct Shape {
    children: Vec<u32>,
    is_last: Vec<bool>,
}

impl Shape {
    fn of(tree: &CallTree) -> Shape {
        let mut children = vec![0; tree.nodes.len()];
        let mut is_last = vec![false; tree.nodes.len()];
        let mut seen = vec![false; tree.nodes.len()];
        for (number, node) in tree.nodes.iter().enumerate().skip(1).rev() {
            children[node.parent] += 1;
            is_last[number] = !std::mem::replace(&mut seen[node.parent], true);
        }
        Shape { children, is_last }
    }

    /// What stands before the name of a node. An only child stands right below its parent: deep chains stay narrow.
    fn prefix(&self, tree: &CallTree, number: usize) -> String {
        let is_only = |number: usize| self.children[tree.nodes[number].parent] == 1;
        let mut parts = Vec::new();
        if !is_only(number) {
            parts.push(if self.is_last[number] {
                "└─ "
            } else {
                "├─ "
            });
        }
        let mut above = tree.nodes[number].parent;
        while above != 0 {
            if !is_only(above) {
                parts.push(if self.is_last[above] { "   " } else { "│  " });
            }
            above = tree.nodes[above].parent;
        }
        parts.reverse();
        parts.concat()
    }
}
