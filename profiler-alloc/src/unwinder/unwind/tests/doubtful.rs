//! Words that are a way on, or only look like one: what a table that lies leads to, what code made
//! at run time left in the frame pointer, and the first instruction of a function, interrupted.

use super::*;
use crate::unwinder::beyond::At;

/// No function returns here.
const NO_CODE: usize = 0x1234;

/// Where a walk goes that a table leads to `word`, as the return address of a frame on no stack:
/// the frame beyond `call`, and how it ends.
fn led_to(
    oracle: &Oracle,
    word: usize,
    misled: unsafe extern "C" fn(extern "C" fn(*mut c_void), *mut c_void, usize),
) -> (Vec<usize>, End) {
    struct Walk<'a>(&'a Oracle, Option<(Vec<usize>, End)>);
    extern "C" fn take(walk: *mut c_void) {
        // SAFETY: what is passed below, lent to nobody else meanwhile.
        let walk = unsafe { &mut *walk.cast::<Walk<'_>>() };
        walk.1 = Some(walk.0.walk(Registers::capture()));
    }
    let frame = Box::new([0, word, 0, 0]);
    let mut walk = Walk(oracle, None);
    // SAFETY: calls what it is given; only unwinders believe its table.
    unsafe {
        misled(
            take,
            (&raw mut walk).cast(),
            frame.as_ptr().expose_provenance(),
        )
    };
    walk.1.unwrap()
}

#[test]
fn a_table_leads_to_another_stack_only_where_code_is_returned_to() {
    let oracle = Oracle::new("misled");
    let code = led_to as *const () as usize + 1;
    for misled in [memprof_test_misled_by_fp, memprof_test_misled_by_sp] {
        let (ours, _) = led_to(&oracle, code, misled);
        assert_eq!(ours.last(), Some(&code), "{ours:x?}");
        let (ours, end) = led_to(&oracle, NO_CODE, misled);
        assert!(!ours.contains(&NO_CODE), "{ours:x?}");
        assert_eq!(end, End::CutOff(Why::Damage));
    }
}

#[test]
fn code_made_at_run_time_returns_to_code_and_to_nothing_else() {
    let oracle = Oracle::new("return");
    let made = Box::new([0u64; 8]);
    let mut stack = [0usize; 8];
    let place = |at: usize, stack: &[usize; 8]| &raw const stack[at] as usize;
    let own = OwnStack {
        low: place(0, &stack),
        high: place(7, &stack) + 8,
    };
    let mut leads_on = |word: usize| {
        stack[3] = word;
        let mut memory = StackMemory::at(own.low, &mut { own });
        let tables = oracle.known.tables();
        let at = At {
            code: CodeAddress::staying(NO_CODE),
            sp: place(1, &stack),
            fp: place(2, &stack),
        };
        let caller = tables.by_frame_pointer(at, &mut memory);
        caller.map(|caller| (caller.word, caller.sp == place(4, &stack)))
    };
    let of_module = led_to as *const () as usize + 1;
    for word in [of_module, made.as_ptr().addr() + 8] {
        assert_eq!(leads_on(word), Some((word, true)), "{word:#x}");
    }
    for word in [0, NO_CODE, own.low + 8] {
        assert_eq!(leads_on(word), None, "{word:#x}");
    }
}

/// One that is interrupted there has done nothing yet, and the byte before is of another function,
/// with another frame.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_function_is_interrupted_at_its_first_instruction() {
    use std::cell::Cell;

    thread_local! {
        static ORACLE: Oracle = Oracle::new("first");
        static WALKED: Cell<(Vec<usize>, Vec<usize>)> = const { Cell::new((Vec::new(), Vec::new())) };
    }
    extern "C" fn handle(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
        let walked = ORACLE.with(|oracle| oracle.walk(Registers::capture()));
        assert_eq!(walked.1, End::Complete);
        WALKED.set((walked.0, theirs()));
        // SAFETY: the context of this signal, lent to nobody else.
        let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
        // Past the instruction, which has two bytes.
        context.uc_mcontext.gregs[libc::REG_RIP as usize] += 2;
    }
    ORACLE.with(|_| ());
    // SAFETY: the handler has the type asked for, and runs where this thread has just called
    // something; the handler before is put back.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        let mut before: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handle as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_SIGINFO;
        assert_eq!(libc::sigaction(libc::SIGILL, &action, &mut before), 0);
        memprof_test_stops_at_once();
        assert_eq!(
            libc::sigaction(libc::SIGILL, &before, std::ptr::null_mut()),
            0
        );
    }
    let (ours, theirs) = WALKED.take();
    // The call is where it was interrupted: one further on than the address says.
    let interrupted = memprof_test_stops_at_once as *const () as usize;
    let beyond = |frames: &[usize], address: usize| {
        let at = frames.iter().position(|&frame| frame == address);
        frames[at.expect("the interrupted function is in it") + 1..].to_vec()
    };
    assert_eq!(beyond(&ours, interrupted + 1), beyond(&theirs, interrupted));
}

