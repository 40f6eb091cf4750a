//! What the layer of `tracing` has seen, for whoever reads the profile: a filter in front of all
//! layers hides spans from it without a word.

use core::sync::atomic::{AtomicU64, Ordering};

#[cfg(feature = "tracing")]
use profiler_alloc_format::contexts::{LAYER_IS_THERE, LAYER_SAW_CONTEXT, LAYER_SAW_SPAN};

static SEEN: AtomicU64 = AtomicU64::new(0);

/// The layer is part of a subscriber.
#[cfg(feature = "tracing")]
pub fn is_there() {
    see(LAYER_IS_THERE);
}

/// It has seen a span.
#[cfg(feature = "tracing")]
pub fn saw_span() {
    see(LAYER_SAW_SPAN);
}

/// It has seen a span that has one of its fields.
#[cfg(feature = "tracing")]
pub fn saw_context() {
    see(LAYER_SAW_CONTEXT);
}

#[cfg(feature = "tracing")]
fn see(what: u64) {
    if SEEN.load(Ordering::Relaxed) & what == 0 {
        SEEN.fetch_or(what, Ordering::Relaxed);
    }
}

/// All of it.
pub(super) fn seen() -> u64 {
    SEEN.load(Ordering::Relaxed)
}
