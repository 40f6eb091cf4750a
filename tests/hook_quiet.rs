//! Rules 1, 3 and 6 of the hook: it allocates nothing, from the program's allocator or the system's; it may be entered
//! while it is at work; `errno` stays as it was. The probes of `#[profile]` allocate nothing either.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::{Cell, UnsafeCell};
use std::fs::File;
use std::hint::black_box;
use std::mem::offset_of;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use profiler_alloc::{ProfilerAlloc, Recording, Sample, profile};
use profiler_alloc_format::HeaderCells;

/// Takes memory from an array and never gives it back: may be called from a signal handler, and never calls malloc.
struct Bump(UnsafeCell<[u8; ARENA]>);

const ARENA: usize = 512 << 20;

static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Blocks that this thread has taken, so that what the test harness's own thread takes is not among them.
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: blocks are disjoint parts of the array.
unsafe impl Sync for Bump {}

// SAFETY: every block is a part of the array that no other block overlaps.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
        let base = self.0.get().addr();
        let size = layout.size() + layout.align();
        let at = NEXT.fetch_add(size, SeqCst);
        if at + size > ARENA {
            return std::ptr::null_mut();
        }
        let offset = (base + at).next_multiple_of(layout.align()) - base;
        // SAFETY: within the array, as just checked.
        unsafe { self.0.get().cast::<u8>().add(offset) }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOC: ProfilerAlloc<Bump> = ProfilerAlloc::new(Bump(UnsafeCell::new([0; ARENA])));

/// Signals handled, and those whose handler found its own block counted.
static IN_HANDLER: AtomicU64 = AtomicU64::new(0);
static COUNTED_IN_HANDLER: AtomicU64 = AtomicU64::new(0);

extern "C" fn allocate_in_handler(_: libc::c_int) {
    let before = profiler_alloc::stats();
    drop(black_box(Box::new([0u8; 40])));
    let counted = profiler_alloc::stats() - before;
    let is_counted = counted.allocations == 1 && counted.bytes_allocated == 40;
    COUNTED_IN_HANDLER.fetch_add(u64::from(is_counted), SeqCst);
    IN_HANDLER.fetch_add(1, SeqCst);
}

/// Bytes that the C library's malloc has handed out.
fn malloc_in_use() -> usize {
    // SAFETY: has no preconditions.
    unsafe { libc::mallinfo2() }.uordblks
}

/// The profile's count of what came while the hook was at work, read without allocating.
fn lost_reentrant(file: &File) -> u64 {
    let mut bytes = [0; 8];
    let at = offset_of!(HeaderCells, lost_reentrant) as u64;
    file.read_exact_at(&mut bytes, at).unwrap();
    u64::from_le_bytes(bytes)
}

#[profile]
fn is_profiled(rounds: u64) -> u64 {
    let mut sum = 0;
    for round in 0..rounds {
        sum = black_box(sum + round);
        sum = match sum % 2 {
            0 => black_box(sum / 2),
            _ => {
                let more = black_box(3 * sum);
                more + 1
            }
        };
    }
    sum
}

/// The first call makes the counters; from then on the probes take memory from nobody.
fn assert_probes_allocate_nothing() {
    is_profiled(1);
    let before = (CALLS.get(), malloc_in_use());
    for rounds in 0..5_000 {
        is_profiled(rounds % 100);
        let after = (CALLS.get(), malloc_in_use());
        assert_eq!(after, before, "the probes allocate in round {rounds}");
    }
}

/// Goes down a stack that the hook has not seen, so that it asks the system about each page: a call that fails is how it is
/// told of one.
#[inline(never)]
fn assert_errno_stays(depth: usize) {
    let page = black_box([0u8; 4096]);
    // SAFETY: sets and reads this thread's errno.
    unsafe {
        *libc::__errno_location() = 4242;
        drop(black_box(Vec::<u8>::with_capacity(100)));
        assert_eq!(*libc::__errno_location(), 4242);
    }
    if depth > 0 {
        assert_errno_stays(depth - 1);
    }
    black_box(page);
}

#[test]
fn allocates_nothing_keeps_errno_and_may_be_interrupted() {
    assert_probes_allocate_nothing();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.memprof");
    let recording = Recording::builder()
        .path(&path)
        .sample(Sample::All)
        .start()
        .unwrap();
    drop(black_box(vec![1u8; 10]));

    assert_errno_stays(20);
    let (calls, malloc) = (CALLS.get(), malloc_in_use());
    for size in 1..=1_000usize {
        // SAFETY: sets and reads this thread's errno.
        unsafe {
            *libc::__errno_location() = 4242;
            let mut block = black_box(Vec::<u8>::with_capacity(size));
            block.reserve_exact(size + 1);
            drop(block);
            assert_eq!(*libc::__errno_location(), 4242);
        }
    }
    // A realloc here is the trait's own: an allocation, a copy and a free inside the inner allocator.
    assert_eq!(
        CALLS.get() - calls,
        2_000,
        "one call for each of the program's own"
    );
    assert_eq!(malloc_in_use(), malloc);
    assert_probes_allocate_nothing();

    // Every 50 us a signal whose handler allocates, perhaps in the middle of the hook.
    let before = profiler_alloc::stats();
    let every = libc::timeval {
        tv_sec: 0,
        tv_usec: 50,
    };
    let off = libc::timeval {
        tv_sec: 0,
        tv_usec: 0,
    };
    let timer = |interval| libc::itimerval {
        it_interval: interval,
        it_value: interval,
    };
    // SAFETY: the handler is a function of the right type, and only does what this allocator allows in a signal.
    unsafe {
        libc::signal(
            libc::SIGALRM,
            allocate_in_handler as *const () as libc::sighandler_t,
        );
        libc::setitimer(libc::ITIMER_REAL, &timer(every), std::ptr::null_mut());
    }
    // For a second; on a busy machine, where few signals come, until some have met the hook or the arena runs out.
    let file = File::open(recording.path()).unwrap();
    let enough = || IN_HANDLER.load(SeqCst) > 100 && lost_reentrant(&file) > 0;
    let start = Instant::now();
    let mut own = 0;
    while (start.elapsed() < Duration::from_secs(1) || !enough())
        && NEXT.load(SeqCst) < ARENA / 4 * 3
    {
        (0..100).for_each(|size| drop(black_box(vec![1u8; 1 + size])));
        own += 100;
    }
    // SAFETY: as above.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &timer(off), std::ptr::null_mut()) };
    let handled = IN_HANDLER.load(SeqCst);
    assert!(handled > 100, "{handled} signals");
    assert_eq!(
        COUNTED_IN_HANDLER.load(SeqCst),
        handled,
        "every handler finds its own block counted"
    );
    let counted = (profiler_alloc::stats() - before).allocations as u64;
    // A handler that lands between a counter's load and its store may hide one operation of its own.
    let expected = own + handled;
    let hidden = expected.checked_sub(counted).expect("nothing counts twice");
    println!("{own} blocks of the program, {handled} of handlers, {hidden} of these hidden");

    let (profile, defects) = memprof::profile::read(&path).unwrap();
    assert_eq!(defects, []);
    assert!(
        profile.header.lost_reentrant > 0,
        "some signals came while the hook was at work"
    );
    drop(recording);
}
