//! Memory that does not come from the program's allocator: heaps of their own, beside the main one.
//!
//! Arenas that a program names, and what it maps itself. The stack of a sample has a node above its
//! outermost frame that names the heap; contexts stand below it:
//!
//! ```text
//! root ── main ── serve                                      the main heap
//!    └─── Frame::heap(2) ── main ── serve                    heap 2, "arena"
//!              └─── Frame::contexts(7) ── main ── serve      heap 2 while set 7 is in force
//! ```
//! So the totals of a heap are the sum over the stacks below its node. What these have at the peak
//! is what they had at the peak of their own heap, whose number [`Heap::peak_epoch`] is. The
//! header, the threads, the size histogram and the timeline tell of the main heap alone.

use crate::records::{Field, record};

/// Heaps that a process can name. Those that are more are one, [`OTHER`].
pub const MAX_HEAPS: usize = 32;
/// Bytes kept of the name of a heap.
pub const MAX_NAME_LEN: usize = 64;
/// The name of the heap that takes those that are too many.
pub const OTHER: &str = "(other)";
/// The name of the main heap: the program's global allocator, or the C library's.
pub const MAIN: &str = "malloc";
/// The name of the heap of what the program maps itself.
pub const MAPPED: &str = "mapped";
/// The name of the heap of what C code asks of `malloc` in a program whose own allocator is
/// another.
pub const C_HEAP: &str = "C heap";
/// Stands for all heaps where one can be chosen.
pub const ALL: &str = "all";

/// [`Heap::kind`]: the program named it, and says itself what it takes and gives back.
pub const KIND_NAMED: u32 = 0;
/// [`Heap::kind`]: what the program maps, anonymous and accessible.
pub const KIND_MAPPED: u32 = 1;

record! {
    /// One heap: exact counts since the recording started, whatever was sampled.
    Heap, HeapCells, 128 {
        /// Offset of its name in [`Table::Strings`](crate::Table::Strings).
        name_at: u32,
        /// Bytes of the name. 0 while the record is being made.
        name_len: u32,
        /// One of the `KIND_*` constants.
        kind: u32,
        /// Not used.
        unused: u32,
        /// In use when the recording began to tell of this heap, in bytes. *Signed.*
        base: u64,
        /// Bytes allocated, the new size of every realloc included.
        alloc_bytes: u64,
        /// Blocks allocated.
        allocs: u64,
        /// Bytes freed, the old size of every realloc included.
        freed_bytes: u64,
        /// Blocks freed. Of a mapping that is taken away in parts, each part counts.
        frees: u64,
        /// Blocks reallocated.
        reallocs: u64,
        /// Highest in use since the start, in bytes. *Signed.*
        peak: u64,
        /// Time of that, nanoseconds since the start.
        peak_ns: u64,
        /// Number of that peak; see [`Stack::peak_epoch`](crate::Stack::peak_epoch).
        peak_epoch: u64,
        /// Loss: frees that were not counted, as more was freed than was in use.
        lost_frees: u64,
        /// Loss: mappings that were not counted, as too many were there or too much was done at
        /// once.
        lost_mappings: u64,
        /// Not used.
        reserved: [u64; 3],
    }
}
