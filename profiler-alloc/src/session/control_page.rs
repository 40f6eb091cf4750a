//! The page of the program's data that another process of the same user may write, to ask for a
//! recording: see [`profiler_alloc_format::control`].
//!
//! While nothing is asked, a look at it is a comparison of two words of one cache line, on the slow
//! path.

use core::sync::atomic::{AtomicU64, Ordering};

use profiler_alloc_format::ThreadCells;
use profiler_alloc_format::control::ControlCells;

use crate::counters::heap;
use crate::ffi;

/// At the beginning of a page, where it is looked for.
#[repr(C, align(4096))]
struct ControlPage(ControlCells);

static PAGE: ControlPage = ControlPage(ControlCells::at_rest());

/// The page.
pub fn cells() -> &'static ControlCells {
    &PAGE.0
}

/// The program counts from now on, and may be asked.
pub fn open() {
    (cells().heap_at).store(address(heap::published()), Ordering::Relaxed);
}

/// Threads count in these records, of which `count` says the number.
pub fn threads_are(first: Option<&ThreadCells>, count: &AtomicU64) {
    if let Some(first) = first {
        (cells().thread_count_at).store(address(count), Ordering::Relaxed);
        (cells().threads_at).store(address(first), Ordering::Relaxed);
    }
}

/// True while there is a request.
#[inline]
pub fn is_asked() -> bool {
    let (asked, answered) = (&cells().asked, &cells().answered);
    ffi::CAN_RECORD && asked.load(Ordering::Acquire) != answered.load(Ordering::Relaxed)
}

fn address<T>(of: &T) -> u64 {
    core::ptr::from_ref(of).addr() as u64
}
