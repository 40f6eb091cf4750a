//! Which heap is looked at: the main one, another in its place, or all, told apart.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use profiler_alloc_format::Frame;
use profiler_alloc_format::heaps::{ALL, MAIN};

use super::heaps::Part;
use super::{Context, Heap, Node, NodeId, Profile, Stack, Totals};
use crate::defect::Defect;

/// The key of the contexts that tell heaps apart where all are asked for.
const KEY: &str = "heap";
/// A heap is worth a word if its peak is this part of the main one's.
const WORTH: i64 = 100;

/// Which heaps are looked at.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum HeapChoice {
    /// The program's allocator's.
    #[default]
    Main,
    /// All, told apart.
    All,
    /// The one of this name.
    Named(String),
}

impl FromStr for HeapChoice {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<HeapChoice, Self::Err> {
        Ok(match text {
            MAIN => HeapChoice::Main,
            ALL => HeapChoice::All,
            name => HeapChoice::Named(name.to_owned()),
        })
    }
}

impl fmt::Display for HeapChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HeapChoice::Main => MAIN,
            HeapChoice::All => ALL,
            HeapChoice::Named(name) => name,
        })
    }
}

/// The profile has no such heap.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the profile has no heap {name}; it has {}", .heaps.join(", "))]
pub struct UnknownHeap {
    name: String,
    heaps: Vec<String>,
}

impl Profile {
    /// Makes the figures those of another heap, or of all heaps told apart as contexts of a key,
    /// whose name is then given. What belongs to the whole process, such as its timeline, threads
    /// and sizes, is the main heap's; of another heap there is none.
    ///
    /// # Errors
    /// If the profile has no such heap.
    pub fn select_heap(&mut self, choice: &HeapChoice) -> Result<Option<String>, UnknownHeap> {
        match choice {
            HeapChoice::Main => Ok(None),
            HeapChoice::All => Ok(Some(self.put_heaps_together())),
            HeapChoice::Named(name) => {
                let Some(at) = self.heaps.iter().position(|heap| heap.name == *name) else {
                    let names = self.heaps.iter().map(|heap| heap.name.clone());
                    return Err(UnknownHeap {
                        name: name.clone(),
                        heaps: [MAIN.to_owned()].into_iter().chain(names).collect(),
                    });
                };
                self.become_heap(at);
                Ok(None)
            }
        }
    }

    /// The heaps beside the main one that are worth a word, as their peak is a hundredth of the
    /// main one's at least: names, and peaks in bytes, the highest first.
    pub fn other_heaps(&self) -> Vec<(String, i64)> {
        let is_worth =
            |heap: &&Heap| heap.peak > 0 && heap.peak.saturating_mul(WORTH) >= self.peak();
        let mut heaps: Vec<(String, i64)> = (self.heaps.iter().filter(is_worth))
            .map(|heap| (heap.name.clone(), heap.peak))
            .collect();
        heaps.sort_by_key(|(_, peak)| std::cmp::Reverse(*peak));
        heaps
    }

    /// What is to be said beside figures of that choice.
    pub fn defects_of_heaps(&self, choice: &HeapChoice) -> Vec<Defect> {
        let mut defects = Vec::new();
        let names = || self.heaps.iter().map(|heap| heap.name.clone());
        match choice {
            HeapChoice::Named(heap) => defects.push(Defect::OnlyHeap { heap: heap.clone() }),
            HeapChoice::All => defects.push(Defect::AllHeaps {
                heaps: [MAIN.to_owned()].into_iter().chain(names()).collect(),
            }),
            HeapChoice::Main => {
                let heaps = self.other_heaps();
                if !heaps.is_empty() {
                    defects.push(Defect::OtherHeaps { heaps });
                }
            }
        }
        let is_shown = |heap: &&Heap| match choice {
            HeapChoice::Named(name) => heap.name == *name,
            HeapChoice::Main | HeapChoice::All => true,
        };
        for heap in self.heaps.iter().filter(is_shown) {
            if heap.lost_frees > 0 {
                let (heap, frees) = (heap.name.clone(), heap.lost_frees);
                defects.push(Defect::HeapFreesLost { heap, frees });
            }
            if heap.lost_mappings > 0 {
                let mappings = heap.lost_mappings;
                defects.push(Defect::MappingsLost { mappings });
            }
        }
        defects
    }

    fn become_heap(&mut self, at: usize) {
        let heap = self.heaps[at].clone();
        self.header.heap_base = heap.base as u64;
        self.header.heap = heap.in_use() as u64;
        self.header.peak = heap.peak as u64;
        self.header.peak_ns = heap.peak_ns;
        self.nodes = heap.part.nodes;
        self.stacks = heap.part.stacks;
        self.unattributed = heap.part.unattributed;
        self.sizes.clear();
        self.threads.clear();
        self.timeline.clear();
        self.functions.clear();
        self.of_heap = Some((heap.name, heap.counters));
    }

