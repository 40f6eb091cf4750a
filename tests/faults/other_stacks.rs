//! What a walk meets beside ordinary functions: a signal's handler on a stack of its own, code made
//! at run time, a coroutine that nothing leads out of. The lines further out have their bytes;
//! where they cannot, it is said why.

use std::hint::black_box;
use std::ptr::null_mut;

use memprof::profile::Loss;
use serde_json::Value;

use crate::Named;
use crate::child::{Place, blocks_of};

pub const TESTS: &[Named] = &[
    ("other_stacks::signals", signals),
    ("other_stacks::run_time_code", run_time_code),
    ("other_stacks::no_way_out", no_way_out),
];

pub const ROLES: &[Named] = &[
    ("interrupted_once", interrupted_once),
    ("through_run_time_code", through_run_time_code),
    ("blind_run_time_code", blind_run_time_code),
    ("unlinked", unlinked),
];

const ROUNDS: usize = 20;
const SIZE: usize = 34_567;
const BYTES: u64 = (ROUNDS * SIZE) as u64;

#[inline(never)]
extern "C" fn take() {
    drop(black_box(Vec::<u8>::with_capacity(SIZE)));
}

/// The child in `role`; what it could not record, and the bytes allocated on the line of this file
/// with `marker`, as the command says.
fn run(role: &str, marker: &str) -> (Vec<Loss>, Option<u64>) {
    let place = Place::new();
    let status = place.run(role, "all");
    assert!(status.success(), "{role}: {status}");
    let profile = place.check_totals(0, 0);
    assert_eq!(blocks_of(&profile, SIZE).0, ROUNDS as u64, "{role}");
    let report = std::process::Command::new(env!("CARGO_BIN_EXE_memprof"))
        .args(["report", "--format", "json", "--function", "other_stacks::"])
        .arg(place.profile_path())
        .output()
        .unwrap();
    assert!(report.status.success(), "{role}: {report:?}");
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    let source = include_str!("other_stacks.rs");
    let lines = (1u64..).zip(source.lines());
    let (number, _) = (lines.into_iter())
        .find(|(_, line)| line.ends_with(marker) && !line.contains('"'))
        .expect(marker);
    let functions = report["functions"].as_array().unwrap();
    let lines = functions
        .iter()
        .filter(|function| {
            (function["file"].as_str()).is_some_and(|file| file.ends_with("other_stacks.rs"))
        })
        .flat_map(|function| function["lines"].as_array().unwrap());
    let allocated = lines
        .filter(|line| line["line"] == number)
        .find_map(|line| line["allocated"].as_u64());
    (Loss::of(&profile), allocated)
}

fn no_losses(losses: &[Loss]) {
    assert_eq!(losses, []);
}

/// `least` of one kind, and no others.
fn one_loss(losses: &[Loss], what: &str, least: usize) {
    let [loss] = losses else {
        panic!("{losses:?}");
    };
    assert!(loss.what.contains(what), "{loss:?}");
    assert!(loss.count >= least as u64, "{loss:?}");
}

fn signals() {
    if cfg!(not(target_arch = "x86_64")) {
        return;
    }
    let (losses, allocated) = run("interrupted_once", "// is interrupted");
    no_losses(&losses);
    assert_eq!(allocated, Some(BYTES));
}

fn run_time_code() {
    if cfg!(not(any(target_arch = "x86_64", target_arch = "aarch64"))) {
        return;
    }
    let (losses, allocated) = run("through_run_time_code", "// with frame pointers");
    // Each of them where it stands in a stack that was not met before.
    one_loss(&losses, "frames of unknown modules", 2);
    assert_eq!(allocated, Some(BYTES));
    let (losses, allocated) = run("blind_run_time_code", "// without");
    let said = losses.iter().find(|loss| {
        loss.what
            == "stacks end in code made at run time: the lines that called it are not credited"
    });
    assert!(
        said.is_some_and(|loss| loss.count >= ROUNDS as u64),
        "{losses:?}"
    );
    assert_eq!(allocated.unwrap_or_default(), 0);
}

fn no_way_out() {
    let (losses, _) = run("unlinked", "// not known");
    one_loss(&losses, "as of a coroutine", ROUNDS);
}

extern "C" fn handle(_: libc::c_int) {
    take();
}

fn interrupted_once() {
    let mut stack = vec![0u8; 64 << 10];
    let given = libc::stack_t {
        ss_sp: stack.as_mut_ptr().cast(),
        ss_flags: 0,
        ss_size: stack.len(),
    };
    // SAFETY: the stack outlives the signals; the handler has the type asked for, and a signal that
    // one raises oneself may allocate.
    unsafe {
        assert_eq!(libc::sigaltstack(&given, null_mut()), 0);
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handle as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_ONSTACK;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &action, null_mut()), 0);
    }
    for _ in 0..ROUNDS {
        // SAFETY: raises a signal that has a handler.
        unsafe { libc::raise(libc::SIGUSR1) }; // is interrupted
    }
    let none = libc::stack_t {
        ss_sp: null_mut(),
        ss_flags: libc::SS_DISABLE,
        ss_size: 0,
    };
    // SAFETY: nothing runs on the stack any more.
    unsafe { assert_eq!(libc::sigaltstack(&none, null_mut()), 0) };
    drop(stack);
}

