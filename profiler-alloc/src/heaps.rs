//! Heaps that do not come from the program's allocator, and their operations.
//!
//! ```text
//! counted in the heap's own words ──▶ recording? ──no──▶ done
//!                                        │yes
//! sample due? was the block sampled? ──no──▶ peak, done
//!                                        │yes
//! the slow path's rules: once in a thread, errno kept ──▶ Recorder
//! ```
//! The same rules as of the allocator's hook: nothing here panics, allocates or waits.

use core::fmt;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use profiler_alloc_format::{HeapCells, ThreadCells};

use crate::counters::heaps::{self, Id};
use crate::counters::own_work;
use crate::counters::reentrancy::Inside;
use crate::counters::slot::{self, Operation};
use crate::ffi::os;
use crate::session::threads;
use crate::session::{self, Recorder};
use crate::slow_path;
use crate::unwinder::registers::Registers;

/// A heap of the program's own: an arena, a pool, a buffer cache, the memory of a device, of which
/// the program says itself what it takes and gives back.
///
/// In a profile it is apart from the main heap, which is never changed by it: `memprof summary`
/// lists the heaps, `--heap NAME` shows one in every view. Its blocks are sampled as those of the
/// allocator are, within the same budget, and its totals are exact.
///
/// ```
/// use profiler_alloc::{Heap, ProfilerAlloc};
///
/// #[global_allocator]
/// static ALLOC: ProfilerAlloc = ProfilerAlloc::system();
/// static ARENA: Heap = Heap::named("arena");
///
/// # fn main() {
/// let chunk = vec![0u8; 1 << 20];       // of the main heap: the arena's room
/// let block = &chunk[64..164];          // of the arena: one of its blocks
/// ARENA.allocated(block.as_ptr(), block.len());
/// assert_eq!(ARENA.in_use(), 100);
/// ARENA.freed(block.as_ptr(), block.len());
/// assert_eq!(ARENA.in_use(), 0);
/// # }
/// ```
///
/// Say that a block was allocated once it is the caller's, and that it is freed before it can be
/// anyone else's. An address means a block only as long as the block is in use, and only in this
/// heap: a block may begin where a block of another heap does, of which it is a part. What is said
/// wrongly is never more than a wrong figure. The free of more than is in use is not counted, and
/// the summary says how often that was.
///
/// Heaps of the same name are one. A process can have 32; those that are more are one, `(other)`.
/// Nothing is done in a program with the feature `off`; where programs only count, this counts.
pub struct Heap {
    name: &'static str,
    /// Its number in the process; 0 before the first operation.
    id: AtomicU32,
}

impl fmt::Debug for Heap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heap")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Heap {
    /// A heap of that name, of which 64 bytes are kept; for a `static`. In a profile, `malloc`,
    /// `mapped` and `all` mean something else: heaps so called are shown in brackets.
    pub const fn named(name: &'static str) -> Heap {
        Heap {
            name,
            id: AtomicU32::new(0),
        }
    }

    /// Its name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// A block of `size` bytes at `block` was allocated. Null is no block.
    #[inline]
    pub fn allocated<T: ?Sized>(&self, block: *const T, size: usize) {
        if !cfg!(feature = "off") && !block.is_null() {
            allocated(self.id(), block.cast::<u8>().addr(), size as u64);
        }
    }

    /// The block at `block`, of `size` bytes, is about to be freed. The size is needed, as of most
    /// blocks nothing is kept: it is the one that was said when the block was allocated. Null is
    /// no block.
    #[inline]
    pub fn freed<T: ?Sized>(&self, block: *const T, size: usize) {
        if !cfg!(feature = "off") && !block.is_null() {
            freed(self.id(), block.cast::<u8>().addr(), size as u64);
        }
    }

    /// The block at `old`, of `old_size` bytes, has become one of `size` bytes at `new`, there or
    /// elsewhere: freed and allocated, both here. Say it before another thread can have what is at
    /// `old`; where that cannot be, say [`freed`](Heap::freed) before and
    /// [`allocated`](Heap::allocated) afterwards.
    #[inline]
    pub fn reallocated<T: ?Sized, U: ?Sized>(
        &self,
        old: *const T,
        old_size: usize,
        new: *const U,
        size: usize,
    ) {
        if !cfg!(feature = "off") && !old.is_null() && !new.is_null() {
            let addresses = (old.cast::<u8>().addr(), new.cast::<u8>().addr());
            reallocated(self.id(), addresses, (old_size as u64, size as u64));
        }
    }

    /// In use now, in bytes, as it was said; exact, whatever is recorded.
    pub fn in_use(&self) -> usize {
        heaps::in_use(self.id()).max(0) as usize
    }

    #[inline]
    fn id(&self) -> Id {
        match self.id.load(Ordering::Relaxed) {
            0 => self.find(),
            known => known,
        }
    }

    #[cold]
    fn find(&self) -> Id {
        let id = heaps::named(self.name);
        // Of two threads that come at once, both have what the first has found.
        match (self.id).compare_exchange(0, id, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => id,
            Err(known) => known,
        }
    }
}

