//! What the recorder writes to the stack of whoever allocates, frees, or starts a recording: bytes
//! below the caller's frame.
//!
//! `stack_use operation` prints four figures: nothing done, the first block, one more, and one that
//! comes when an account of the resident memory is due, if there is to be one every 10 ms;
//! `stack_use start FOLDER` one for each of four starts, and one for each end.
//!
//! Each is measured on a fresh stack filled with one byte, which a signal's handler runs on.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::path::Path;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};

use profiler_alloc::{ProfilerAlloc, Recording, RecordingBuilder, Sample};

#[global_allocator]
static ALLOC: ProfilerAlloc<Shallow> = ProfilerAlloc::new(Shallow);

/// From when it is told to, it takes blocks from an array, which needs next to no stack.
struct Shallow;

const ARRAY: usize = 1 << 20;
static FROM_ARRAY: AtomicBool = AtomicBool::new(false);
static ARRAY_AT: AtomicUsize = AtomicUsize::new(0);
static TAKEN: AtomicUsize = AtomicUsize::new(0);

// SAFETY: blocks are System's, or disjoint parts of an array that are never used twice.
unsafe impl GlobalAlloc for Shallow {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !FROM_ARRAY.load(SeqCst) {
            // SAFETY: passed on.
            return unsafe { System.alloc(layout) };
        }
        let room = layout.size() + layout.align();
        let start = TAKEN.fetch_add(room, SeqCst);
        if start + room > ARRAY {
            return null_mut();
        }
        let at = (ARRAY_AT.load(SeqCst) + start).next_multiple_of(layout.align());
        std::ptr::with_exposed_provenance_mut(at)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let array = ARRAY_AT.load(SeqCst);
        if array == 0 || !(array..array + ARRAY).contains(&block.addr()) {
            // SAFETY: it is System's, and passed on.
            unsafe { System.dealloc(block, layout) };
        }
    }
}

/// Fresh memory of `bytes`: its lowest address.
fn map(bytes: usize) -> usize {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: maps fresh memory.
    let low = unsafe { libc::mmap(null_mut(), bytes, protection, flags, -1, 0) };
    assert_ne!(low, libc::MAP_FAILED);
    low.expose_provenance()
}

const PAINT: u8 = 0xa7;
const STACK: usize = 64 << 10;
static STACK_AT: AtomicUsize = AtomicUsize::new(0);

/// Where the handler's own frame was.
static CALLER_AT: AtomicUsize = AtomicUsize::new(0);

/// Has `handler` called on a fresh stack by SIGUSR1.
fn handle_on_painted_stack(handler: extern "C" fn(libc::c_int)) {
    STACK_AT.store(map(STACK), SeqCst);
    ARRAY_AT.store(map(ARRAY), SeqCst);
    FROM_ARRAY.store(true, SeqCst);
    let stack = libc::stack_t {
        ss_sp: std::ptr::with_exposed_provenance_mut(STACK_AT.load(SeqCst)),
        ss_flags: 0,
        ss_size: STACK,
    };
    // SAFETY: the stack is fresh memory that stays; the handler has the type asked for, and may
    // allocate, as the signal is raised by the program itself.
    unsafe {
        assert_eq!(libc::sigaltstack(&stack, null_mut()), 0);
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_ONSTACK;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &action, null_mut()), 0);
    }
}

/// Bytes below the handler's frame that one signal writes to.
fn used_by_one_signal() -> usize {
    let low: *mut u8 = std::ptr::with_exposed_provenance_mut(STACK_AT.load(SeqCst));
    // SAFETY: the stack is mapped, and nobody runs on it while it is painted and looked at.
    let stack = unsafe {
        std::slice::from_raw_parts_mut(low, STACK).fill(PAINT);
        assert_eq!(libc::raise(libc::SIGUSR1), 0);
        std::slice::from_raw_parts(low, STACK)
    };
    let untouched = stack.iter().take_while(|&&byte| byte == PAINT).count();
    CALLER_AT
        .load(SeqCst)
        .saturating_sub(low.addr() + untouched)
}

static SIZE: AtomicUsize = AtomicUsize::new(0);

/// Allocates and frees without anything in between that would take more stack than the recorder;
/// size 0 is nothing.
extern "C" fn allocate(_: libc::c_int) {
    let here = 0u8;
    CALLER_AT.store((&raw const here).addr(), SeqCst);
    let size = SIZE.load(SeqCst);
    if size > 0 {
        let layout = Layout::from_size_align(size, 8).unwrap();
        // SAFETY: the size is not 0, and the block is freed with its layout.
        unsafe { std::alloc::dealloc(black_box(std::alloc::alloc(layout)), layout) };
    }
}

fn operation() {
    handle_on_painted_stack(allocate);
    for size in [0, 100, 100] {
        SIZE.store(size, SeqCst);
        println!("{}", used_by_one_signal());
    }
    std::thread::sleep(std::time::Duration::from_millis(50));
    println!("{}", used_by_one_signal());
}

/// What the next signal is to start, and what it has started.
static NEXT: Mutex<(Option<RecordingBuilder>, Option<Recording>)> = Mutex::new((None, None));

/// Ends the recording that is under way; or starts the next.
extern "C" fn start_or_end(_: libc::c_int) {
    let here = 0u8;
    CALLER_AT.store((&raw const here).addr(), SeqCst);
    let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
    let (builder, recording) = &mut *next;
    match recording.take() {
        Some(recording) => drop(recording),
        None => *recording = builder.take().and_then(|builder| builder.start().ok()),
    }
}

/// The first start, one where the file exists, and two where the program's name goes into that of
/// the file.
fn start(folder: &Path) {
    handle_on_painted_stack(start_or_end);
    for name in ["a.memprof", "a.memprof", "%e.%p.memprof", "%e.%p.memprof"] {
        let builder = Recording::builder().sample(Sample::All);
        NEXT.lock().unwrap().0 = Some(builder.path(folder.join(name)));
        let start = used_by_one_signal();
        assert!(NEXT.lock().unwrap().1.is_some(), "{name} is recorded");
        println!("{start}\n{}", used_by_one_signal());
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["operation"] => operation(),
        ["start", folder] => start(Path::new(folder)),
        _ => panic!("usage: stack_use operation | stack_use start FOLDER"),
    }
}