/// A function that calls what it is given, made of these bytes in a page of its own.
fn made(code: &[u8]) -> extern "C" fn(extern "C" fn()) {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: fresh memory with room for the code, which is a function of that type and is never
    // unmapped.
    unsafe {
        let page = libc::mmap(null_mut(), 4096, protection, flags, -1, 0);
        assert_ne!(page, libc::MAP_FAILED);
        page.cast::<u8>().copy_from(code.as_ptr(), code.len());
        let protection = libc::PROT_READ | libc::PROT_EXEC;
        assert_eq!(libc::mprotect(page, 4096, protection), 0);
        std::mem::transmute::<*mut libc::c_void, extern "C" fn(extern "C" fn())>(page)
    }
}

/// Two functions, the first calling the second, as engines make them.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const WITH_FRAME_POINTERS: &[u8] = &[
    0x55,                           // push rbp
    0x48, 0x89, 0xe5,               // mov rbp, rsp
    0xe8, 7, 0, 0, 0,               // call the second
    0x5d,                           // pop rbp
    0xc3,                           // ret
    0xcc, 0xcc, 0xcc, 0xcc, 0xcc,
    0x55,                           // push rbp
    0x48, 0x89, 0xe5,               // mov rbp, rsp
    0x53, 0x53,                     // push rbx, twice
    0xff, 0xd7,                     // call rdi
    0x5b, 0x5b,                     // pop rbx, twice
    0x5d,                           // pop rbp
    0xc3,                           // ret
];

/// One that uses the register for something else.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const WITHOUT: &[u8] = &[
    0x55,                           // push rbp
    0x31, 0xed,                     // xor ebp, ebp
    0xff, 0xd7,                     // call rdi
    0x5d,                           // pop rbp
    0xc3,                           // ret
];

#[cfg(target_arch = "aarch64")]
#[rustfmt::skip]
const WITH_FRAME_POINTERS: &[u8] = &[
    0xfd, 0x7b, 0xbf, 0xa9,         // stp x29, x30, [sp, #-16]!
    0xfd, 0x03, 0x00, 0x91,         // mov x29, sp
    0x03, 0x00, 0x00, 0x94,         // bl the second
    0xfd, 0x7b, 0xc1, 0xa8,         // ldp x29, x30, [sp], #16
    0xc0, 0x03, 0x5f, 0xd6,         // ret
    0xfd, 0x7b, 0xbf, 0xa9,         // stp x29, x30, [sp, #-16]!
    0xfd, 0x03, 0x00, 0x91,         // mov x29, sp
    0x00, 0x00, 0x3f, 0xd6,         // blr x0
    0xfd, 0x7b, 0xc1, 0xa8,         // ldp x29, x30, [sp], #16
    0xc0, 0x03, 0x5f, 0xd6,         // ret
];

#[cfg(target_arch = "aarch64")]
#[rustfmt::skip]
const WITHOUT: &[u8] = &[
    0xfd, 0x7b, 0xbf, 0xa9,         // stp x29, x30, [sp, #-16]!
    0x1d, 0x00, 0x80, 0xd2,         // mov x29, #0
    0x00, 0x00, 0x3f, 0xd6,         // blr x0
    0xfd, 0x7b, 0xc1, 0xa8,         // ldp x29, x30, [sp], #16
    0xc0, 0x03, 0x5f, 0xd6,         // ret
];

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const WITH_FRAME_POINTERS: &[u8] = &[];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const WITHOUT: &[u8] = &[];

fn through_run_time_code() {
    let call = made(WITH_FRAME_POINTERS);
    for _ in 0..ROUNDS {
        call(take); // with frame pointers
    }
}

fn blind_run_time_code() {
    let call = made(WITHOUT);
    for _ in 0..ROUNDS {
        call(take); // without
    }
}

/// On a stack whose first function returns to nothing, as those of some coroutines.
fn unlinked() {
    use corosensei::stack::{DefaultStack, Stack};
    let stack = DefaultStack::new(64 << 10).unwrap();
    let top = stack.base().get();
    for _ in 0..ROUNDS {
        // SAFETY: nothing else runs on the stack, whose upper end is aligned.
        unsafe { memprof_test_unlinked(top, take) }; // not known
    }
}

unsafe extern "C" {
    /// Calls `call` on the stack that ends at `top`, as if nobody had called this.
    fn memprof_test_unlinked(top: usize, call: extern "C" fn());
}

#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".globl memprof_test_unlinked",
    ".type memprof_test_unlinked, @function",
    "memprof_test_unlinked:",
    ".cfi_startproc",
    ".cfi_undefined rip",
    "push rbx",
    "mov rbx, rsp",
    "mov rsp, rdi",
    "call rsi",
    "mov rsp, rbx",
    "pop rbx",
    "ret",
    ".cfi_endproc",
    ".size memprof_test_unlinked, . - memprof_test_unlinked",
);

#[cfg(target_arch = "aarch64")]
std::arch::global_asm!(
    ".globl memprof_test_unlinked",
    ".type memprof_test_unlinked, @function",
    "memprof_test_unlinked:",
    ".cfi_startproc",
    ".cfi_undefined x30",
    "stp x19, x30, [sp, #-16]!",
    "mov x19, sp",
    "mov sp, x0",
    "blr x1",
    "mov sp, x19",
    "ldp x19, x30, [sp], #16",
    "ret",
    ".cfi_endproc",
    ".size memprof_test_unlinked, . - memprof_test_unlinked",
);
