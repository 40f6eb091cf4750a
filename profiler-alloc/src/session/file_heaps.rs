//! The heaps of the process in the file of a recording, and the roots of their stacks.

use core::sync::atomic::{AtomicU32, Ordering};

use profiler_alloc_format::Frame;

use crate::contexts::in_force;
use crate::counters::heaps::{self, IDS, Id};
use crate::profile_file::store::Store;
use crate::sampling::live_blocks::{self, LiveBlocks};

/// The bits of a root's number that say the contexts; those above say the heap.
const CONTEXT_BITS: u32 = 16;

/// What stands above the outermost frame of a stack: contexts, and the heap above these.
pub fn root(heap: Id) -> u32 {
    in_force::all() | heap << CONTEXT_BITS
}

/// The heap and the contexts of a root.
pub fn of_root(root: u32) -> (Id, u32) {
    (root >> CONTEXT_BITS, root & ((1 << CONTEXT_BITS) - 1))
}

const _: () = assert!(profiler_alloc_format::contexts::MAX_CONTEXT_SETS <= 1 << CONTEXT_BITS);

/// The file's numbers of heaps, by those of the process, 0 where there is none yet; and the sampled
/// blocks of these heaps that are live. Their keys have the heap where others have the thread: a
/// block of an arena may begin where the mapping does that it is in.
pub struct FileHeaps {
    numbers: [AtomicU32; IDS],
    pub blocks: LiveBlocks,
}

impl FileHeaps {
    pub const fn new() -> FileHeaps {
        FileHeaps {
            numbers: [const { AtomicU32::new(0) }; IDS],
            blocks: LiveBlocks::new(live_blocks::FIRST_BUCKETS),
        }
    }

    pub fn number(&self, store: &Store, heap: Id) -> Option<u32> {
        let cell = self.numbers.get(heap as usize)?;
        match cell.load(Ordering::Acquire) {
            0 => add(store, cell, heap),
            known => Some(known),
        }
    }

    /// Bytes of address space of the table of blocks.
    pub fn bytes(&self) -> usize {
        self.blocks.bytes()
    }

    /// The node of a heap.
    pub fn frame(&self, store: &Store, heap: Id) -> Option<Frame> {
        match heap {
            0 => None,
            heap => self.number(store, heap).map(Frame::heap),
        }
    }
}

#[cold]
fn add(store: &Store, cell: &AtomicU32, heap: Id) -> Option<u32> {
    let count = &store.header().heap_count;
    let number = match store.take(&store.heaps, count)? {
        // Record 0 is the main heap.
        0 => store.take(&store.heaps, count)?,
        number => number,
    };
    let record = store.heaps.get(number)?;
    let (at, len) = heaps::with_name(heap, |name| store.add_string(name))?;
    let in_use = heaps::in_use(heap) as u64;
    record.name_at.store(at, Ordering::Relaxed);
    record.kind.store(heaps::kind(heap), Ordering::Relaxed);
    record.base.store(in_use, Ordering::Relaxed);
    record.peak.store(in_use, Ordering::Relaxed);
    let lost = heaps::private(heap);
    for (cell, lost) in [
        (&record.lost_frees, &lost.lost_frees),
        (&record.lost_mappings, &lost.lost_mappings),
    ] {
        cell.store(lost.load(Ordering::Relaxed), Ordering::Relaxed);
    }
    // Epoch 0 is what fresh stacks carry.
    record.peak_epoch.store(1, Ordering::Relaxed);
    let number = number as u32;
    match cell.compare_exchange(0, number, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {
            record.name_len.store(len, Ordering::Release);
            Some(number)
        }
        // Another thread was first; this record stays without a name, and readers skip it.
        Err(known) => Some(known),
    }
}
