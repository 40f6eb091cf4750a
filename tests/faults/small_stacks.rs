//! Stacks of 16 KiB, signal stacks and coroutines: the hook fits, walks no further than there is
//! stack, and says where it was cut off; a recording may start there.

use std::hint::black_box;
use std::ptr::null_mut;
use std::sync::{Mutex, PoisonError};

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult};
use profiler_alloc::{Recording, RecordingBuilder, Sample};
use profiler_alloc_format::env as settings;

use crate::Named;
use crate::child::{Place, blocks_of, times};

pub const TESTS: &[Named] = &[
    (
        "small_stacks::threads_signals_and_coroutines",
        threads_signals_and_coroutines,
    ),
    (
        "small_stacks::a_small_thread_may_start",
        a_small_thread_may_start,
    ),
];

pub const ROLES: &[Named] = &[("small_stacks", small_stacks), ("small_start", small_start)];

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

/// Where the recordings of `small_start` go.
const FOLDER: &str = "SMALL_START_FOLDER";

/// What the next thread is to start, and what it has started.
static NEXT: Mutex<(Option<RecordingBuilder>, Option<Recording>)> = Mutex::new((None, None));

/// Ends the recording that is under way; or starts another one.
fn start_or_end() {
    let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
    let (builder, recording) = &mut *next;
    match recording.take() {
        Some(recording) => drop(recording),
        None => *recording = builder.take().and_then(|builder| builder.start().ok()),
    }
}

/// Starts a recording, allocates and ends it.
extern "C" fn start_and_end(_: *mut libc::c_void) -> *mut libc::c_void {
    start_or_end();
    take(IN_THREAD);
    start_or_end();
    null_mut()
}

/// Starts a recording, each time on a thread of the smallest stack that the C library allows.
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
