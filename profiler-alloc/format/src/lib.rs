//! The profile file: the seam between the recorder (`profiler-alloc`) and the analyst (`memprof`).
//!
//! The file *is* the recorder's data structure: the recorder maps it shared and keeps it current,
//! so there is no dump step, and a reader may open it at any moment, also while the program runs
//! and after it was killed. This page is the format's specification; the code below is its only
//! implementation, used by both sides.
//!
//! # Layout
//!
//! All integers are little-endian. Addresses are 64 bits wide.
//!
//! ```text
//! 0       ┌──────────────────────────────┐
//!         │ Header                       │  one record, see `Header`
//! 2048    ├──────────────────────────────┤  SIZES_AT
//!         │ 65 SizeClass records         │  size histogram, class = bits in the size
//! 4096    ├──────────────────────────────┤  DIRECTORY_AT
//!         │ 4096 bytes, one per chunk    │  which `Table` chunk i belongs to
//! 8192    ├──────────────────────────────┤  HEADER_LEN
//!         │ chunk 0        (64 KiB)      │
//! 73728   ├──────────────────────────────┤
//!         │ chunk 1        (64 KiB)      │
//!         │ ...                          │  header.chunk_count chunks
//!         └──────────────────────────────┘
//! ```
//!
//! A table is the concatenation of its chunks in file order; a record may straddle two chunks, a
//! field never does. The file only grows. Space is reserved before it is used, so the file may be
//! longer than `HEADER_LEN + chunk_count * CHUNK_LEN` by the part reserved last.
//!
//! # Reading a file that is being written
//!
//! Counts in the header are upper bounds: a record below the count may still be all zero for the
//! moment between the reservation of its number and its first store. Such a record belongs to
//! nobody yet and is to be skipped. Nodes are append-only and a parent's number is below its
//! children's, so one pass in order resolves every stack. Every 64-bit field is stored in one
//! piece.
//!
//! # Weights
//!
//! A sample of a block of `size` bytes at interval `i` stands for `size / (1 - exp(-size / i))`
//! bytes and `1 / (1 - exp(-size / i))` blocks; at interval 0 (exact) for itself. Byte totals hold
//! the rounded weights. Counts of blocks are fixed-point with [`COUNT_FRACTION_BITS`] binary
//! places. The `*_variance` fields hold the sum of `w² (1 - p)` (as `f64` bits), an unbiased
//! estimate of the variance of the byte total beside them; exact samples add nothing to it. The
//! `*_count_variance` fields of [`Further`] hold the same of a count of blocks: the sum of `(w /
//! size)² (1 - p)`.
//!
//! # Exact tables
//!
//! Functions with `#[profile]` have their counters in the file while a recording is active:
//! [`Function`] says where a function stands, and each of its [`Share`]s holds one [`Line`] for
//! every line that a probe stands on. Probes write these records themselves, so they are current to
//! the statement. The statement that a thread is in is not counted yet; its bytes so far are the
//! thread's own count (`alloc_bytes + own_alloc_offset` of its [`Thread`] record) minus that of the
//! share when the statement began, and likewise for lines that are suspended. They are to be added
//! unless the recording ended in order ([`STATE_FINISHED`]), as the thread went on counting. A
//! share says that it is nowhere while it moves bytes from one to the other, so nothing is ever
//! counted twice.
//!
//! A call that began before the recording is in it from its next statement on; inside a recursion,
//! from the next statement of its outermost call. Calls of a function with `each_call` are added
//! when they end.
//!
//! # Sources
//!
//! No Rust program says what its source files held when it was built. So `memprof run` adds, once
//! the program has ended, what they hold then, as [`SOURCE_UNCHANGED`] and [`SOURCE_NEWER`] tell
//! them apart. A line is what `md5sum` prints, with the mark in place of the first blank:
//!
//! ```text
//! 9e107d9d372bb6826bd81d3542a419d6= /home/me/app/src/main.rs     no newer than the program
//! e4d909c290d0fb1ca068ffaddf22cbd0? /home/me/app/src/load.rs     written after the program
//! ```
//!
//! The path is as the debug information has it. A recording that nobody ran under `memprof run` has
//! no such lines, nor has one whose program still runs.
//!
//! # Versions
//!
//! A reader skips chunks of tables that it does not know, and fields that were not used are zero.
//! So the exact tables, which came later, need no new version: an older reader shows all the rest
//! and says that there are chunks it does not know. Nor do times that came later still
//! (`Stack::first_ms`, `Stack::last_ns`, `Function::first_ns`, `Share::last_ns`): 0 means that they
//! are not known. [`Further`] and [`StackSpan`] hold in tables of their own what [`Stack`], whose
//! length is fixed, has no room for. Nor do the tables of [moments]. Nor do [contexts] and [heaps]:
//! an older reader shows their node as the outermost frame, of an unknown module. Nor do
//! [accounts](account). Nor do [processes]: an older reader takes a merged profile for one of a
//! single process without a number.
//!
//! ```
//! use profiler_alloc_format::{Frame, Header};
//!
//! let header = Header { pid: 42, ..Header::empty() };
//! let bytes = header.to_bytes();
//! assert_eq!(Header::from_bytes(&bytes).pid, 42);
//! assert_eq!(Frame::new(3, 0x1234).module(), 3);
//! ```

