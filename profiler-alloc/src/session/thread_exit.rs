//! Tells when a thread ends, so that its record can serve another. A thread that allocates after its
//! record was given back takes one again, and is told again.

use core::ffi::c_void;

use profiler_alloc_format::ThreadCells;

use crate::counters::reentrancy::Inside;
use crate::ffi::callbacks::ThreadExit;
use crate::session::threads;

static EXIT: ThreadExit = ThreadExit::new(ended);

/// Asks to be told when the calling thread ends.
pub fn watch(cells: &'static ThreadCells) {
    EXIT.watch(core::ptr::from_ref(cells).cast());
}

extern "C" fn ended(_: *mut c_void) {
    let _inside = Inside::enter();
    threads::leave();
}
