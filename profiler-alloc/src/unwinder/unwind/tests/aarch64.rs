//! What only AArch64 has: return addresses that are signed, or still in their register.

use super::*;

/// Something to call, and what to call it with.
type Call = unsafe extern "C" fn(*mut c_void);

unsafe extern "C" {
    /// Calls `call` with `with`, from a function that signs its return address.
    fn memprof_test_call_signed(with: *mut c_void, call: Call);

    /// The same, from a function that keeps its return address, and does not say where.
    fn memprof_test_call_untold(with: *mut c_void, call: Call);

    /// Its own pc, sp, fp and x30, which holds its return address; first without a frame, then in
    /// an open one.
    fn memprof_test_leaf(registers: &mut [[usize; 4]; 2]);
}

std::arch::global_asm!(
    ".globl memprof_test_call_signed",
    ".type memprof_test_call_signed, @function",
    "memprof_test_call_signed:",
    ".cfi_startproc",
    "hint #25",
    ".cfi_negate_ra_state",
    "stp x29, x30, [sp, #-48]!",
    ".cfi_def_cfa_offset 48",
    ".cfi_offset x29, -48",
    ".cfi_offset x30, -40",
    "mov x29, sp",
    "blr x1",
    "ldp x29, x30, [sp], #48",
    ".cfi_restore x29",
    ".cfi_restore x30",
    ".cfi_def_cfa_offset 0",
    "hint #29",
    ".cfi_negate_ra_state",
    "ret",
    ".cfi_endproc",
    ".size memprof_test_call_signed, . - memprof_test_call_signed",
    ".globl memprof_test_call_untold",
    ".type memprof_test_call_untold, @function",
    "memprof_test_call_untold:",
    ".cfi_startproc",
    "str x30, [sp, #-16]!",
    ".cfi_def_cfa_offset 16",
    "blr x1",
    "ldr x30, [sp], #16",
    ".cfi_def_cfa_offset 0",
    "ret",
    ".cfi_endproc",
    ".size memprof_test_call_untold, . - memprof_test_call_untold",
    ".globl memprof_test_leaf",
    ".type memprof_test_leaf, @function",
    "memprof_test_leaf:",
    ".cfi_startproc",
    "adr x1, .",
    "mov x2, sp",
    "stp x1, x2, [x0]",
    "stp x29, x30, [x0, #16]",
    "sub sp, sp, #64",
    ".cfi_def_cfa_offset 64",
    "adr x1, .",
    "mov x2, sp",
    "stp x1, x2, [x0, #32]",
    "stp x29, x30, [x0, #48]",
    "add sp, sp, #64",
    ".cfi_def_cfa_offset 0",
    "ret",
    ".cfi_endproc",
    ".size memprof_test_leaf, . - memprof_test_leaf",
);

/// Through `depth` functions that sign their return addresses, with others in between.
fn descend_signed(oracle: &mut Oracle, depth: usize) {
    unsafe extern "C" fn next(with: *mut c_void) {
        // SAFETY: what is passed below.
        let (oracle, depth) = unsafe { &mut *with.cast::<(&mut Oracle, usize)>() };
        descend_signed(oracle, *depth - 1);
    }
    if depth == 0 {
        return (0..black_box(5)).for_each(|_| oracle.compare());
    }
    let mut with = (oracle, depth);
    // SAFETY: calls `next` with what it takes.
    unsafe { memprof_test_call_signed((&raw mut with).cast(), next) };
}

#[test]
fn signed_return_addresses_are_walked_and_remembered() {
    let mut oracle = Oracle::new("signed");
    for depth in (0..20).chain((0..20).rev()) {
        descend_signed(&mut oracle, depth);
    }
    assert_eq!(oracle.compared, 200);
    oracle.assert_spared(80, oracle.frames / 2 + 1);
}

#[test]
fn frame_pointers_lead_through_signed_return_addresses() {
    unsafe extern "C" fn candidate(_: *mut c_void) {
        let registers = Registers::capture();
        let (ours, _) = Oracle::new("candidate").walk(registers);
        let mut memory = StackMemory::at(registers.sp, &mut OwnStack::find());
        let modules = Modules::new().unwrap();
        let candidate = walk_frame_pointers(registers, &mut memory, &modules, 100);
        assert!(candidate.len > 5 && candidate.len <= ours.len());
        let mut expected = Fingerprint::EMPTY;
        (ours[..candidate.len].iter())
            .for_each(|&address| expected.push(CodeAddress::staying(address)));
        assert_eq!(candidate.fingerprint, expected);
    }
    // SAFETY: calls `candidate`, which takes anything.
    unsafe { memprof_test_call_signed(std::ptr::null_mut(), candidate) };
}

#[test]
fn a_walk_may_begin_where_the_return_address_is_in_its_register() {
    let oracle = Oracle::new("leaf");
    let mut captured = [[0; 4]; 2];
    // SAFETY: writes to the array, of this length.
    unsafe { memprof_test_leaf(&mut captured) };
    let theirs = theirs();
    for [pc, sp, fp, link] in captured {
        let (ours, end) = oracle.walk(Registers { pc, sp, fp, link });
        assert_eq!((ours[0], end), (link, End::Complete));
        assert!(theirs.ends_with(&ours[1..]) && ours.len() > 5);
    }
}

#[test]
fn further_out_no_return_address_is_in_a_register() {
    unsafe extern "C" fn walk_here(result: *mut c_void) {
        let walked = Oracle::new("untold").walk(Registers::capture());
        // SAFETY: what is passed below.
        unsafe { *result.cast() = walked };
    }
    let mut walked = (Vec::<usize>::new(), End::Complete);
    // SAFETY: calls `walk_here` with what it takes.
    unsafe { memprof_test_call_untold((&raw mut walked).cast(), walk_here) };
    let (ours, end) = walked;
    assert_eq!((ours.len(), end), (1, End::CutOff(Why::Damage)));
}
