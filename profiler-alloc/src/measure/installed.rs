//! Whether the allocator counts, so that there is a heap to measure.

use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use crate::counters::installed::is_installed;
use crate::counters::thread_counts::Untracked;
use crate::ffi::os;

/// True if the program's allocator tells what is on the heap; if not, says once that memory is the
/// process's. Asked once, when first needed.
pub(super) fn is_heap_known() -> bool {
    static SAID: AtomicBool = AtomicBool::new(false);
    let is_known = is_heap_counted();
    if !is_known && !SAID.swap(true, Ordering::Relaxed) {
        os::warn(&[
            b"ProfilerAlloc is not the global allocator: memory is that of the whole process (RSS). Add ",
            b"#[global_allocator] static ALLOC: profiler_alloc::ProfilerAlloc = profiler_alloc::ProfilerAlloc::system();",
        ]);
    }
    is_known
}

/// As [`is_heap_known`], without a word.
pub(super) fn is_heap_counted() -> bool {
    const UNKNOWN: u8 = 0;
    const NO: u8 = 1;
    const YES: u8 = 2;
    static STATE: AtomicU8 = AtomicU8::new(UNKNOWN);
    match STATE.load(Ordering::Relaxed) {
        UNKNOWN => {
            let _untracked = Untracked::begin();
            let is_known = is_installed();
            STATE.store(if is_known { YES } else { NO }, Ordering::Relaxed);
            is_known
        }
        state => state == YES,
    }
}
