//! Walks that are led off a stack, to where no memory is: by an unwind table that does not know
//! that the stack was changed, and by a frame pointer that nobody looks after. They end there, and
//! are counted as cut off.
//!
//! ```text
//! ┌───────────────┬───────────────┬─────────────────────┐
//! │ second stack  │ no memory     │ the thread's stack  │
//! └───────────────┴───────────────┴─────────────────────┘
//!        where it allocates ──▶ where the walk is led
//! ```
//!
//! The stack is changed in assembly, of x86-64 and AArch64: elsewhere this test is not in the list.

use crate::Named;
use crate::child::{Place, blocks_of};

pub const TESTS: &[Named] = &[("stack_ends::no_walk_reads_beyond", no_walk_reads_beyond)];

pub const ROLES: &[Named] = &[
    ("led_by_sp", || on_thread(led_by_sp)),
    ("led_by_fp", || on_thread(led_by_fp)),
];

const ROUNDS: usize = 20;
const SIZE: usize = 23_456;

fn no_walk_reads_beyond() {
    for role in ["led_by_sp", "led_by_fp"] {
        let place = Place::new();
        let status = place.run(role, "all");
        assert!(status.success(), "{role}: {status}");
        let profile = place.check_totals(0, 0);
        assert_eq!(blocks_of(&profile, SIZE), (ROUNDS as u64, 0), "{role}");
        let cut_off = profile.header.lost_outer_frames;
        assert!(cut_off >= ROUNDS as u64, "{role}: {cut_off} stacks cut off");
    }
}

use second_stack::{led_by_fp, led_by_sp, on_thread};

mod second_stack {
    use std::ffi::c_void;
    use std::hint::black_box;
    use std::mem::MaybeUninit;
    use std::ptr::null_mut;

    use super::{ROUNDS, SIZE};

    const PAGE: usize = 4096;
    const SECOND: usize = 16 * PAGE;
    const OWN: usize = 64 * PAGE;

    /// What to do on the second stack, whose upper end this is.
    type Work = fn(usize);

    /// Does `work` on a thread whose stack begins a page above another one.
    pub fn on_thread(work: Work) {
        extern "C" fn run(work_at_top: *mut c_void) -> *mut c_void {
            // SAFETY: what `on_thread` passes, which waits for this thread.
            let (work, top) = unsafe { *work_at_top.cast::<(Work, usize)>() };
            (0..ROUNDS).for_each(|_| work(top));
            null_mut()
        }
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the memory is fresh, and the thread's stack is a part of it that nothing else
        // uses.
        unsafe {
            let low = libc::mmap(null_mut(), SECOND + PAGE + OWN, protection, flags, -1, 0);
            assert_ne!(low, libc::MAP_FAILED);
            let top = low.byte_add(SECOND);
            assert_eq!(libc::mprotect(top, PAGE, libc::PROT_NONE), 0);
            let mut attributes = MaybeUninit::uninit();
            assert_eq!(libc::pthread_attr_init(attributes.as_mut_ptr()), 0);
            let own = top.byte_add(PAGE);
            let refused = libc::pthread_attr_setstack(attributes.as_mut_ptr(), own, OWN);
            assert_eq!(refused, 0);
            let mut argument = (work, top.expose_provenance());
            let argument = (&raw mut argument).cast();
            let mut thread = MaybeUninit::uninit();
            let attributes = attributes.as_ptr();
            let refused = libc::pthread_create(thread.as_mut_ptr(), attributes, run, argument);
            assert_eq!(refused, 0);
            assert_eq!(libc::pthread_join(thread.assume_init(), null_mut()), 0);
        }
    }

    extern "C" fn take() {
        drop(black_box(Vec::<u8>::with_capacity(SIZE)));
    }

    pub fn led_by_sp(top: usize) {
        // SAFETY: `top` is the end of a stack that nothing runs on, and aligned.
        unsafe { memprof_test_call_by_sp(top, take) }
    }

    pub fn led_by_fp(top: usize) {
        // SAFETY: as above; no code that runs there looks at its caller's frame pointer.
        unsafe { memprof_test_call_by_fp(top, take, top + 64) }
    }

    unsafe extern "C" {
        /// Calls `call` on the stack that ends at `top`. To its unwind table, the caller's frame is
        /// still above that end.
        fn memprof_test_call_by_sp(top: usize, call: extern "C" fn());

        /// The same, by a frame pointer: it is `fp` while `call` runs, and to the unwind table it
        /// leads to the caller's frame.
        fn memprof_test_call_by_fp(top: usize, call: extern "C" fn(), fp: usize);
    }

    #[cfg(target_arch = "x86_64")]
    std::arch::global_asm!(
        ".globl memprof_test_call_by_sp",
        ".type memprof_test_call_by_sp, @function",
        "memprof_test_call_by_sp:",
        ".cfi_startproc",
        "push rbx",
        ".cfi_def_cfa_offset 16",
        "mov rbx, rsp",
        "mov rsp, rdi",
        "call rsi",
        "mov rsp, rbx",
        "pop rbx",
        ".cfi_def_cfa_offset 8",
        "ret",
        ".cfi_endproc",
        ".size memprof_test_call_by_sp, . - memprof_test_call_by_sp",
        ".globl memprof_test_call_by_fp",
        ".type memprof_test_call_by_fp, @function",
        "memprof_test_call_by_fp:",
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "push rbx",
        "mov rbx, rsp",
        "mov rbp, rdx",
        ".cfi_def_cfa_register rbp",
        "mov rsp, rdi",
        "call rsi",
        "mov rsp, rbx",
        "pop rbx",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
        ".size memprof_test_call_by_fp, . - memprof_test_call_by_fp",
    );

    #[cfg(target_arch = "aarch64")]
    std::arch::global_asm!(
        ".globl memprof_test_call_by_sp",
        ".type memprof_test_call_by_sp, @function",
        "memprof_test_call_by_sp:",
        ".cfi_startproc",
        "stp x19, x30, [sp, #-16]!",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset x30, -8",
        "mov x19, sp",
        "mov sp, x0",
        "blr x1",
        "mov sp, x19",
        "ldp x19, x30, [sp], #16",
        ".cfi_restore x30",
        ".cfi_def_cfa_offset 0",
        "ret",
        ".cfi_endproc",
        ".size memprof_test_call_by_sp, . - memprof_test_call_by_sp",
        ".globl memprof_test_call_by_fp",
        ".type memprof_test_call_by_fp, @function",
        "memprof_test_call_by_fp:",
        ".cfi_startproc",
        "stp x29, x30, [sp, #-32]!",
        ".cfi_def_cfa_offset 32",
        ".cfi_offset x29, -32",
        ".cfi_offset x30, -24",
        "str x19, [sp, #16]",
        "mov x19, sp",
        "mov x29, x2",
        ".cfi_def_cfa_register x29",
        "mov sp, x0",
        "blr x1",
        "mov sp, x19",
        "ldr x19, [sp, #16]",
        "ldp x29, x30, [sp], #32",
        ".cfi_restore x29",
        ".cfi_restore x30",
        ".cfi_def_cfa sp, 0",
        "ret",
        ".cfi_endproc",
        ".size memprof_test_call_by_fp, . - memprof_test_call_by_fp",
    );
}
