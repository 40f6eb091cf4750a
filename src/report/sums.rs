//! Sums the stacks of a profile, each once for every line and function on it, in one walk over the
//! trie.
//!
//! A key (a line, a function) gets the whole subtree of the *outermost* node that has it. Deeper
//! nodes with the same key are recursion and are in that subtree already. So a stack counts once
//! however often a line stands in it, and the walk costs the number of nodes, not the number of
//! stacks times their depth. The few keys of code around a body get their stacks one by one.

use std::collections::{BTreeMap, HashMap};

use super::attribution::{Attribution, FrameKeys};
use super::key::Key;
use crate::profile::{NodeId, Profile, Stack, Totals};
use crate::symbolize::{CodeFrameId, Symbols};

/// The sums for every key.
pub(super) struct KeySums {
    pub totals: Vec<Totals>,
    /// Highest heap in use after a line ran.
    pub heap_after: Vec<Option<i64>>,
    /// What happened with no key on the stack.
    pub elsewhere: Totals,
}

/// Callees included.
pub(super) fn inclusive(profile: &Profile, stacks: &[Stack], attribution: &Attribution) -> KeySums {
    let mut sums = KeySums {
        totals: vec![Totals::default(); attribution.key_count()],
        heap_after: vec![None; attribution.key_count()],
        elsewhere: Totals::default(),
    };
    let tree = Children::of(profile, stacks);
    // How often each key stands on the path from the root, and how many keys do.
    let mut open = vec![0_u32; attribution.key_count()];
    let mut open_keys = 0_usize;
    let mut around = Around::new(attribution.key_count());

    struct Step<'a> {
        keys: &'a FrameKeys,
        next_child: Option<NodeId>,
        subtree: Totals,
    }
    // What a node stands for is looked up once, when it is entered.
    let enter = |node: NodeId| Step {
        keys: attribution.keys(profile.nodes[node as usize].frame),
        next_child: tree.first_child(node),
        subtree: tree.own(node),
    };
    let mut path = vec![enter(0)];
    while let Some(step) = path.last_mut() {
        if let Some(child) = step.next_child {
            step.next_child = tree.next_sibling(child);
            let child_step = enter(child);
            let heap = profile.nodes[child as usize].heap_after;
            let keys = child_step.keys;
            for &key in &keys.keys {
                open[key] += 1;
            }
            for &key in keys.keys.iter().chain(&keys.around) {
                sums.heap_after[key] = sums.heap_after[key].max(heap);
            }
            open_keys += keys.keys.len();
            if open_keys == 0 {
                sums.elsewhere.add(&child_step.subtree);
            }
            around.enter(keys);
            if !child_step.subtree.is_empty() {
                for key in around.exposed() {
                    sums.totals[key].add(&child_step.subtree);
                }
            }
            path.push(child_step);
            continue;
        }
        let Some(done) = path.pop() else { break };
        for &key in &done.keys.keys {
            open[key] -= 1;
            if open[key] == 0 {
                sums.totals[key].add(&done.subtree);
            }
        }
        around.leave(done.keys);
        open_keys -= done.keys.keys.len();
        if let Some(parent) = path.last_mut() {
            parent.subtree.add(&done.subtree);
        }
    }
    sums
}

/// The code around bodies on the path from the root. Unlike a line, it does not have all that is
/// below it: what the body does is the body's.
struct Around {
    /// Keys on the path, outermost first, each once.
    open: Vec<Key>,
    /// How often each stands on it.
    times: Vec<u32>,
    /// How many frames of its body do.
    covers: Vec<u32>,
}

impl Around {
    fn new(key_count: Key) -> Around {
        Around {
            open: Vec::new(),
            times: vec![0; key_count],
            covers: vec![0; key_count],
        }
    }

    fn enter(&mut self, keys: &FrameKeys) {
        for &key in &keys.around {
            self.times[key] += 1;
            if self.times[key] == 1 {
                self.open.push(key);
            }
        }
        for &key in &keys.covers {
            self.covers[key] += 1;
        }
    }

    fn leave(&mut self, keys: &FrameKeys) {
        for &key in keys.around.iter().rev() {
            self.times[key] -= 1;
            if self.times[key] == 0 {
                self.open.pop();
            }
        }
        for &key in &keys.covers {
            self.covers[key] -= 1;
        }
    }

    /// Those whose body is not on the path.
    fn exposed(&self) -> impl Iterator<Item = Key> {
        let is_exposed = |key: &Key| self.covers[*key] == 0;
        self.open.iter().copied().filter(is_exposed)
    }
}

/// The sums of stacks by the place of their innermost frame that has one: every stack counts for
/// one key only, so these sums add up to the whole. `None` holds stacks without any.
pub(super) fn exclusive(
    profile: &Profile,
    stacks: &[Stack],
    symbols: &Symbols,
    attribution: &Attribution,
) -> Vec<(Option<CodePlace>, Totals)> {
    let mut places: Vec<Option<CodePlace>> = vec![None; profile.nodes.len()];
    // Parents come before children, so a caller's place is known when a node asks for it.
    for (number, node) in profile.nodes.iter().enumerate() {
        let own = node.frame.and_then(|frame| {
            symbols.of(frame).iter().find_map(|&id| {
                let place = attribution.row_of(id)?;
                Some(CodePlace {
                    table: place.table,
                    key: place.row_key,
                    code: id,
                })
            })
        });
        places[number] = own.or(places[node.parent as usize]);
    }
    let mut sums = BTreeMap::new();
    for stack in stacks {
        let place = places[stack.node as usize];
        let (_, totals) = sums
            .entry(place.map(|place| place.key))
            .or_insert((place, Totals::default()));
        totals.add(&stack.totals);
    }
    sums.into_values().collect()
}

/// A row of a table, and a code frame on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct CodePlace {
    pub table: usize,
    key: Key,
    pub code: CodeFrameId,
}

/// The trie, to be walked downwards.
struct Children {
    first_child: Vec<NodeId>,
    next_sibling: Vec<NodeId>,
    /// Totals of the stacks that end in a node, for the few nodes where any does.
    own: HashMap<NodeId, Totals>,
}

impl Children {
    fn of(profile: &Profile, stacks: &[Stack]) -> Children {
        let count = profile.nodes.len();
        let mut tree = Children {
            first_child: vec![0; count],
            next_sibling: vec![0; count],
            own: HashMap::with_capacity(stacks.len()),
        };
        // Backwards, so that the children of a node come out in the order of their numbers.
        for (number, node) in profile.nodes.iter().enumerate().skip(1).rev() {
            tree.next_sibling[number] = tree.first_child[node.parent as usize];
            tree.first_child[node.parent as usize] = number as NodeId;
        }
        for stack in stacks {
            tree.own.entry(stack.node).or_default().add(&stack.totals);
        }
        tree
    }

    fn own(&self, node: NodeId) -> Totals {
        self.own.get(&node).copied().unwrap_or_default()
    }

    // The root is nobody's child or sibling, so 0 can stand for none.
    fn first_child(&self, node: NodeId) -> Option<NodeId> {
        Some(self.first_child[node as usize]).filter(|&child| child != 0)
    }

    fn next_sibling(&self, node: NodeId) -> Option<NodeId> {
        Some(self.next_sibling[node as usize]).filter(|&sibling| sibling != 0)
    }
}
