//! Walks that change the stack, against the system's unwinder, which follows there too.

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, on_stack};

use super::*;

/// Our walk from here, whether it changed the stack, and the system's.
#[inline(never)]
fn both(oracle: &Oracle) -> (Vec<usize>, End, bool) {
    let registers = Registers::capture();
    let mut memory = StackMemory::at(registers.sp, &mut OwnStack::find());
    let mut ours = Vec::new();
    let mut tables = oracle.known.tables();
    let end = walk(registers, &mut memory, &mut tables, |found, _| {
        ours.push(found.site.address());
        ControlFlow::Continue(())
    });
    let theirs = theirs();
    let start = theirs
        .iter()
        .position(|address| Some(address) == ours.first());
    let theirs = &theirs[start.expect("the caller is in both")..];
    // Of code that was interrupted, ours is one further on.
    let is_same = |(ours, theirs): (&usize, &usize)| ours == theirs || *ours == theirs + 1;
    assert!(
        ours.len() == theirs.len() && ours.iter().zip(theirs).all(is_same),
        "{ours:x?}\n{theirs:x?}"
    );
    (ours, end, memory.is_changed())
}

#[test]
fn a_stack_that_was_grown_is_left_for_the_threads_own() {
    let oracle = Oracle::new("grown");
    let (inner, end, is_changed) = stacker::grow(64 << 10, || both(&oracle));
    assert_eq!((end, is_changed), (End::Complete, true));
    let (outer, ..) = both(&oracle);
    assert_eq!(inner.last(), outer.last());
    assert!(inner.len() > outer.len());
    let stack = DefaultStack::new(64 << 10).unwrap();
    let (inner, end, is_changed) = on_stack(stack, || both(&oracle));
    assert_eq!((end, is_changed), (End::Complete, true));
    assert_eq!(inner.last(), outer.last());
}

#[test]
fn a_walk_may_change_the_stack_often() {
    fn descend(oracle: &Oracle, depth: usize) -> (Vec<usize>, End, bool) {
        match depth {
            0 => both(oracle),
            _ => stacker::grow(64 << 10, || descend(oracle, depth - 1)),
        }
    }
    let oracle = Oracle::new("often");
    for depth in [1, 2, 10, 100] {
        let (_, end, _) = descend(&oracle, depth);
        assert_eq!(end, End::Complete, "{depth}");
    }
    // Above the bound there is an end, if not the outermost frame.
    fn too_deep(oracle: &Oracle, depth: usize) -> End {
        match depth {
            0 => oracle.walk(Registers::capture()).1,
            _ => stacker::grow(64 << 10, || too_deep(oracle, depth - 1)),
        }
    }
    assert_eq!(too_deep(&oracle, 300), End::CutOff(Why::OtherStack));
}

#[test]
fn a_coroutine_is_left_for_whoever_resumes_it_now() {
    let oracle: &Oracle = Box::leak(Box::new(Oracle::new("coroutine")));
    let mut coroutine = Coroutine::new(|yielder, mut oracle: Option<&'static Oracle>| {
        while let Some(known) = oracle {
            let (ours, end, is_changed) = both(known);
            assert_eq!((end, is_changed), (End::Complete, true));
            oracle = yielder.suspend(ours);
        }
    });
    let first = coroutine.resume(Some(oracle)).as_yield().unwrap();
    let second = coroutine.resume(Some(oracle)).as_yield().unwrap();
    assert_ne!(first, second);
    assert_eq!(
        (first.len(), first.last()),
        (second.len(), second.last()),
        "one line apart"
    );
    assert!(coroutine.resume(None).as_return().is_some());
}

/// As the fibers of wasmtime: the table names the register that the stack pointer is saved by, and
/// its CFA had no register before.
#[test]
fn a_fiber_is_left_for_whoever_switched_to_it() {
    extern "C" fn in_fiber(oracle: *const c_void) {
        // SAFETY: what is passed below.
        let (_, end, is_changed) = both(unsafe { &*oracle.cast() });
        assert_eq!((end, is_changed), (End::Complete, true));
    }
    use corosensei::stack::Stack;
    let oracle = Oracle::new("fiber");
    let stack = DefaultStack::new(64 << 10).unwrap();
    let top = stack.base().get();
    for _ in 0..2 {
        // SAFETY: nothing else runs on the stack, whose upper end is aligned, and the function
        // returns.
        unsafe { memprof_test_switch_to_fiber(top, in_fiber, (&raw const oracle).cast()) };
    }
}

unsafe extern "C" {
    /// Calls `call` with `what` on the stack that ends at `top`.
    fn memprof_test_switch_to_fiber(
        top: usize,
        call: extern "C" fn(*const c_void),
        what: *const c_void,
    );
}

#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".globl memprof_test_switch_to_fiber",
    ".type memprof_test_switch_to_fiber, @function",
    "memprof_test_switch_to_fiber:",
    "push rbp",
    "push rbx",
    "mov [rdi - 16], rsp",
    "lea rsp, [rdi - 16]",
    "jmp memprof_test_fiber",
    ".size memprof_test_switch_to_fiber, . - memprof_test_switch_to_fiber",
    ".type memprof_test_fiber, @function",
    "memprof_test_fiber:",
    ".cfi_startproc simple",
    ".cfi_def_cfa_offset 0",
    // CFA = [rsp] + 24
    ".cfi_escape 0x0f, 4, 0x57, 0x06, 0x23, 24",
    ".cfi_rel_offset rip, -8",
    ".cfi_rel_offset rbp, -16",
    ".cfi_rel_offset rbx, -24",
    "mov rdi, rdx",
    "call rsi",
    "mov rsp, [rsp]",
    "pop rbx",
    "pop rbp",
    "ret",
    ".cfi_endproc",
    ".size memprof_test_fiber, . - memprof_test_fiber",
);

#[cfg(target_arch = "aarch64")]
std::arch::global_asm!(
    ".globl memprof_test_switch_to_fiber",
    ".type memprof_test_switch_to_fiber, @function",
    "memprof_test_switch_to_fiber:",
    "stp x29, x30, [sp, #-16]!",
    "mov x9, sp",
    "sub x0, x0, #16",
    "str x9, [x0]",
    "mov sp, x0",
    "b memprof_test_fiber",
    ".size memprof_test_switch_to_fiber, . - memprof_test_switch_to_fiber",
    ".type memprof_test_fiber, @function",
    "memprof_test_fiber:",
    ".cfi_startproc simple",
    ".cfi_def_cfa_offset 0",
    // CFA = [sp] + 16
    ".cfi_escape 0x0f, 4, 0x6f, 0x06, 0x23, 16",
    ".cfi_rel_offset x30, -8",
    ".cfi_rel_offset x29, -16",
    "mov x0, x2",
    "blr x1",
    "ldr x9, [sp]",
    "mov sp, x9",
    "ldp x29, x30, [sp], #16",
    "ret",
    ".cfi_endproc",
    ".size memprof_test_fiber, . - memprof_test_fiber",
);
