//! Allocations before `main`, while a thread ends, in a panic hook and after `main`: counted, and
//! charged to a stack.

use std::cell::RefCell;
use std::hint::black_box;

use crate::Named;
use crate::child::Place;
use crate::inner;

pub const TESTS: &[Named] = &[("early_and_late::all_are_counted", all_are_counted)];

pub const ROLES: &[Named] = &[("early_and_late", early_and_late)];

const BEFORE_MAIN: usize = 10_007;
const IN_THREAD_EXIT: usize = 20_011;
const IN_KEY_DESTRUCTOR: usize = 30_011;
const IN_PANIC_HOOK: usize = 40_009;
const AT_EXIT: usize = 50_021;

#[inline(never)]
fn take(bytes: usize) {
    drop(black_box(vec![1u8; bytes]));
}

extern "C" fn before_main() {
    take(BEFORE_MAIN);
}

// SAFETY: the C library calls what stands in this section before main, without arguments that
// matter.
#[unsafe(link_section = ".init_array")]
#[used]
static CONSTRUCTOR: extern "C" fn() = before_main;

extern "C" fn at_exit() {
    take(AT_EXIT);
}

/// Allocates when its thread ends.
struct Late;

impl Drop for Late {
    fn drop(&mut self) {
        take(IN_THREAD_EXIT);
    }
}

thread_local! {
    static LATE: RefCell<Option<Late>> = const { RefCell::new(None) };
}

/// Runs after the destructors of Rust's own thread-locals, and asks to be called again: four times
/// is the most.
unsafe extern "C" fn key_destructor(key: *mut libc::c_void) {
    take(IN_KEY_DESTRUCTOR);
    // SAFETY: the value is the key itself, plus one so that it is not null.
    unsafe { libc::pthread_setspecific((key.addr() - 1) as libc::pthread_key_t, key) };
}

fn early_and_late() {
    assert!(inner::began_before(), "the first block is recorded");
    // SAFETY: the handler has the type asked for.
    unsafe { libc::atexit(at_exit) };
    let mut key = 0;
    // SAFETY: `key` is valid to write to.
    let error = unsafe { libc::pthread_key_create(&mut key, Some(key_destructor)) };
    assert_eq!(error, 0);
    let worker = std::thread::spawn(move || {
        LATE.with(|late| *late.borrow_mut() = Some(Late));
        // SAFETY: the key was just made.
        unsafe { libc::pthread_setspecific(key, std::ptr::without_provenance(key as usize + 1)) };
    });
    worker.join().unwrap();
    std::panic::set_hook(Box::new(|_| take(IN_PANIC_HOOK)));
    assert!(std::panic::catch_unwind(|| panic!("on purpose")).is_err());
}

fn all_are_counted() {
    let place = Place::new();
    assert!(place.run("early_and_late", "all").success());
    let profile = place.check_totals(0, 0);
    for size in [
        BEFORE_MAIN,
        IN_THREAD_EXIT,
        IN_KEY_DESTRUCTOR,
        IN_PANIC_HOOK,
        AT_EXIT,
    ] {
        let stacks = profile.stacks.iter().map(|stack| &stack.totals);
        let found =
            stacks.filter(|totals| totals.alloc_bytes > 0 && totals.alloc_bytes % size as i64 == 0);
        let found: Vec<_> = found.collect();
        assert!(!found.is_empty(), "{size} bytes are in a stack");
        assert!(
            found.iter().all(|totals| totals.live_bytes == 0),
            "{found:?}"
        );
    }
}
