//! Which moment of the run a view shows, in words.

use super::escape::escape;
use super::format;
use crate::report::{Metric, Recording};

/// What the figures of a view of a moment are, and of how large a heap; `None` of a whole run.
pub(super) fn line(recording: &Recording) -> Option<String> {
    let shown = recording.shown.as_ref()?;
    Some(format!(
        "Moment: {}; {} were in use then.",
        escape(&shown.to_string()),
        format::bytes(shown.at.heap)
    ))
}

/// What the figures of `metric` are, of a moment or of the whole run.
pub(super) fn title(metric: Metric, recording: &Recording) -> String {
    let Some(shown) = &recording.shown else {
        return metric_words(metric).to_owned();
    };
    let unit = match metric {
        Metric::Count => "Blocks",
        _ => "Bytes",
    };
    format!("{unit} of {}", escape(&shown.to_string()))
}

/// What a figure is, in words.
pub(super) fn metric_words(metric: Metric) -> &'static str {
    match metric {
        Metric::Peak => "Bytes in use at the peak",
        Metric::Live => "Bytes in use at the end",
        Metric::Allocated => "Bytes allocated",
        Metric::Freed => "Bytes freed",
        Metric::Increment => "Bytes allocated minus freed",
        Metric::Temporary => "Bytes freed at once",
        Metric::Reallocated => "Bytes from realloc",
        Metric::Count => "Blocks allocated",
    }
}
