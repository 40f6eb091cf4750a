//! What is said of the recorder's own memory, which is a part of the RSS of a recorded program.

use super::format;
use crate::report::Timeline;

/// How much of the RSS may be the recorder's. `None` where no RSS is known.
pub(super) fn note(timeline: &Timeline) -> Option<String> {
    let is_known = timeline.points.iter().any(|point| point.rss.is_some());
    let own = timeline.own;
    (is_known && own.bytes > 0).then(|| {
        format!(
            "RSS holds the recorder's own memory too, which the heap does not: at the end up to {}, and up to {} of the profile's pages.",
            format::size(own.bytes),
            format::size(own.file_bytes)
        )
    })
}
