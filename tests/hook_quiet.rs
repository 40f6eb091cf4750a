//! Rules 1, 3 and 6 of the hook: it allocates nothing, from the program's allocator or the
//! system's; it may be entered while it is at work; `errno` stays as it was. The probes of
//! `#[profile]` allocate nothing either.
//!
//! There is no test harness here: its own thread would be given the signals, as the system sends
//! those of a timer to the main thread, and would take memory now and then.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::fs::File;
use std::hint::black_box;
use std::mem::offset_of;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use profiler_alloc::{ProfilerAlloc, Recording, Sample, profile};
use profiler_alloc_format::HeaderCells;

/// Takes memory from an array and never gives it back: may be called from a signal handler, and
/// never calls malloc.
struct Bump(UnsafeCell<[u8; ARENA]>);

const ARENA: usize = 512 << 20;

static NEXT: AtomicUsize = AtomicUsize::new(0);
static CALLS: AtomicU64 = AtomicU64::new(0);

// SAFETY: blocks are disjoint parts of the array.
unsafe impl Sync for Bump {}

// SAFETY: every block is a part of the array that no other block overlaps.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, SeqCst);
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
    let before = (CALLS.load(SeqCst), malloc_in_use());
    for rounds in 0..5_000 {
        is_profiled(rounds % 100);
        let after = (CALLS.load(SeqCst), malloc_in_use());
        assert_eq!(after, before, "the probes allocate in round {rounds}");
    }
}

/// Goes down a stack that the hook has not seen, so that it asks the system about each page: a call
/// that fails is how it is told of one.
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

/// Sets the handler. Signals that come between two operations lose nothing: each block of a handler
/// is counted, exactly.
fn assert_handlers_count() {
    const SIGNALS: u64 = 1_000;
    let before = profiler_alloc::stats();
    // SAFETY: the handler is a function of the right type, and only does what this allocator allows
    // in a signal; `raise` returns after it has run.
    unsafe {
        let handler = allocate_in_handler as *const () as libc::sighandler_t;
        libc::signal(libc::SIGALRM, handler);
        (0..SIGNALS).for_each(|_| assert_eq!(libc::raise(libc::SIGALRM), 0));
    }
    let counted = (profiler_alloc::stats() - before).allocations as u64;
    assert_eq!(IN_HANDLER.swap(0, SeqCst), SIGNALS);
    assert_eq!(COUNTED_IN_HANDLER.swap(0, SeqCst), SIGNALS);
    assert_eq!(
        counted, SIGNALS,
        "a handler's block is lost between operations"
    );
}

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
    let (calls, malloc) = (CALLS.load(SeqCst), malloc_in_use());
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
    // A realloc here is the trait's own: an allocation, a copy and a free inside the inner
    // allocator.
    assert_eq!(
        CALLS.load(SeqCst) - calls,
        2_000,
        "one call for each of the program's own"
    );
    assert_eq!(malloc_in_use(), malloc);
    assert_probes_allocate_nothing();

    assert_handlers_count();

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
    // SAFETY: `timer` is whole, and the old one is not asked for.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &timer(every), std::ptr::null_mut()) };
    // For a second; on a busy machine, where few signals come, until some have met the hook or the
    // arena runs out.
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
    // A handler that lands between a counter's load and its store hides its own operation: the
    // program's store overwrites it. That is a few of the thousands of instructions that a recorded
    // block takes, so it befalls far fewer than one handler in ten; were no handler counted for
    // good, it would be all of them.
    let hidden = (own + handled)
        .checked_sub(counted)
        .expect("nothing counts twice");
    println!("{own} blocks of the program, {handled} of handlers, {hidden} of these hidden");
    assert!(hidden <= handled / 10, "{hidden} of {handled} hidden");

    let (profile, defects) = memprof::profile::read(&path).unwrap();
    assert_eq!(defects, []);
    assert!(
        profile.header.lost_reentrant > 0,
        "some signals came while the hook was at work"
    );
    drop(recording);
}

fn main() {
    allocates_nothing_keeps_errno_and_may_be_interrupted();
}