unsafe extern "C" {
    /// Calls `call` with `what`. To its unwind table, its frame ends 16 bytes above `base`, which
    /// the frame pointer says.
    fn memprof_test_misled_by_fp(call: extern "C" fn(*mut c_void), what: *mut c_void, base: usize);

    /// The same; the word at the stack pointer says it.
    fn memprof_test_misled_by_sp(call: extern "C" fn(*mut c_void), what: *mut c_void, base: usize);

    /// Is interrupted by SIGILL at its first instruction, of two bytes.
    #[cfg(target_arch = "x86_64")]
    fn memprof_test_stops_at_once();
}

#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".globl memprof_test_misled_by_fp",
    ".type memprof_test_misled_by_fp, @function",
    "memprof_test_misled_by_fp:",
    ".cfi_startproc",
    "push rbp",
    "mov rbp, rdx",
    ".cfi_def_cfa rbp, 16",
    ".cfi_offset rbp, -16",
    "mov rax, rdi",
    "mov rdi, rsi",
    "call rax",
    "pop rbp",
    "ret",
    ".cfi_endproc",
    ".size memprof_test_misled_by_fp, . - memprof_test_misled_by_fp",
    ".globl memprof_test_misled_by_sp",
    ".type memprof_test_misled_by_sp, @function",
    "memprof_test_misled_by_sp:",
    ".cfi_startproc",
    "push rdx",
    // CFA = [rsp] + 16
    ".cfi_escape 0x0f, 5, 0x77, 0x00, 0x06, 0x23, 16",
    ".cfi_offset rbp, -16",
    "mov rax, rdi",
    "mov rdi, rsi",
    "call rax",
    "pop rdx",
    "ret",
    ".cfi_endproc",
    ".size memprof_test_misled_by_sp, . - memprof_test_misled_by_sp",
    // A function that nobody calls, and whose caller nothing tells.
    ".cfi_startproc",
    ".cfi_undefined rip",
    "ret",
    ".cfi_endproc",
    ".globl memprof_test_stops_at_once",
    ".type memprof_test_stops_at_once, @function",
    "memprof_test_stops_at_once:",
    ".cfi_startproc",
    "ud2",
    "ret",
    ".cfi_endproc",
    ".size memprof_test_stops_at_once, . - memprof_test_stops_at_once",
);

#[cfg(target_arch = "aarch64")]
std::arch::global_asm!(
    ".globl memprof_test_misled_by_fp",
    ".type memprof_test_misled_by_fp, @function",
    "memprof_test_misled_by_fp:",
    ".cfi_startproc",
    "stp x29, x30, [sp, #-16]!",
    "mov x29, x2",
    ".cfi_def_cfa x29, 16",
    ".cfi_offset x29, -16",
    ".cfi_offset x30, -8",
    "mov x9, x0",
    "mov x0, x1",
    "blr x9",
    "ldp x29, x30, [sp], #16",
    "ret",
    ".cfi_endproc",
    ".size memprof_test_misled_by_fp, . - memprof_test_misled_by_fp",
    ".globl memprof_test_misled_by_sp",
    ".type memprof_test_misled_by_sp, @function",
    "memprof_test_misled_by_sp:",
    ".cfi_startproc",
    "stp x2, x30, [sp, #-16]!",
    // CFA = [sp] + 16
    ".cfi_escape 0x0f, 5, 0x8f, 0x00, 0x06, 0x23, 16",
    ".cfi_offset x29, -16",
    ".cfi_offset x30, -8",
    "mov x9, x0",
    "mov x0, x1",
    "blr x9",
    "ldp x2, x30, [sp], #16",
    "ret",
    ".cfi_endproc",
    ".size memprof_test_misled_by_sp, . - memprof_test_misled_by_sp",
);
