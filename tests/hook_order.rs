//! Rule 2 of the hook: a block is untracked before the real free and tracked after the real
//! allocation, and a failed reallocation leaves it as it was.

use std::alloc::{GlobalAlloc, Layout, System, handle_alloc_error};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering::SeqCst};

use memprof::profile::{self, Profile};
use profiler_alloc::{ProfilerAlloc, Recording, Sample};

/// Hands a freed block to another thread before the free has returned, and fails reallocations on
/// demand.
struct Adversary;

static ARMED: AtomicBool = AtomicBool::new(false);
static OFFERED: AtomicPtr<u8> = AtomicPtr::new(null_mut());
static TRACKED: AtomicBool = AtomicBool::new(false);
static REFUSE: AtomicBool = AtomicBool::new(false);

const HANDED_OVER: usize = 777_777;

// SAFETY: blocks come from and go to System; a block offered in `dealloc` is returned by one
// `alloc` of the same layout.
unsafe impl GlobalAlloc for Adversary {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() == HANDED_OVER && ARMED.load(SeqCst) {
            return wait_for(|| {
                Some(OFFERED.swap(null_mut(), SeqCst)).filter(|block| !block.is_null())
            });
        }
        if REFUSE.load(SeqCst) && layout.size() > HANDED_OVER {
            return null_mut();
        }
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if layout.size() == HANDED_OVER && ARMED.load(SeqCst) {
            OFFERED.store(block, SeqCst);
            wait_for(|| TRACKED.load(SeqCst).then_some(()));
            return;
        }
        // SAFETY: passed on.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if REFUSE.load(SeqCst) {
            return null_mut();
        }
        // SAFETY: passed on.
        unsafe { System.realloc(block, layout, size) }
    }
}

fn wait_for<T>(mut ready: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(value) = ready() {
            return value;
        }
        std::thread::yield_now();
    }
}

#[global_allocator]
static ALLOC: ProfilerAlloc<Adversary> = ProfilerAlloc::new(Adversary);

fn allocate(size: usize) -> *mut u8 {
    let layout = Layout::from_size_align(size, 1).unwrap();
    // SAFETY: the size is not 0.
    let block = unsafe { std::alloc::alloc(layout) };
    if block.is_null() {
        handle_alloc_error(layout);
    }
    block
}

fn free(block: *mut u8, size: usize) {
    // SAFETY: the block is one of `allocate` with this size, not freed before.
    unsafe { std::alloc::dealloc(block, Layout::from_size_align(size, 1).unwrap()) };
}

/// Bytes live in all stacks together, in blocks of at least the size handed over.
fn live(profile: &Profile) -> i64 {
    let all: i64 = profile
        .stacks
        .iter()
        .map(|stack| stack.totals.live_bytes)
        .sum();
    all / HANDED_OVER as i64 * HANDED_OVER as i64
}

fn read(path: &std::path::Path) -> Profile {
    let (profile, defects) = profile::read(path).unwrap();
    assert_eq!(defects, []);
    profile
}

#[test]
fn a_block_is_another_threads_as_soon_as_it_is_freed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.memprof");
    let recording = Recording::builder()
        .path(&path)
        .sample(Sample::All)
        .start()
        .unwrap();

    let block = allocate(HANDED_OVER);
    assert_eq!(live(&read(&path)), HANDED_OVER as i64);
    ARMED.store(true, SeqCst);
    let profile = path.clone();
    let taker = std::thread::spawn(move || {
        wait_for(|| (!OFFERED.load(SeqCst).is_null()).then_some(()));
        let live_during_free = live(&read(&profile));
        let block = allocate(HANDED_OVER);
        TRACKED.store(true, SeqCst);
        (block.expose_provenance(), live_during_free)
    });
    free(block, HANDED_OVER);
    let (taken, live_during_free) = taker.join().unwrap();
    ARMED.store(false, SeqCst);
    assert_eq!(live_during_free, 0, "untracked before the real free");
    assert_eq!(taken, block.addr(), "the block changed hands");
    assert_eq!(
        live(&read(&path)),
        HANDED_OVER as i64,
        "the new owner's block is live"
    );
    free(block, HANDED_OVER);
    assert_eq!(live(&read(&path)), 0);

    let before = profiler_alloc::stats();
    let block = allocate(HANDED_OVER);
    REFUSE.store(true, SeqCst);
    let layout = Layout::from_size_align(HANDED_OVER, 1).unwrap();
    // SAFETY: the block has this layout; a null result leaves it as it was.
    unsafe {
        assert!(std::alloc::realloc(block, layout, 2 * HANDED_OVER).is_null());
        assert!(std::alloc::alloc(Layout::from_size_align(2 * HANDED_OVER, 1).unwrap()).is_null());
        assert!(
            std::alloc::alloc_zeroed(Layout::from_size_align(2 * HANDED_OVER, 1).unwrap())
                .is_null()
        );
    }
    REFUSE.store(false, SeqCst);
    let change = profiler_alloc::stats() - before;
    assert_eq!(
        (change.allocations, change.reallocations),
        (1, 0),
        "failures are not counted"
    );
    assert_eq!(
        live(&read(&path)),
        HANDED_OVER as i64,
        "still live after a failed realloc"
    );
    free(block, HANDED_OVER);
    assert_eq!(live(&read(&path)), 0, "and known when it was freed");
    drop(recording);
}
