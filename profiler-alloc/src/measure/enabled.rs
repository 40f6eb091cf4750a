//! The one switch that turns all wrappers off: the feature `off`, or `MEMPROF_OFF=1`.

use core::sync::atomic::{AtomicU8, Ordering};

use profiler_alloc_format::env;

use crate::counters::thread_counts;
use crate::ffi::os;

const UNKNOWN: u8 = 0;
const ON: u8 = 1;
const OFF: u8 = 2;

static STATE: AtomicU8 = AtomicU8::new(UNKNOWN);

/// True if wrappers measure: not switched off, and not inside memprof's own work.
#[inline]
pub fn is_on() -> bool {
    is_switched_on() && !thread_counts::is_untracked()
}

/// True if wrappers are not switched off.
#[inline]
pub fn is_switched_on() -> bool {
    if cfg!(feature = "off") {
        return false;
    }
    let state = match STATE.load(Ordering::Relaxed) {
        UNKNOWN => ask(),
        known => known,
    };
    state == ON
}

#[cold]
fn ask() -> u8 {
    let is_off = os::env(env::OFF).is_some_and(|value| !value.is_empty() && value != b"0");
    let state = if is_off { OFF } else { ON };
    STATE.store(state, Ordering::Relaxed);
    state
}
