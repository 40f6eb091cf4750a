//! The values of a stack that tools with several of them show, in the order and with the names that
//! pprof's users know.

use crate::report::{Figures, Metric, StackSpan};

/// One value of every stack.
pub(super) struct Value {
    /// Its name.
    pub name: &'static str,
    /// Its unit: `bytes` or `count`.
    pub unit: &'static str,
    /// The metric this value shows; `None` if it cannot be chosen as the default.
    pub metric: Option<Metric>,
    pub of: fn(&Figures) -> i64,
    /// What of it a span is known to have taken. `None` if that is not known of this value.
    pub of_span: Option<fn(&StackSpan) -> i64>,
}

/// Allocated, in use at the end, and in use at the peak: each in blocks and in bytes.
pub(super) const VALUES: [Value; 6] = [
    Value {
        name: "alloc_objects",
        unit: "count",
        metric: Some(Metric::Count),
        of: |figures| figures.count,
        of_span: Some(|span| span.alloc_count),
    },
    Value {
        name: "alloc_space",
        unit: "bytes",
        metric: Some(Metric::Allocated),
        of: |figures| figures.allocated.bytes,
        of_span: Some(|span| span.alloc_bytes),
    },
    Value {
        name: "inuse_objects",
        unit: "count",
        metric: None,
        of: |figures| figures.live_count,
        of_span: None,
    },
    Value {
        name: "inuse_space",
        unit: "bytes",
        metric: Some(Metric::Live),
        of: |figures| figures.live.bytes,
        of_span: None,
    },
    Value {
        name: "peak_objects",
        unit: "count",
        metric: None,
        of: |figures| figures.at_peak_count,
        of_span: None,
    },
    Value {
        name: "peak_space",
        unit: "bytes",
        metric: Some(Metric::Peak),
        of: |figures| figures.at_peak.bytes,
        of_span: None,
    },
];

/// The value that shows `metric`; the peak's if none does.
pub(super) fn showing(metric: Metric) -> &'static Value {
    let shows = |value: &&Value| value.metric == Some(metric);
    VALUES.iter().find(shows).unwrap_or(&VALUES[5])
}

/// What each stack is worth, those of nothing left out.
pub(super) fn values(figures: &Figures) -> Option<[i64; 6]> {
    let values = VALUES.map(|value| (value.of)(figures));
    values.iter().any(|value| *value != 0).then_some(values)
}
