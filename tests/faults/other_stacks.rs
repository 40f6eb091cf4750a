//! What a walk meets beside ordinary functions: a signal's handler on a stack of its own, code made
//! at run time, a coroutine that nothing leads out of. The lines further out have their bytes;
//! where they cannot, it is said why.

use std::hint::black_box;
use std::ptr::null_mut;

use corosensei::stack::{DefaultStack, Stack};
use memprof::profile::Loss;
use serde_json::Value;

use crate::Named;
use crate::child::{Place, blocks_of};
use crate::skip::skip;

pub const TESTS: &[Named] = &[
    ("other_stacks::signals", signals),
    ("other_stacks::run_time_code", run_time_code),
    ("other_stacks::registered_code", registered_code),
    ("other_stacks::no_way_out", no_way_out),
];

pub const ROLES: &[Named] = &[
    ("interrupted_once", interrupted_once),
    ("through_run_time_code", through_run_time_code),
    ("blind_run_time_code", blind_run_time_code),
    ("indifferent_run_time_code", || {
        // SAFETY: calls what it is given.
        unsafe { memprof_test_with_frame_pointer(indifferent_run_time_code) }
    }),
    ("registered_with_frame_pointers", || {
        registered(WITH_FRAME_POINTERS, TABLE_WITH_FRAME_POINTERS)
    }),
    ("registered_without", || {
        // SAFETY: calls what it is given.
        unsafe { memprof_test_with_frame_pointer(registered_without) }
    }),
    ("unlinked", unlinked),
    ("bare", bare),
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
    ends_there("blind_run_time_code", "// without");
    if is_code_looked_at() {
        ends_there("indifferent_run_time_code", "// by nobody");
    }
}

/// The stacks of the child in `role` end in code made at run time, and it is said.
fn ends_there(role: &str, marker: &str) {
    let (losses, allocated) = run(role, marker);
    let said = losses.iter().find(|loss| {
        loss.what
            == "stacks end in code made at run time: the lines that called it are not credited"
    });
    assert!(
        said.is_some_and(|loss| loss.count >= ROUNDS as u64),
        "{role}: {losses:?}"
    );
    assert_eq!(allocated.unwrap_or_default(), 0, "{role}");
}

/// Not where the system, or who plays it, does not let a process look at itself.
fn is_code_looked_at() -> bool {
    let (from, mut to) = (7u64, 0u64);
    let vector = |word: *const u64| libc::iovec {
        iov_base: word.cast_mut().cast(),
        iov_len: 8,
    };
    let (local, remote) = (vector(&raw mut to), vector(&raw const from));
    // SAFETY: copies one local to another.
    let copied = unsafe { libc::process_vm_readv(libc::getpid(), &local, 1, &remote, 1, 0) };
    if copied < 0 {
        skip("what code made at run time keeps: the system does not let it be read");
    }
    copied == 8
}

/// Code whose unwind table was registered with the C++ runtime: nobody but that can read it without
/// waiting for a lock, so what holds for other code made at run time holds for this.
fn registered_code() {
    if cfg!(not(any(target_arch = "x86_64", target_arch = "aarch64"))) {
        return;
    }
    let role = "registered_with_frame_pointers";
    let (losses, allocated) = run(role, "// registered");
    one_loss(&losses, "frames of unknown modules", 2);
    assert_eq!(allocated, Some(BYTES));
    if is_code_looked_at() {
        ends_there("registered_without", "// registered");
    }
}

/// Neither of a first function that returns to nothing (the crate `generator`), nor of one that
/// returns to code without an unwind table (`context`, after Boost's).
fn no_way_out() {
    for (role, marker) in [("unlinked", "// not known"), ("bare", "// not told")] {
        let (losses, _) = run(role, marker);
        one_loss(&losses, "as of a coroutine", ROUNDS);
    }
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

/// One that leaves it alone.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const INDIFFERENT: &[u8] = &[
    0x48, 0x83, 0xec, 0x08,         // sub rsp, 8
    0xff, 0xd7,                     // call rdi
    0x48, 0x83, 0xc4, 0x08,         // add rsp, 8
    0xc3,                           // ret
];