/// A block was allocated in a heap.
#[inline(never)]
pub fn allocated(heap: Id, address: usize, size: u64) {
    let Some((recorder, home)) = home(heap) else {
        heaps::count_unrecorded(heap, Operation::Alloc { size });
        return;
    };
    let Some(in_use) = heaps::count(heap, home, Operation::Alloc { size }) else {
        return;
    };
    let cells = slot::current();
    let has_joined = threads::has_joined(cells, Some(recorder));
    let is_due = has_joined && recorder.is_heap_sample_due(cells, size);
    if is_due || !has_joined {
        let at = Registers::capture();
        let is_recorded = inside(recorder, |cells| {
            if is_due || recorder.is_heap_sample_due(cells, size) {
                recorder.heap_allocated(cells, at, (heap, home), (address, size), in_use);
            }
        });
        count_loss(recorder, is_recorded);
    }
    recorder.note_heap_peak(home, in_use);
}

/// A block of a heap is about to be freed.
#[inline(never)]
pub fn freed(heap: Id, address: usize, size: u64) {
    let Some((recorder, home)) = home(heap) else {
        heaps::count_unrecorded(heap, Operation::Free { size });
        return;
    };
    // Before anyone else can have the address.
    let block = recorder.untrack_of_heap(heap, address);
    let counted = heaps::count(heap, home, Operation::Free { size });
    let is_attributed =
        block.is_some() || (counted.is_some() && recorder.attributes_unknown_of_heap(home));
    if is_attributed {
        let at = Registers::capture();
        let in_use = counted.unwrap_or_else(|| heaps::in_use(heap));
        let is_recorded = inside(recorder, |cells| {
            recorder.heap_freeing(cells, at, (heap, home), block, size, in_use);
        });
        count_loss(recorder, is_recorded);
        if let Some(block) = block.filter(|_| !is_recorded) {
            recorder.lose_of_heap(home, block);
        }
    }
}

#[inline(never)]
fn reallocated(heap: Id, (old, new): (usize, usize), sizes: (u64, u64)) {
    let operation = Operation::Realloc {
        old: sizes.0,
        new: sizes.1,
    };
    let Some((recorder, home)) = home(heap) else {
        heaps::count_unrecorded(heap, operation);
        return;
    };
    let block = recorder.untrack_of_heap(heap, old);
    let counted = heaps::count(heap, home, operation);
    let in_use = counted.unwrap_or_else(|| heaps::in_use(heap));
    let at = Registers::capture();
    let is_unknown = counted.is_some() && recorder.attributes_unknown_of_heap(home);
    let cells = slot::current();
    let has_joined = threads::has_joined(cells, Some(recorder));
    let is_due = has_joined && recorder.is_heap_sample_due(cells, sizes.1);
    if is_due || !has_joined || block.is_some() || is_unknown {
        let is_recorded = inside(recorder, |cells| {
            let is_due = is_due || (!has_joined && recorder.is_heap_sample_due(cells, sizes.1));
            let blocks = (block, is_due.then_some(new));
            if is_due || block.is_some() || is_unknown {
                recorder.heap_reallocated(cells, at, (heap, home), blocks, sizes, in_use);
            }
        });
        count_loss(recorder, is_recorded);
        if let Some(block) = block.filter(|_| !is_recorded) {
            recorder.lose_of_heap(home, block);
        }
    }
    recorder.note_heap_peak(home, in_use);
}

/// The active recording, if it is this process's, and where it counts what is done in a heap.
#[inline]
pub fn home(heap: Id) -> Option<(&'static Recorder, &'static HeapCells)> {
    let recorder = session::current().filter(|recorder| recorder.is_ours())?;
    Some((recorder, recorder.heap_cells(heap)?))
}

/// Runs `record` by the rules of the slow path, with the thread's slot. False if it was not run:
/// the thread is in there already, in the midst of which a signal came, or has no slot.
#[cold]
#[inline(never)]
pub fn inside(recorder: &'static Recorder, record: impl FnOnce(&'static ThreadCells)) -> bool {
    if own_work::is_own(slot::current()) {
        return false;
    }
    let _errno = os::Errno::keep();
    let Some(_inside) = Inside::enter() else {
        return false;
    };
    let Some(cells) = slow_path::joined(recorder) else {
        return false;
    };
    record(cells);
    true
}

#[inline]
pub fn count_loss(recorder: &Recorder, is_recorded: bool) {
    if !is_recorded {
        let lost: &AtomicU64 = &recorder.store.header().lost_reentrant;
        lost.fetch_add(1, Ordering::Relaxed);
    }
}
