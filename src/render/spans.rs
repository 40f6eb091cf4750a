//! What all timelines say of the spans of functions with `#[profile]`.

use super::cut::cut_middle;
use super::escape::escape;
use super::format;
use crate::report::{CallSpan, Timeline};

/// Functions shown at most.
const MOST: usize = 20;
/// Columns of a name.
const NAME: usize = 60;

/// The spans that are shown, the longest ones in the order of their starts.
pub(super) fn shown(timeline: &Timeline) -> Vec<&CallSpan> {
    timeline.longest_spans(MOST).0
}

/// Name and number of calls.
pub(super) fn label(span: &CallSpan) -> String {
    let name = cut_middle(&escape(&span.function), NAME);
    let calls = match span.calls {
        1 => "1 call".to_owned(),
        calls => format!(
            "{} calls",
            format::count(i64::try_from(calls).unwrap_or(i64::MAX))
        ),
    };
    let open = if span.is_open {
        ", in it at the end"
    } else {
        ""
    };
    format!("{name} ({calls}{open})")
}

/// What is said below them, if there are any.
pub(super) fn note(timeline: &Timeline) -> Option<String> {
    let (shown, others) = timeline.longest_spans(MOST);
    let rest = match others {
        0 => String::new(),
        others => format!(
            " {} functions with shorter spans are not shown.",
            format::count(others as i64)
        ),
    };
    (!shown.is_empty()).then(|| {
        format!(
            "Spans: functions with #[profile], from the first call to the end of the last.{rest}"
        )
    })
}
