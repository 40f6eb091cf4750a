//! The allocator beneath the profiler's: the system's, or an array that signal handlers may take
//! from. Counts the truth, in memory that outlives the process where a test asks for it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::ptr::{self, null_mut};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering::SeqCst};

use memprof::profile::Counters;

/// What was really done. Five numbers, as in the profile.
#[repr(C)]
pub struct Truth {
    allocs: AtomicU64,
    frees: AtomicU64,
    reallocs: AtomicU64,
    alloc_bytes: AtomicU64,
    freed_bytes: AtomicU64,
    /// 1 once everything is counted here.
    is_shared: AtomicU64,
}

const LEN: usize = size_of::<Truth>();

static PRIVATE: Truth = Truth {
    allocs: AtomicU64::new(0),
    frees: AtomicU64::new(0),
    reallocs: AtomicU64::new(0),
    alloc_bytes: AtomicU64::new(0),
    freed_bytes: AtomicU64::new(0),
    is_shared: AtomicU64::new(0),
};
static SHARED: AtomicPtr<Truth> = AtomicPtr::new(null_mut());

fn truth() -> &'static Truth {
    // SAFETY: null, or the mapping that `share` made and nobody takes away.
    unsafe { SHARED.load(SeqCst).as_ref() }.unwrap_or(&PRIVATE)
}

impl Truth {
    fn cells(&self) -> [&AtomicU64; 5] {
        [
            &self.allocs,
            &self.frees,
            &self.reallocs,
            &self.alloc_bytes,
            &self.freed_bytes,
        ]
    }
}

/// Counts in the file from now on, what was counted so far included. To be called while there is
/// one thread.
pub fn share(path: &Path) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    file.set_len(LEN as u64).unwrap();
    // SAFETY: maps a file as long as the mapping, at an address of the kernel's choice.
    let base = unsafe {
        libc::mmap(
            null_mut(),
            LEN,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        )
    };
    assert_ne!(base, libc::MAP_FAILED);
    drop(file);
    // SAFETY: mapped, zero, and never unmapped.
    let shared = unsafe { &*base.cast::<Truth>() };
    for (from, to) in PRIVATE.cells().into_iter().zip(shared.cells()) {
        to.store(from.load(SeqCst), SeqCst);
    }
    SHARED.store(ptr::from_ref(shared).cast_mut(), SeqCst);
    shared.is_shared.store(1, SeqCst);
}

/// In a forked child: what it does is not the parent's.
pub fn stop_sharing() {
    SHARED.store(null_mut(), SeqCst);
}

/// What was counted in the file; `None` before [`share`] has returned.
pub fn read(path: &Path) -> Option<Counters> {
    let mut bytes = [0; LEN];
    let file = File::open(path).unwrap();
    file.read_exact_at(&mut bytes, 0).ok()?;
    let number = |at: usize| u64::from_le_bytes(bytes[8 * at..8 * at + 8].try_into().unwrap());
    (number(5) == 1).then(|| Counters {
        allocs: number(0),
        frees: number(1),
        reallocs: number(2),
        alloc_bytes: number(3),
        freed_bytes: number(4),
    })
}

/// The allocator.
pub struct Inner;

/// Blocks come from the array from now on; a block from elsewhere goes back where it came from.
pub fn take_from_array() {
    FROM_ARRAY.store(true, SeqCst);
}

/// Whether the profile was there when the program asked for its first block.
static BEGAN_BEFORE: AtomicBool = AtomicBool::new(false);

pub fn began_before() -> bool {
    BEGAN_BEFORE.load(SeqCst)
}

#[cold]
fn note_first() {
    // SAFETY: the name ends with a zero, and nobody changes the environment before `main`.
    let is_there = unsafe {
        let path = libc::getenv(c"MEMPROF_OUTPUT".as_ptr());
        !path.is_null() && libc::access(path, libc::F_OK) == 0
    };
    BEGAN_BEFORE.store(is_there, SeqCst);
}

const ARRAY: usize = 1 << 30;
static FROM_ARRAY: AtomicBool = AtomicBool::new(false);
static BASE: AtomicUsize = AtomicUsize::new(0);
static NEXT: AtomicUsize = AtomicUsize::new(0);

fn array() -> usize {
    let known = BASE.load(SeqCst);
    if known != 0 {
        return known;
    }
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: maps fresh memory.
    let base = unsafe { libc::mmap(null_mut(), ARRAY, protection, flags, -1, 0) };
    let base = base.expose_provenance();
    match BASE.compare_exchange(0, base, SeqCst, SeqCst) {
        Ok(_) => base,
        Err(other) => other,
    }
}

fn is_from_array(block: *mut u8) -> bool {
    let base = BASE.load(SeqCst);
    base != 0 && (base..base + ARRAY).contains(&block.addr())
}

fn take(layout: Layout) -> *mut u8 {
    let size = layout.size() + layout.align();
    let at = NEXT.fetch_add(size, SeqCst);
    if at + size > ARRAY {
        return null_mut();
    }
    ptr::with_exposed_provenance_mut((array() + at).next_multiple_of(layout.align()))
}

// SAFETY: blocks come from and go to System, or are disjoint parts of an array that are never used
// twice.
unsafe impl GlobalAlloc for Inner {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let block = match FROM_ARRAY.load(SeqCst) {
            true => take(layout),
            // SAFETY: passed on.
            false => unsafe { System.alloc(layout) },
        };
        if !block.is_null() {
            if truth().allocs.fetch_add(1, SeqCst) == 0 {
                note_first();
            }
            (truth().alloc_bytes).fetch_add(layout.size() as u64, SeqCst);
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        truth().frees.fetch_add(1, SeqCst);
        (truth().freed_bytes).fetch_add(layout.size() as u64, SeqCst);
        if !is_from_array(block) {
            // SAFETY: passed on.
            unsafe { System.dealloc(block, layout) }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let new = if FROM_ARRAY.load(SeqCst) || is_from_array(block) {
            // SAFETY: the caller promises that the size does not overflow.
            let new = take(unsafe { Layout::from_size_align_unchecked(size, layout.align()) });
            if !new.is_null() {
                // SAFETY: both blocks are as large, and different.
                unsafe { ptr::copy_nonoverlapping(block, new, layout.size().min(size)) };
            }
            new
        } else {
            // SAFETY: passed on.
            unsafe { System.realloc(block, layout, size) }
        };
        if !new.is_null() {
            truth().reallocs.fetch_add(1, SeqCst);
            truth().alloc_bytes.fetch_add(size as u64, SeqCst);
            (truth().freed_bytes).fetch_add(layout.size() as u64, SeqCst);
        }
        new
    }
}
