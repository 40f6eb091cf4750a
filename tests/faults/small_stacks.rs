//! Stacks of 16 KiB, signal stacks and coroutines: the hook fits, walks no further than there is
//! stack, and says where it was cut off. And how much stack it takes, and how many allocations it
//! makes.

use std::hint::black_box;
use std::process::Command;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult};
use profiler_alloc::{Recording, RecordingBuilder, Sample};
use profiler_alloc_format::env as settings;

use crate::Named;
use crate::child::{Place, blocks_of, times};
use crate::inner;

pub const TESTS: &[Named] = &[
    (
        "small_stacks::threads_signals_and_coroutines",
        threads_signals_and_coroutines,
    ),
    ("small_stacks::what_the_hook_takes", what_the_hook_takes),
    ("small_stacks::what_a_start_takes", what_a_start_takes),
    (
        "small_stacks::a_small_thread_may_start",
        a_small_thread_may_start,
    ),
];

pub const ROLES: &[Named] = &[
    ("small_stacks", small_stacks),
    ("painted_stack", painted_stack),
    ("painted_start", painted_start),
    ("small_start", small_start),
];

const IN_THREAD: usize = 12_007;
const IN_SIGNAL: usize = 20_011;
const IN_COROUTINE: usize = 30_011;
const SMALL: usize = 16 << 10;

#[inline(never)]
fn take(bytes: usize) {
    drop(black_box(Vec::<u8>::with_capacity(bytes)));
}

extern "C" fn handle(_: libc::c_int) {
    take(IN_SIGNAL);
}

fn small_stacks() {
    let rounds = times(1_000, 50);
    for _ in 0..rounds {
        let small = std::thread::Builder::new().stack_size(SMALL);
        small.spawn(|| take(IN_THREAD)).unwrap().join().unwrap();
    }
    let (low, _) = stack_of(SMALL);
    let stack = libc::stack_t {
        ss_sp: low as *mut libc::c_void,
        ss_flags: 0,
        ss_size: SMALL,
    };
    // SAFETY: the stack is fresh memory; the handler has the type asked for, and a signal that one
    // raises oneself may allocate. A signal handler's stack is not moved while it runs.
    unsafe {
        assert_eq!(libc::sigaltstack(&stack, null_mut()), 0);
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handle as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_ONSTACK;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &action, null_mut()), 0);
        (0..rounds).for_each(|_| assert_eq!(libc::raise(libc::SIGUSR1), 0));
    }
    for round in 0..rounds {
        let size = if round % 2 == 0 { SMALL } else { 1 << 20 };
        let stack = DefaultStack::new(size).unwrap();
        let mut coroutine = Coroutine::with_stack(stack, |yielder, ()| {
            take(IN_COROUTINE);
            yielder.suspend(());
            take(IN_COROUTINE);
        });
        assert!(matches!(coroutine.resume(()), CoroutineResult::Yield(())));
        take(1);
        assert!(matches!(coroutine.resume(()), CoroutineResult::Return(())));
    }
}

fn threads_signals_and_coroutines() {
    let place = Place::new();
    let status = place.run("small_stacks", "all");
    assert!(status.success(), "{status}");
    let profile = place.check_totals(0, 0);
    let rounds = times(1_000, 50) as u64;
    for (size, samples) in [
        (IN_THREAD, rounds),
        (IN_SIGNAL, rounds),
        (IN_COROUTINE, 2 * rounds),
    ] {
        let (found, _) = blocks_of(&profile, size);
        assert_eq!(found, samples, "allocations of {size} bytes");
    }
    // Only of a signal's frame, and only on x86-64, is it known what was interrupted.
    let cut_off = profile.header.lost_outer_frames;
    let most = match cfg!(target_arch = "x86_64") {
        true => 0,
        false => 4 * rounds,
    };
    assert!(cut_off <= most, "{cut_off} stacks cut off");
}

/// A fresh piece of memory of `bytes`: its two ends.
fn stack_of(bytes: usize) -> (usize, usize) {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: maps fresh memory.
    let low = unsafe { libc::mmap(null_mut(), bytes, protection, flags, -1, 0) };
    assert_ne!(low, libc::MAP_FAILED);
    (low.expose_provenance(), low.expose_provenance() + bytes)
}

const PAINT: u8 = 0xa7;
const PAINTED: usize = 64 << 10;
static STACK: AtomicUsize = AtomicUsize::new(0);

/// Lowest address of the painted signal stack that was written to.
fn lowest_written() -> usize {
    let low = STACK.load(SeqCst);
    // SAFETY: the stack is mapped, and nobody runs on it now.
    let bytes = unsafe { std::slice::from_raw_parts(low as *const u8, PAINTED) };
    low + bytes
        .iter()
        .position(|&byte| byte != PAINT)
        .unwrap_or(PAINTED)
}

fn paint() {
    // SAFETY: as above.
    unsafe { std::slice::from_raw_parts_mut(STACK.load(SeqCst) as *mut u8, PAINTED).fill(PAINT) };
}

static SIZE: AtomicUsize = AtomicUsize::new(0);
static AT: AtomicUsize = AtomicUsize::new(0);

/// Allocates and frees without anything in between that would take more stack than the hook; size 0
/// is nothing.
extern "C" fn allocate_on_painted_stack(_: libc::c_int) {
    let here = 0u8;
    AT.store(&raw const here as usize, SeqCst);
    let size = SIZE.load(SeqCst);
    if size > 0 {
        let layout = std::alloc::Layout::from_size_align(size, 8).unwrap();
        // SAFETY: the size is not 0, and the block is freed with its layout.
        unsafe { std::alloc::dealloc(black_box(std::alloc::alloc(layout)), layout) };
    }
}