    /// The stacks of all heaps, each in a context that names its heap. Gives the key of these.
    fn put_heaps_together(&mut self) -> String {
        let is_taken = self.contexts.keys().contains(&KEY);
        let key = if is_taken {
            format!("({KEY})")
        } else {
            KEY.to_owned()
        };
        let main = Part {
            nodes: std::mem::take(&mut self.nodes),
            stacks: std::mem::take(&mut self.stacks),
            unattributed: Totals::default(),
        };
        let counters = self.counters();
        let others = self
            .heaps
            .iter()
            .map(|heap| (heap.name.clone(), heap.counters, heap.part.clone()));
        let parts: Vec<_> = [(MAIN.to_owned(), counters, main)]
            .into_iter()
            .chain(others)
            .collect();
        self.nodes = vec![Node::ROOT];
        let mut by_frame: HashMap<(NodeId, Frame), NodeId> = HashMap::new();
        for (name, counters, part) in parts {
            let context = self.contexts.all.len();
            self.contexts
                .all
                .push(Context::of_heap(&key, name, &counters));
            // By the number of a set, that set and the heap.
            let mut sets: HashMap<usize, usize> = HashMap::new();
            let mut places: Vec<NodeId> = vec![0];
            for node in part.nodes.iter().skip(1) {
                let parent = places[node.parent as usize];
                let next = self.nodes.len() as NodeId;
                let place = match node.frame {
                    Some(frame) => *by_frame.entry((parent, frame)).or_insert(next),
                    None => next,
                };
                if place == next {
                    // What was in use after a line ran is another figure in each heap.
                    self.nodes.push(Node {
                        parent,
                        heap_after: None,
                        ..*node
                    });
                }
                places.push(place);
            }
            for stack in part.stacks {
                let all_sets = &mut self.contexts.sets;
                let contexts = *sets.entry(stack.contexts).or_insert_with(|| {
                    let mut set = all_sets.get(stack.contexts).cloned().unwrap_or_default();
                    set.push(context);
                    all_sets.push(set);
                    all_sets.len() - 1
                });
                let node = places[stack.node as usize];
                self.stacks.push(Stack {
                    node,
                    contexts,
                    ..stack
                });
            }
            self.unattributed.add(&part.unattributed);
        }
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::builder::Builder;
    use crate::profile::parse;

    /// Two heaps beside the main one, with the same frames, and one of them in a context.
    fn profile() -> Profile {
        let mut builder = Builder::new();
        builder.module("/bin/app");
        let (main, serve) = (Frame::new(0, 0x10), Frame::new(0, 0x20));
        let acme = builder.in_context("tenant", "acme");
        let arena = builder.heap("arena", 700);
        let pool = builder.heap("pool", 50);
        let stacks = [
            builder.stack(&[serve, main]),
            builder.stack(&[serve, main, arena]),
            builder.stack(&[serve, main, acme, arena]),
            builder.stack(&[main, pool]),
        ];
        builder.allocated(stacks[0], 1000, 1);
        for (stack, bytes) in stacks[1..].iter().zip([400, 300, 50]) {
            builder.allocated_elsewhere(*stack, bytes);
        }
        builder.heap_after(&[serve, main], 5);
        builder.heap_after(&[serve, main, arena], 9);
        let (profile, defects) = parse("x".as_ref(), builder.to_input()).unwrap();
        assert_eq!(defects, []);
        profile
    }

    fn live(profile: &Profile) -> Vec<i64> {
        profile
            .stacks
            .iter()
            .map(|stack| stack.totals.live_bytes)
            .collect()
    }

    #[test]
    fn every_figure_is_the_main_heaps_unless_another_is_asked_for() {
        let main = profile();
        assert_eq!(
            (live(&main), main.heap(), main.nodes.len()),
            (vec![1000], 1000, 3)
        );
        assert_eq!(main.nodes[2].heap_after, Some(5));

        let mut arena = profile();
        arena.select_heap(&"arena".parse().unwrap()).unwrap();
        assert_eq!(
            (live(&arena), arena.heap(), arena.peak()),
            (vec![400, 300], 700, 700)
        );
        assert_eq!(
            arena.contexts.value_of(arena.stacks[1].contexts, "tenant"),
            Some(0)
        );
        assert_eq!(arena.nodes[2].heap_after, Some(9));

        let error = profile()
            .select_heap(&"nothing".parse().unwrap())
            .unwrap_err();
        let said = "the profile has no heap nothing; it has malloc, arena, pool";
        assert_eq!(error.to_string(), said);
    }

    #[test]
    fn all_heaps_are_told_apart() {
        let mut all = profile();
        let key = all.select_heap(&HeapChoice::All).unwrap().unwrap();
        let parts = all.stacks_by(&key).into_iter().map(|(heap, stacks)| {
            let name = heap.map(|id| all.contexts.all[id].value.clone());
            let bytes = stacks
                .iter()
                .map(|stack| stack.totals.live_bytes)
                .sum::<i64>();
            (name, bytes)
        });
        let name = |name: &str| Some(name.to_owned());
        let expected = [
            (name("malloc"), 1000),
            (name("arena"), 700),
            (name("pool"), 50),
            (None, 0),
        ];
        assert_eq!(parts.collect::<Vec<_>>(), expected);
        assert_eq!(all.nodes.len(), 3, "the frames are the same");
        assert_eq!(all.nodes[2].heap_after, None);
    }
}
