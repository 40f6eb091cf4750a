//! Stacks as a tree in text, callees below their callers or the other way round.

use std::io::{self, Write};

use super::cut::cut_middle;
use super::escape::escape;
use super::footer::{cut_words, footer};
use super::style::TITLE;
use super::{format, moment};
use crate::report::{Bytes, CallNode, CallTree, Metric, Origin, StackFrame, Stacks};
use unicode_width::UnicodeWidthStr;

/// Columns of a name that are shown however narrow the terminal is.
const MIN_WIDTH: usize = 16;

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
        let what = moment::title(tree.metric, &stacks.recording);
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
        footer(stacks, out)
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
        let figures = format!(
            "{:>12} {share:>6.1}% {own:>12}  ",
            value(tree.metric, node.sum)
        );
        let used = figures.len() + prefix.width();
        match self.width {
            Some(width) if width > used + MIN_WIDTH => {
                format!("{figures}{prefix}{}", frame_within(frame, width - used))
            }
            _ => format!("{figures}{prefix}{}", escape(&frame_name(frame))),
        }
    }
}

/// A frame in `width` columns: the folders of its file go first, then the middle of its function.
fn frame_within(frame: &StackFrame, width: usize) -> String {
    let whole = escape(&frame_name(frame)).into_owned();
    let Some((function, place)) = whole.rsplit_once("  ").filter(|_| whole.width() > width) else {
        return cut_middle(&whole, width);
    };
    let place = place.rsplit('/').next().unwrap_or(place);
    match width.saturating_sub(place.width() + 2) {
        0..MIN_WIDTH => cut_middle(&whole, width),
        room => format!("{}  {place}", cut_middle(function, room)),
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

/// A figure of `metric` with its unit, marked if it is mostly noise.
pub(super) fn value(metric: Metric, figure: Bytes) -> String {
    let mark = if figure.is_noise() { "~" } else { "" };
    match metric {
        Metric::Count => format!("{mark}{}", format::count(figure.bytes)),
        _ => format!("{mark}{}", format::bytes(figure.bytes)),
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

    /// What stands before the name of a node. An only child stands right below its parent: deep
    /// chains stay narrow.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_keeps_both_ends_of_its_function_and_its_place() {
        let frame = StackFrame {
            function: "app::index::write_all_of_it".to_owned(),
            file: "crates/app/src/index.rs".to_owned(),
            line: Some(12),
            origin: Origin::User,
            module: None,
            address: 0,
            verified: true,
        };
        let whole = "app::index::write_all_of_it  crates/app/src/index.rs:12";
        assert_eq!(frame_within(&frame, 55), whole);
        let without_folders = "app::index::write_all_of_it  index.rs:12";
        assert_eq!(frame_within(&frame, 54), without_folders);
        assert_eq!(frame_within(&frame, 40), without_folders);
        let cut = "app::in…te_all_of_it  index.rs:12";
        assert_eq!(frame_within(&frame, 33), cut);
        assert_eq!(frame_within(&frame, 20), "app::in…/index.rs:12");
    }
}
