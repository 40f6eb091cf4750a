//! The heaps of a profile: the main one, of which every figure is unless another is asked for, and
//! those beside it.

use profiler_alloc_format as format;
use profiler_alloc_format::HEAPS_MODULE;
use profiler_alloc_format::heaps::KIND_MAPPED;

use super::counters::Counters;
use super::totals::Totals;
use super::trie::{Node, NodeId, Stack};
use super::without_contexts;

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
    pub(super) part: Part,
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
        let heap = Heap {
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
        };
        Some(heap).filter(|_| record.name_len != 0)
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

/// Takes the stacks of other heaps than the main one out of `main`: gives a part for each of
/// `count` heaps, and how many nodes name a heap that is not there.
pub(super) fn take_out(main: &mut Part, heap_of: &[usize], count: usize) -> (Vec<Part>, u64) {
    let mut parts = vec![Part::empty(); count.max(1)];
    let mut damaged = 0;
    // Where each node is now: its number in its heap's own part.
    let mut places: Vec<NodeId> = Vec::with_capacity(main.nodes.len());
    for (number, (node, &heap)) in main.nodes.iter().zip(heap_of).enumerate() {
        // The root of the trie is in each part already, and a heap's own node is that part's root.
        let names_heap = node.parent == 0 && heap != 0;
        let place = match parts.get_mut(heap) {
            Some(part) if number > 0 && !names_heap => {
                let parent = places[node.parent as usize];
                part.nodes.push(Node { parent, ..*node });
                part.nodes.len() as NodeId - 1
            }
            Some(_) => 0,
            None => {
                damaged += u64::from(names_heap);
                0
            }
        };
        places.push(place);
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
