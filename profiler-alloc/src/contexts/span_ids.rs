//! The span of a trace that the calling thread is in, as OpenTelemetry numbers it.

use core::cell::Cell;

use crate::ffi::thread_local::thread_locals;

/// A trace and a span of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpanIds {
    /// The half of the trace's id that is written first, first.
    pub trace: [u64; 2],
    /// 0 is none.
    pub span: u64,
}

impl SpanIds {
    /// No span that has ids.
    pub const NONE: SpanIds = SpanIds {
        trace: [0; 2],
        span: 0,
    };

    /// As OpenTelemetry writes them.
    #[cfg(feature = "tracing")]
    pub fn of(trace: [u8; 16], span: [u8; 8]) -> SpanIds {
        let trace = u128::from_be_bytes(trace);
        SpanIds {
            trace: [(trace >> 64) as u64, trace as u64],
            span: u64::from_be_bytes(span),
        }
    }
}

thread_locals! {
    static CURRENT: Cell<SpanIds> = const { Cell::new(SpanIds::NONE) };
}

/// That of the calling thread. `None` if it is in no span that has ids.
#[inline]
pub fn current() -> Option<SpanIds> {
    // Nobody else says so.
    if !cfg!(feature = "tracing") {
        return None;
    }
    let ids = CURRENT.try_with(Cell::get).unwrap_or(SpanIds::NONE);
    (ids.span != 0).then_some(ids)
}

/// The calling thread is in this span now.
#[cfg(feature = "tracing")]
pub fn set(ids: SpanIds) {
    let _ = CURRENT.try_with(|current| current.set(ids));
}
