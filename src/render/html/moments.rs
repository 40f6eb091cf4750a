//! The part of a page's data by which moments of the run are chosen: what each stack had live when.

use serde::Serialize;

use super::parts::Frames;
use crate::render::escape::escape;
use crate::report::{MomentStacks, Stacks};

/// Nodes, and cohorts, of pages on which moments can be chosen: a browser adds them up in some ten
/// milliseconds.
const MOST: usize = 400_000;

#[derive(Serialize)]
pub struct MomentsData {
    /// Nanoseconds since the start.
    times: Vec<u64>,
    /// Of marks.
    names: Vec<Option<String>>,
    /// Frame and parent of each node, one after the other. A subtree is in one piece; the root is
    /// the first.
    nodes: Vec<usize>,
    /// Node, birth, last moment and bytes of each cohort, one after the other.
    cohorts: Vec<i64>,
}

impl MomentsData {
    /// `None` of a profile without moments, or of one that is too large.
    pub fn of(moments: &MomentStacks, stacks: &Stacks, frames: &mut Frames) -> Option<MomentsData> {
        let is_large = moments.cohorts.len() > MOST || stacks.nodes.len() > MOST;
        if moments.moments.is_empty() || is_large {
            return None;
        }
        let (nodes, places) = in_order(stacks, frames);
        let cohorts = moments.cohorts.iter().flat_map(|cohort| {
            [
                places[cohort.node as usize] as i64,
                cohort.birth as i64,
                cohort.last as i64,
                cohort.bytes,
            ]
        });
        let name = |name: &String| escape(name).into_owned();
        Some(MomentsData {
            times: moments.moments.iter().map(|it| it.time_ns).collect(),
            names: (moments.moments.iter())
                .map(|it| it.mark.as_ref().map(name))
                .collect(),
            nodes,
            cohorts: cohorts.collect(),
        })
    }
}

/// The nodes with each subtree in one piece, and the place of each among these.
fn in_order(stacks: &Stacks, frames: &mut Frames) -> (Vec<usize>, Vec<usize>) {
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); stacks.nodes.len()];
    for (number, node) in stacks.nodes.iter().enumerate().skip(1) {
        children[node.parent as usize].push(number);
    }
    let mut numbers: Vec<Option<usize>> = vec![None; stacks.frames.len()];
    let mut ordered = Vec::with_capacity(2 * stacks.nodes.len());
    let mut places = vec![0; stacks.nodes.len()];
    let mut open = vec![0];
    while let Some(number) = open.pop() {
        let node = &stacks.nodes[number];
        places[number] = ordered.len() / 2;
        let frame = match number {
            0 => 0,
            _ => *numbers[node.frame as usize]
                .get_or_insert_with(|| frames.number(&stacks.frames[node.frame as usize])),
        };
        // A parent is placed before its children.
        ordered.extend([frame, places[node.parent as usize]]);
        open.append(&mut children[number]);
    }
    (ordered, places)
}
