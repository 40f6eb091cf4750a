//! Clocks that run backwards, layouts that nobody asks for, and a timeline interval without end.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, realloc};
use std::hint::black_box;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::Duration;

use profiler_alloc::{Recording, Sample};
use profiler_alloc_format::env as settings;

use crate::Named;
use crate::child::Place;

pub const TESTS: &[Named] = &[
    ("odd::clocks_that_run_backwards", clocks_that_run_backwards),
    ("odd::layouts", layouts),
];

pub const ROLES: &[Named] = &[
    ("clocks", || {
        work_by_the_clock(Sample::Auto, Duration::from_millis(1))
    }),
    ("endless_interval", || {
        work_by_the_clock(Sample::Every(4096), Duration::MAX)
    }),
    ("layouts", take_odd_layouts),
];

/// Seconds that every clock of this program is behind.
static BEHIND: AtomicI64 = AtomicI64::new(0);

/// The C library's clock, as this program and the recorder in it see it.
///
/// # Safety
/// As for the C library's.
// SAFETY: has the C library's type and meaning, so it may stand in for it.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(
    clock: libc::clockid_t,
    time: *mut libc::timespec,
) -> libc::c_int {
    // SAFETY: the caller's promise is passed on.
    unsafe {
        let result = libc::syscall(libc::SYS_clock_gettime, clock, time) as libc::c_int;
        if result == 0 {
            (*time).tv_sec -= BEHIND.load(SeqCst);
        }
        result
    }
}

/// Allocates while the clocks go back a second a hundred times, then to before the machine was
/// started.
fn work_by_the_clock(sample: Sample, timeline: Duration) {
    let path = std::env::var_os("LATE").unwrap();
    let recording = Recording::builder()
        .path(path)
        .sample(sample)
        .timeline(timeline);
    let recording = recording.start().unwrap();
    for round in 0..200 {
        for size in 0..200 {
            drop(black_box(vec![1u8; size + 1]));
        }
        BEHIND.store(if round < 100 { round } else { 1 << 40 }, SeqCst);
    }
    BEHIND.store(0, SeqCst);
    drop(recording);
}

fn clocks_that_run_backwards() {
    for role in ["clocks", "endless_interval"] {
        let place = Place::new();
        let mut command = place.command(role, "auto");
        command
            .env_remove(settings::OUTPUT)
            .env("LATE", place.profile_path());
        let status = command.status().unwrap();
        assert!(status.success(), "{role}: {status}");
        let profile = place.profile();
        assert!(
            profile.counters().allocs >= 40_000,
            "{role}: {:?}",
            profile.counters()
        );
        let points = profile.timeline.iter().map(|point| point.time_ns);
        let latest = points.max().unwrap_or_default();
        let times = [profile.duration_ns(), profile.header.updated_ns, latest];
        let hour = 3_600_000_000_000;
        assert!(times.iter().all(|time| *time < hour), "{role}: {times:?}");
    }
}

const ALIGNED: Layout = match Layout::from_size_align(100, 64 << 10) {
    Ok(layout) => layout,
    Err(_) => unreachable!(),
};

fn take_odd_layouts() {
    for _ in 0..100 {
        // SAFETY: blocks are freed with the layout they have, and written within it.
        unsafe {
            let block = alloc_zeroed(ALIGNED);
            assert!(block.addr().is_multiple_of(64 << 10) && *block.add(99) == 0);
            let block = realloc(block, ALIGNED, 300);
            assert!(block.addr().is_multiple_of(64 << 10));
            dealloc(block, Layout::from_size_align(300, 64 << 10).unwrap());
            // A size that no machine has, and one that the system's allocator refuses: null, in
            // every method.
            let huge = Layout::from_size_align(isize::MAX as usize - 4096, 1).unwrap();
            assert!(alloc(huge).is_null() && alloc_zeroed(huge).is_null());
            let small = Layout::from_size_align(16, 1).unwrap();
            let block = alloc(small);
            assert!(realloc(block, small, huge.size()).is_null());
            dealloc(block, small);
        }
        // What the standard library calls empty never comes to the allocator.
        drop(black_box((Vec::<u8>::new(), Box::new(()), String::new())));
    }
}

fn layouts() {
    let place = Place::new();
    assert!(place.run("layouts", "all").success());
    let profile = place.check_totals(0, 0);
    let stacks = profile.stacks.iter().map(|stack| &stack.totals);
    let odd: Vec<_> = stacks
        .filter(|totals| totals.alloc_samples == 100)
        .collect();
    let bytes: i64 = odd.iter().map(|totals| totals.alloc_bytes).sum();
    assert!(bytes >= 100 * (100 + 300 + 16), "{odd:?}");
    assert!(odd.iter().all(|totals| totals.live_bytes == 0), "{odd:?}");
}