/// Has `handler` called on a fresh stack by a signal.
fn handle_on_painted_stack(handler: extern "C" fn(libc::c_int)) {
    let (low, _) = stack_of(PAINTED);
    STACK.store(low, SeqCst);
    inner::take_from_array();
    let stack = libc::stack_t {
        ss_sp: low as *mut libc::c_void,
        ss_flags: 0,
        ss_size: PAINTED,
    };
    // SAFETY: as in `small_stacks`.
    unsafe {
        assert_eq!(libc::sigaltstack(&stack, null_mut()), 0);
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_ONSTACK;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &action, null_mut()), 0);
    }
}

/// Bytes below the frame of the handler that one signal has written to.
fn used_by_one_signal() -> usize {
    paint();
    // SAFETY: as in `small_stacks`.
    assert_eq!(unsafe { libc::raise(libc::SIGUSR1) }, 0);
    AT.load(SeqCst).saturating_sub(lowest_written())
}

/// Prints how many bytes below the handler's own frame an allocation and a free have written to,
/// the first time and later.
fn painted_stack() {
    handle_on_painted_stack(allocate_on_painted_stack);
    let used = |size: usize| {
        SIZE.store(size, SeqCst);
        used_by_one_signal()
    };
    assert!(inner::began_before(), "beginning takes more stack");
    let (nothing, first, again) = (used(0), used(100), used(100));
    println!("{nothing} {first} {again}");
}

/// Asserts that nothing that the child in `role` measures has taken more of the stack than the hook
/// may, and gives it.
fn check_stack_taken(role: &str, command: &mut Command) -> Vec<usize> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let figures: Vec<usize> = text
        .split_whitespace()
        .map(|figure| figure.parse().unwrap())
        .collect();
    println!("{role}: {figures:?} bytes of stack below the caller's frame");
    // Without optimization, frames are several times as large. Of 16 KiB, a thread has 11 left when
    // its own code begins.
    let most = if cfg!(debug_assertions) {
        9 << 10
    } else {
        4 << 10
    };
    assert!(
        figures.iter().all(|&figure| figure <= most),
        "{role}: {figures:?} bytes of stack"
    );
    figures
}

fn what_the_hook_takes() {
    let (place, role) = (Place::new(), "painted_stack");
    let figures = check_stack_taken(role, &mut place.command(role, "all"));
    assert_eq!(figures.len(), 3);
}

/// Where the recordings of `painted_start` go.
const FOLDER: &str = "PAINTED_FOLDER";

/// What the next signal is to start, and what it has started.
static NEXT: Mutex<(Option<RecordingBuilder>, Option<Recording>)> = Mutex::new((None, None));

/// Ends the recording that is under way; or starts another one.
extern "C" fn start_on_painted_stack(_: libc::c_int) {
    let here = 0u8;
    AT.store(&raw const here as usize, SeqCst);
    let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
    let (builder, recording) = &mut *next;
    match recording.take() {
        Some(recording) => drop(recording),
        None => *recording = builder.take().and_then(|builder| builder.start().ok()),
    }
}

/// Prints how many bytes a start and an end have written to: the first one, one where the file
/// exists, and one where the program's name goes into that of the file.
fn painted_start() {
    handle_on_painted_stack(start_on_painted_stack);
    let folder = std::path::PathBuf::from(std::env::var_os(FOLDER).unwrap());
    for name in ["a.memprof", "a.memprof", "%e.%p.memprof", "%e.%p.memprof"] {
        let builder = Recording::builder().sample(Sample::All);
        NEXT.lock().unwrap().0 = Some(builder.path(folder.join(name)));
        let start = used_by_one_signal();
        assert!(NEXT.lock().unwrap().1.is_some(), "{name} is recorded");
        println!("{start} {}", used_by_one_signal());
    }
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 5);
}

/// A recording that is started from code takes no more of the stack than an allocation.
fn what_a_start_takes() {
    let (place, role) = (Place::new(), "painted_start");
    let mut command = place.command(role, "all");
    command.env_remove(settings::OUTPUT);
    command.env(FOLDER, place.folder());
    assert_eq!(check_stack_taken(role, &mut command).len(), 8);
}

/// Starts a recording, allocates and ends it.
extern "C" fn start_and_end(_: *mut libc::c_void) -> *mut libc::c_void {
    start_on_painted_stack(0);
    take(IN_THREAD);
    start_on_painted_stack(0);
    null_mut()
}

/// As [`painted_start`], each time on a thread of the smallest stack that the C library allows.
fn small_start() {
    let folder = std::path::PathBuf::from(std::env::var_os(FOLDER).unwrap());
    for name in ["a.memprof", "a.memprof", "%e.%p.memprof"] {
        let builder = Recording::builder().sample(Sample::All);
        NEXT.lock().unwrap().0 = Some(builder.path(folder.join(name)));
        // SAFETY: the attributes are made before they are used; the thread's function has the type
        // asked for and takes nothing.
        unsafe {
            let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
            assert_eq!(libc::pthread_attr_init(&mut attributes), 0);
            assert_eq!(libc::pthread_attr_setstacksize(&mut attributes, SMALL), 0);
            let mut thread = std::mem::zeroed();
            let made = libc::pthread_create(&mut thread, &attributes, start_and_end, null_mut());
            assert_eq!(made, 0);
            assert_eq!(libc::pthread_join(thread, null_mut()), 0);
        }
    }
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 4);
}

/// Optimized or not, 16 KiB are enough to start a recording, take the first stacks, and end it.
fn a_small_thread_may_start() {
    let (place, role) = (Place::new(), "small_start");
    let mut command = place.command(role, "all");
    command.env_remove(settings::OUTPUT);
    command.env(FOLDER, place.folder());
    let status = command.status().unwrap();
    assert!(status.success(), "{status}");
}
