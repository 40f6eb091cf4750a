//! A flamegraph that is compared with another recording: as wide as the new one, red where it has
//! more, blue where less.
//!
//! Frames are the same if they read the same. What only the base has cannot be as wide as anything
//! in the new recording; it counts in the frame above it, which shows as less there.

use std::collections::HashMap;
use std::io::{self, Write};

use inferno::flamegraph::color::BackgroundColor;

use super::{Flamegraph, divisor, label, options, subtitle, write};
use crate::render::footer::footer_lines;
use crate::render::format;
use crate::report::{CallTree, Metric, Stacks};

/// The recording that a flamegraph is compared with.
#[derive(Clone, Copy, Debug)]
pub struct Base<'a> {
    /// Its stacks.
    pub stacks: &'a Stacks,
    /// A tree of them, of the same figure and in the same direction, of which nothing was left out.
    pub tree: &'a CallTree,
}

impl Flamegraph {
    /// Writes `tree`, which was made of `stacks`, compared with `base`, to `out`.
    pub fn svg_with_base(
        self,
        (stacks, tree): (&Stacks, &CallTree),
        base: Base<'_>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let value = |value: i64| match tree.metric {
            Metric::Count => format::count(value),
            _ => format::bytes(value),
        };
        // The last comes first.
        let mut notes = footer_lines(base.stacks);
        notes.extend(footer_lines(stacks));
        notes.dedup();
        notes.push(format!(
            "{} in the base, {} in the new recording; red: more, blue: less.",
            value(base.tree.whole()),
            value(tree.whole()),
        ));
        let mut options = options(stacks, tree, subtitle(notes, tree));
        // What did not change is white, which is to be seen too.
        options.bgcolors = Some(BackgroundColor::Flat((226, 229, 234).into()));
        write(options, &compared((stacks, tree), base), out)
    }
}

/// A frame of the new recording, and what both have in it that no frame below it has.
struct ComparedNode {
    parent: usize,
    label: usize,
    depth: usize,
    own: i64,
    base: i64,
}

/// A line for every node in which either has something of its own: `outer;inner 100 123`.
fn compared((stacks, tree): (&Stacks, &CallTree), base: Base<'_>) -> Vec<String> {
    let mut labels: Vec<String> = Vec::new();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let mut number = |stacks: &Stacks| -> Vec<usize> {
        let frames = stacks.frames.iter().map(|frame| {
            let name = label(frame);
            *numbers.entry(name).or_insert_with_key(|name| {
                labels.push(name.clone());
                labels.len() - 1
            })
        });
        frames.collect()
    };
    let (names, base_names) = (number(stacks), number(base.stacks));

    let mut nodes = vec![ComparedNode {
        parent: 0,
        label: 0,
        depth: 0,
        own: 0,
        base: 0,
    }];
    let mut children: HashMap<(usize, usize), usize> = HashMap::new();
    // By node of the tree: its number here.
    let mut places = vec![0; tree.nodes.len()];
    for (index, node) in tree.nodes.iter().enumerate().skip(1) {
        let (parent, label) = (places[node.parent], names[node.frame as usize]);
        let next = nodes.len();
        let place = *children.entry((parent, label)).or_insert(next);
        if place == next {
            nodes.push(ComparedNode {
                parent,
                label,
                depth: node.depth,
                own: 0,
                base: 0,
            });
        }
        nodes[place].own = nodes[place].own.saturating_add(node.own.max(0));
        places[index] = place;
    }
    // By node of the base's tree: its number here or that of the innermost frame above it that is
    // here, and which it is.
    let mut places = vec![(0, true); base.tree.nodes.len()];
    for (index, node) in base.tree.nodes.iter().enumerate().skip(1) {
        let (parent, is_here) = places[node.parent];
        let label = base_names[node.frame as usize];
        let here = children.get(&(parent, label)).filter(|_| is_here);
        places[index] = (here.copied().unwrap_or(parent), here.is_some());
        let place = &mut nodes[places[index].0];
        place.base = place.base.saturating_add(node.own.max(0));
    }

    let divisor = divisor(tree).max(divisor(base.tree));
    let mut lines = Vec::new();
    for node in nodes.iter().skip(1) {
        let (base, own) = (node.base / divisor, node.own / divisor);
        if base == 0 && own == 0 {
            continue;
        }
        let mut path = vec![labels[node.label].as_str(); node.depth];
        let mut above = node.parent;
        while above != 0 {
            path[nodes[above].depth - 1] = &labels[nodes[above].label];
            above = nodes[above].parent;
        }
        lines.push(format!("{} {base} {own}", path.join(";")));
    }
    lines
}
