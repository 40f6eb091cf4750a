//! The moments around a fork.

/// Has `before` and `in_parent` called around a fork in the parent, and `in_child` in the child.
/// All of them must call only what is safe after a fork.
pub fn at_fork(before: extern "C" fn(), in_parent: extern "C" fn(), in_child: extern "C" fn()) {
    // SAFETY: all handlers have the type asked for, and do not unwind.
    unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
}

/// Whether `holds` is true in a forked child.
#[cfg(test)]
pub fn holds_in_child(holds: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child runs `holds`, which is to read memory alone, and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: ends the child without running anything else.
        unsafe { libc::_exit(if holds() { 0 } else { 1 }) };
    }
    let mut status = -1;
    // SAFETY: `status` is valid to write to.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    status == 0
}
