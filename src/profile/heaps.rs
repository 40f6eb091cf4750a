//! The heaps of a profile: the main one, of which every figure is unless another is asked for, and
//! those beside it.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use profiler_alloc_format as format;
use profiler_alloc_format::heaps::{ALL, KIND_MAPPED, MAIN};
use profiler_alloc_format::{Frame, HEAPS_MODULE};

use crate::defect::Defect;

use super::{Context, Counters, Node, NodeId, Profile, Stack, Totals, without_contexts};

/// The key of the contexts that tell heaps apart where all are asked for.
const KEY: &str = "heap";

/// Whose memory a heap is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeapKind {
    /// What the program's allocator gives.
    Main,
    /// The program named it, and says itself what it takes and gives back.
    Named,
    /// What the program maps itself: anonymous, and accessible.
    Mapped,
}

/// A heap beside the main one. Its counts are exact, whatever was sampled.
#[derive(Clone, PartialEq, Debug)]
pub struct Heap {
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub kind: HeapKind,
    /// What was done in it.
    pub counters: Counters,
    /// In use when the recording started, in bytes.
    pub base: i64,
    /// Highest in use, in bytes.
    pub peak: i64,
    /// Time of that, nanoseconds since the start.
    pub peak_ns: u64,
    /// Frees that were not counted, as more was freed than was in use.
    pub lost_frees: u64,
    /// Mappings that were not counted.
    pub lost_mappings: u64,
    /// Its stacks, and what belongs to none of them.
    part: Part,
}

/// The stacks of one heap.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Part {
    pub nodes: Vec<Node>,
    pub stacks: Vec<Stack>,
    pub unattributed: Totals,
}

impl Part {
    pub fn empty() -> Part {
        Part {
            nodes: vec![Node::ROOT],
            stacks: Vec::new(),
            unattributed: Totals::default(),
        }
    }

    /// Takes the contexts out of the trie. Gives how many nodes name contexts that are not there.
    pub fn take_contexts_out(&mut self, set_count: usize) -> u64 {
        let (lost, nowhere) =
            without_contexts::take_out(&mut self.nodes, &mut self.stacks, set_count);
        self.unattributed.add(&lost);
        nowhere
    }
}

impl Heap {
    /// In use at the end or now, in bytes.
    pub fn in_use(&self) -> i64 {
        let counters = &self.counters;
        let change = counters.alloc_bytes.wrapping_sub(counters.freed_bytes) as i64;
        self.base.wrapping_add(change)
    }

    /// `None` of a record that is being made.
    pub(super) fn of(record: &format::Heap, name: String, part: Part) -> Option<Heap> {
        (record.name_len != 0).then(|| Heap {
            name,
            kind: match record.kind {
                KIND_MAPPED => HeapKind::Mapped,
                _ => HeapKind::Named,
            },
            counters: Counters {
                allocs: record.allocs,
                frees: record.frees,
                reallocs: record.reallocs,
                alloc_bytes: record.alloc_bytes,
                freed_bytes: record.freed_bytes,
            },
            base: record.base as i64,
            peak: record.peak as i64,
            peak_ns: record.peak_ns,
            lost_frees: record.lost_frees,
            lost_mappings: record.lost_mappings,
            part,
        })
    }
}

/// The number of the heap that each node stands below; 0 is the main one.
pub(super) fn of_nodes(nodes: &[Node]) -> Vec<usize> {
    let mut heaps = Vec::with_capacity(nodes.len());
    for node in nodes {
        let above = heaps.get(node.parent as usize).copied().unwrap_or(0);
        let here = node.frame.filter(|frame| frame.module() == HEAPS_MODULE);
        // Only outermost nodes name a heap.
        let heap = match (here, node.parent) {
            (Some(frame), 0) => usize::try_from(frame.address()).unwrap_or(usize::MAX),
            _ => above,
        };
        heaps.push(heap);
    }
    heaps
}

/// Takes the stacks of other heaps than the main one out of `main`: gives a part for each of `count`
/// heaps, and how many nodes name a heap that is not there.
pub(super) fn take_out(main: &mut Part, heap_of: &[usize], count: usize) -> (Vec<Part>, u64) {
    let mut parts = vec![Part::empty(); count.max(1)];
    let mut damaged = 0;
    // Where each node is now: its number in its heap's own part.
    let mut places: Vec<NodeId> = Vec::with_capacity(main.nodes.len());
    for (node, &heap) in main.nodes.iter().zip(heap_of) {
        let is_root = node.parent == 0
            && node
                .frame
                .is_none_or(|frame| frame.module() == HEAPS_MODULE && heap != 0)
            && (heap != 0 || places.is_empty());
        let Some(part) = parts.get_mut(heap) else {
            damaged += u64::from(is_root);
            places.push(0);
            continue;
        };
        if is_root {
            places.push(0);
            continue;
        }
        places.push(part.nodes.len() as NodeId);
        let parent = places[node.parent as usize];
        part.nodes.push(Node { parent, ..*node });
    }
    for stack in &main.stacks {
        let heap = heap_of[stack.node as usize];
        let Some(part) = parts.get_mut(heap) else {
            continue;
        };
        match places[stack.node as usize] {
            0 => part.unattributed.add(&stack.totals),
            node => part.stacks.push(Stack { node, ..*stack }),
        }
    }
    let unattributed = main.unattributed;
    *main = std::mem::replace(&mut parts[0], Part::empty());
    main.unattributed.add(&unattributed);
    (parts, damaged)
}

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

    /// What is to be said beside figures of that choice; heaps whose peak is not one in `worth` of
    /// the main one's are not pointed at.
    pub fn defects_of_heaps(&self, choice: &HeapChoice, worth: i64) -> Vec<Defect> {
        let mut defects = Vec::new();
        let names = || self.heaps.iter().map(|heap| heap.name.clone());
        match choice {
            HeapChoice::Named(heap) => defects.push(Defect::OnlyHeap { heap: heap.clone() }),
            HeapChoice::All => defects.push(Defect::AllHeaps {
                heaps: [MAIN.to_owned()].into_iter().chain(names()).collect(),
            }),
            HeapChoice::Main => {
                let is_worth =
                    |heap: &&Heap| heap.peak > 0 && heap.peak.saturating_mul(worth) >= self.peak();
                let mut heaps: Vec<(String, i64)> = (self.heaps.iter().filter(is_worth))
                    .map(|heap| (heap.name.clone(), heap.peak))
                    .collect();
                heaps.sort_by_key(|(_, peak)| std::cmp::Reverse(*peak));
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
