//! The unwinder for machines our own does not know: the `backtrace` crate, over the system's unwind
//! library.

use core::ops::ControlFlow;

use crate::unwinder::frame::End;
#[cfg(not(can_record))]
use crate::unwinder::frame::Why;

/// Gives every return address to `visit`, innermost first.
#[cfg(can_record)]
pub fn walk(mut visit: impl FnMut(usize) -> ControlFlow<()>) -> End {
    // SAFETY: unsynchronised is right here: only symbol lookup shares state, and this never looks
    // up a symbol.
    unsafe {
        backtrace::trace_unsynchronized(|frame| visit(frame.ip() as usize).is_continue());
    }
    End::Complete
}

/// Where nothing is recorded, no stack is walked.
#[cfg(not(can_record))]
pub fn walk(_: impl FnMut(usize) -> ControlFlow<()>) -> End {
    End::CutOff(Why::NoTable)
}