#[cfg(target_arch = "aarch64")]
#[rustfmt::skip]
const INDIFFERENT: &[u8] = &[
    0xfe, 0x0f, 0x1f, 0xf8,         // str x30, [sp, #-16]!
    0x00, 0x00, 0x3f, 0xd6,         // blr x0
    0xfe, 0x07, 0x41, 0xf8,         // ldr x30, [sp], #16
    0xc0, 0x03, 0x5f, 0xd6,         // ret
];

/// What unwind tables say of [`WITH_FRAME_POINTERS`], in both functions, and of [`INDIFFERENT`],
/// from the first call on.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const TABLE_WITH_FRAME_POINTERS: &[u8] = &[
    0x0c, 6, 16,                    // CFA = rbp + 16
    0x86, 2,                        // rbp at CFA - 16
];
#[cfg(target_arch = "x86_64")]
const TABLE_INDIFFERENT: &[u8] = &[0x0e, 16]; // CFA = rsp + 16

#[cfg(target_arch = "aarch64")]
#[rustfmt::skip]
const TABLE_WITH_FRAME_POINTERS: &[u8] = &[
    0x0c, 29, 16,                   // CFA = x29 + 16
    0x9d, 2,                        // x29 at CFA - 16
    0x9e, 1,                        // x30 at CFA - 8
];
#[cfg(target_arch = "aarch64")]
#[rustfmt::skip]
const TABLE_INDIFFERENT: &[u8] = &[
    0x0e, 16,                       // CFA = sp + 16
    0x9e, 2,                        // x30 at CFA - 16
];

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod other_machines {
    pub const WITH_FRAME_POINTERS: &[u8] = &[];
    pub const WITHOUT: &[u8] = &[];
    pub const INDIFFERENT: &[u8] = &[];
    pub const TABLE_WITH_FRAME_POINTERS: &[u8] = &[];
    pub const TABLE_INDIFFERENT: &[u8] = &[];
}
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
use other_machines::*;

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

extern "C" fn indifferent_run_time_code() {
    let call = made(INDIFFERENT);
    for _ in 0..ROUNDS {
        call(take); // by nobody
    }
}

/// Registers an unwind table for `code` whose frames are as `rows` says.
fn register(code: usize, rows: &[u8]) {
    let (stack_pointer, return_address) = match cfg!(target_arch = "x86_64") {
        true => (7, 16),
        false => (31, 30),
    };
    let entry = |content: Vec<u8>| {
        let mut entry = content;
        entry.resize(entry.len().next_multiple_of(8) + 4, 0);
        [&(entry.len() as u32).to_le_bytes()[..], &entry].concat()
    };
    // Version 1, "zR", units of 1 and -8 bytes, whole addresses.
    let mut common = vec![0, 0, 0, 0, 1, b'z', b'R', 0, 1, 0x78, return_address, 1, 0];
    match cfg!(target_arch = "x86_64") {
        // CFA = rsp + 8, return address at CFA - 8
        true => common.extend([0x0c, stack_pointer, 8, 0x90, 1]),
        false => common.extend([0x0c, stack_pointer, 0]),
    }
    let mut table = entry(common);
    let mut function = (table.len() as u32 + 4).to_le_bytes().to_vec();
    function.extend(code.to_le_bytes());
    function.extend(4096usize.to_le_bytes());
    function.push(0);
    function.extend(rows);
    table.extend(entry(function));
    table.extend([0; 4]);
    // SAFETY: the table is one, and stays.
    unsafe { __register_frame(table.leak().as_ptr()) };
}

unsafe extern "C" {
    /// Of libgcc, or of whichever runtime unwinds C++.
    fn __register_frame(table: *const u8);
}