#![forbid(unsafe_code)]

pub mod account;
pub mod c_heap;
pub mod contexts;
pub mod control;
pub mod env;
mod exact;
mod frame;
pub mod heaps;
pub mod moments;
pub mod processes;
mod records;
mod size;
mod table;
pub mod waypoints;

pub use account::{Account, AccountCells, Touched, TouchedCells};
pub use contexts::{Context, ContextCells, ContextSet, ContextSetCells};
pub use exact::{Function, FunctionCells, Line, LineCells, NEVER, Share, ShareCells, source_hash};
pub use frame::{CONTEXTS_MODULE, Frame, HEAPS_MODULE, UNKNOWN_MODULE};
pub use heaps::{Heap, HeapCells};
pub use moments::{Age, AgeCells, Cohort, CohortCells, Snapshot, SnapshotCells};
pub use processes::{Process, ProcessCells};
pub use records::{
    Further, FurtherCells, Header, HeaderCells, Module, ModuleCells, Node, NodeCells, Point,
    PointCells, SizeClass, SizeClassCells, Stack, StackCells, StackSpan, StackSpanCells, Thread,
    ThreadCells,
};
pub use size::{parse_size, split_unit};
pub use table::Table;
pub use waypoints::{TICK_BITS, WAYPOINTS};

/// First eight bytes of a profile.
pub const MAGIC: u64 = u64::from_le_bytes(*b"MEMPROF\n");
/// Version of this layout. A reader refuses other versions.
pub const VERSION: u32 = 1;
/// The bit of [`Header::gone_by`] that says it was the kernel's OOM killer.
pub const OOM_KILLED: u64 = 1 << 32;
/// Bytes before the first chunk.
pub const HEADER_LEN: usize = 8192;
/// Bytes of one chunk.
pub const CHUNK_LEN: usize = 65536;
/// Chunks a file can hold: one directory byte each.
pub const MAX_CHUNKS: usize = 4096;
/// Offset of the [`SizeClass`] records.
pub const SIZES_AT: usize = 2048;
/// Number of [`SizeClass`] records: class `c` holds the sizes with `c` significant bits.
pub const SIZE_CLASSES: usize = 65;
/// Offset of the chunk directory.
pub const DIRECTORY_AT: usize = 4096;
/// Binary places of every fixed-point count of blocks.
pub const COUNT_FRACTION_BITS: u32 = 16;
/// The extension of a profile's file name, without the dot.
pub const EXTENSION: &str = "memprof";

/// Recording is under way, or the program ended without telling (killed, aborted).
pub const STATE_RECORDING: u32 = 1;
/// Paused by the program: counters go on, samples do not.
pub const STATE_PAUSED: u32 = 2;
/// Ended in order; the `final_*` totals are valid.
pub const STATE_FINISHED: u32 = 3;
/// The program called `exit` or returned from main; whatever came after that is recorded too.
pub const STATE_EXITED: u32 = 4;

/// The bit of [`Module::flags`] that says it is the executable of a process. Module 0 is, without
/// it.
pub const MODULE_IS_PROGRAM: u32 = 1;

/// Mark of a source file that was no newer than the program when the recording ended: it is what
/// the program was built from.
pub const SOURCE_UNCHANGED: u8 = b'=';
/// Mark of a source file that was written after the program: a fresh checkout, or an edit.
pub const SOURCE_NEWER: u8 = b'?';

/// A record that belongs to a thread.
pub const THREAD_TAKEN: u32 = 1;
/// A record whose thread has ended. 0 is a record that is being made.
pub const THREAD_FREE: u32 = 2;

/// Sampling chosen by the time budget (the default).
pub const MODE_AUTO: u32 = 0;
/// Every allocation is recorded.
pub const MODE_ALL: u32 = 1;
/// One fixed sampling interval.
pub const MODE_FIXED: u32 = 2;

const _: () = {
    assert!(Header::LEN <= SIZES_AT);
    assert!(SIZES_AT + SIZE_CLASSES * SizeClass::LEN <= DIRECTORY_AT);
    assert!(DIRECTORY_AT + MAX_CHUNKS == HEADER_LEN);
};

/// The class of the size histogram that `size` belongs to.
pub const fn size_class(size: u64) -> usize {
    (64 - size.leading_zeros()) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_classes_count_significant_bits() {
        let classes = [
            (0, 0),
            (1, 1),
            (2, 2),
            (3, 2),
            (4, 3),
            (1024, 11),
            (u64::MAX, 64),
        ];
        for (size, class) in classes {
            assert_eq!(size_class(size), class, "size {size}");
        }
    }
}
