//! Stacks as a flamegraph: an SVG page of its own, to be zoomed and searched in a browser.

mod base;

use std::io::{self, Write};

use inferno::flamegraph::color::{BackgroundColor, BasicPalette, MultiPalette, Palette};
use inferno::flamegraph::{Direction, Options, TextTruncateDirection, from_lines};

pub use base::Base;

use super::escape::escape;
use super::footer::{cut_words, footer_lines};
use super::moment;
use crate::report::{CallTree, Metric, StackFrame, Stacks};

/// A flamegraph.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flamegraph;

impl Flamegraph {
    /// Writes `tree`, which was made of `stacks`, to `out`.
    pub fn svg(self, stacks: &Stacks, tree: &CallTree, out: &mut dyn Write) -> io::Result<()> {
        let options = options(stacks, tree, subtitle(footer_lines(stacks), tree));
        write(options, &folded(stacks, tree), out)
    }
}

/// How `tree`, which was made of `stacks`, is drawn.
fn options(stacks: &Stacks, tree: &CallTree, subtitle: String) -> Options<'static> {
    let mut options = Options::default();
    let program = match stacks.recording.program.as_str() {
        "" => "unknown program",
        program => program,
    };
    options.title = format!(
        "{}: {}",
        escape(program),
        moment::title(tree.metric, &stacks.recording)
    );
    options.subtitle = Some(subtitle);
    options.count_name = match tree.metric {
        Metric::Count => "blocks".to_owned(),
        _ => "bytes".to_owned(),
    };
    options.deterministic = true;
    options.text_truncate_direction = TextTruncateDirection::Right;
    options.bgcolors = Some(BackgroundColor::Flat((250, 250, 250).into()));
    (options.direction, options.colors) = match tree.inverted {
        false => (Direction::Straight, Palette::Multi(MultiPalette::Rust)),
        true => (Direction::Inverted, Palette::Basic(BasicPalette::Mem)),
    };
    options
}

fn write(mut options: Options<'_>, lines: &[String], out: &mut dyn Write) -> io::Result<()> {
    if lines.is_empty() {
        // Of nothing, the library makes a picture of an error.
        options.count_name = "nothing was seen".to_owned();
        return from_lines(&mut options, ["(nothing) 1"], out);
    }
    from_lines(&mut options, lines.iter().map(String::as_str), out)
}

/// What is to be known of the picture; `lines` are those of the text's footer.
fn subtitle(mut lines: Vec<String>, tree: &CallTree) -> String {
    /// Characters for which there is room.
    const ROOM: usize = 150;
    // How it was sampled comes first, and matters least where something went wrong.
    lines.reverse();
    lines.extend(cut_words(tree.cut, tree.whole()));
    let line = escape(&lines.join(" ")).into_owned();
    match line.char_indices().nth(ROOM) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// A line for every node that has something of its own: `outer;inner 123`.
fn folded(stacks: &Stacks, tree: &CallTree) -> Vec<String> {
    let names: Vec<String> = stacks.frames.iter().map(label).collect();
    let divisor = divisor(tree);
    let mut lines = Vec::new();
    let mut path: Vec<&str> = Vec::new();
    for node in tree.nodes.iter().skip(1) {
        path.truncate(node.depth - 1);
        path.push(&names[node.frame as usize]);
        let own = node.own / divisor;
        if own > 0 {
            lines.push(format!("{} {own}", path.join(";")));
        }
    }
    lines
}

/// What figures are divided by: the library adds them up without looking, and a damaged profile may
/// hold any.
fn divisor(tree: &CallTree) -> i64 {
    let own = tree.nodes.iter().skip(1).map(|node| node.own.max(0) as u64);
    let sum: u128 = own.map(u128::from).sum();
    i64::try_from(sum / i64::MAX as u128)
        .unwrap_or(i64::MAX)
        .saturating_add(1)
}

/// A frame's name, without what means something in a line of stacks.
fn label(frame: &StackFrame) -> String {
    let place = match (frame.line, frame.file.rsplit('/').next()) {
        (Some(line), Some(file)) => format!(" ({file}:{line})"),
        _ => String::new(),
    };
    let name = format!("{}{place}", frame.function);
    let name = escape(&name).replace(';', ",");
    // A number at the end would be taken for a figure.
    match name.trim().rsplit(' ').next() {
        Some(word) if !word.is_empty() && word.parse::<f64>().is_err() => name.trim().to_owned(),
        _ => format!("{}()", name.trim()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Origin;

    #[test]
    fn labels_hold_nothing_that_means_something_in_folded_stacks() {
        let label_of = |function: &str, line| {
            label(&StackFrame {
                function: function.to_owned(),
                file: "/a/b.rs".to_owned(),
                line,
                origin: Origin::User,
                module: None,
                address: 0,
                verified: true,
            })
        };
        assert_eq!(label_of("<[u8; 4]>::f", Some(3)), "<[u8, 4]>::f (b.rs:3)");
        assert_eq!(label_of("f 12", None), "f 12()");
        assert_eq!(label_of(" ", None), "()");
        assert_eq!(label_of("a\nb 1 2", None), r"a\u{a}b 1 2()");
    }
}