/// Goes through `code`, whose frames are as `rows` says.
fn registered(code: &[u8], rows: &[u8]) {
    let call = made(code);
    register(call as usize, rows);
    // SAFETY: the same function, through which others may now unwind.
    let unwound: extern "C-unwind" fn(extern "C-unwind" fn()) =
        unsafe { std::mem::transmute(call) };
    extern "C-unwind" fn unwind() {
        std::panic::resume_unwind(Box::new(()));
    }
    let caught = std::panic::catch_unwind(|| unwound(unwind));
    assert!(caught.is_err(), "the table leads through");
    for _ in 0..ROUNDS {
        call(take); // registered
    }
}

extern "C" fn registered_without() {
    registered(INDIFFERENT, TABLE_INDIFFERENT);
}

/// On a stack whose first function returns to nothing, as those of some coroutines.
fn unlinked() {
    let stack = DefaultStack::new(64 << 10).unwrap();
    let top = stack.base().get();
    for _ in 0..ROUNDS {
        // SAFETY: nothing else runs on the stack, whose upper end is aligned.
        unsafe { memprof_test_unlinked(top, take) }; // not known
    }
}

/// On one whose first function has no unwind table.
fn bare() {
    let stack = DefaultStack::new(64 << 10).unwrap();
    let top = stack.base().get();
    for _ in 0..ROUNDS {
        // SAFETY: as above.
        unsafe { memprof_test_bare(top, take) }; // not told
    }
}

unsafe extern "C" {
    /// Calls `call` on the stack that ends at `top`, and says nothing to unwinders.
    fn memprof_test_bare(top: usize, call: extern "C" fn());

    /// Calls `call` on the stack that ends at `top`, as if nobody had called this.
    fn memprof_test_unlinked(top: usize, call: extern "C" fn());

    /// Calls `call`, and keeps a frame pointer.
    fn memprof_test_with_frame_pointer(call: extern "C" fn());
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
    ".globl memprof_test_bare",
    ".type memprof_test_bare, @function",
    "memprof_test_bare:",
    "push rbx",
    "mov rbx, rsp",
    "mov rsp, rdi",
    "call rsi",
    "mov rsp, rbx",
    "pop rbx",
    "ret",
    ".size memprof_test_bare, . - memprof_test_bare",
    ".globl memprof_test_with_frame_pointer",
    ".type memprof_test_with_frame_pointer, @function",
    "memprof_test_with_frame_pointer:",
    ".cfi_startproc",
    "push rbp",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbp, -16",
    "mov rbp, rsp",
    ".cfi_def_cfa_register rbp",
    "call rdi",
    "pop rbp",
    ".cfi_def_cfa rsp, 8",
    "ret",
    ".cfi_endproc",
    ".size memprof_test_with_frame_pointer, . - memprof_test_with_frame_pointer",
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
    ".globl memprof_test_bare",
    ".type memprof_test_bare, @function",
    "memprof_test_bare:",
    "stp x19, x30, [sp, #-16]!",
    "mov x19, sp",
    "mov sp, x0",
    "blr x1",
    "mov sp, x19",
    "ldp x19, x30, [sp], #16",
    "ret",
    ".size memprof_test_bare, . - memprof_test_bare",
    ".globl memprof_test_with_frame_pointer",
    ".type memprof_test_with_frame_pointer, @function",
    "memprof_test_with_frame_pointer:",
    ".cfi_startproc",
    "stp x29, x30, [sp, #-16]!",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset x29, -16",
    ".cfi_offset x30, -8",
    "mov x29, sp",
    ".cfi_def_cfa_register x29",
    "blr x0",
    "ldp x29, x30, [sp], #16",
    ".cfi_def_cfa sp, 0",
    ".cfi_restore x29",
    ".cfi_restore x30",
    "ret",
    ".cfi_endproc",
    ".size memprof_test_with_frame_pointer, . - memprof_test_with_frame_pointer",
);
