//! What tables are ordered by.

use std::cmp::Reverse;

use super::Figures;

/// What tables are ordered by; numbers highest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Sort {
    /// Bytes in use at the peak
    #[default]
    Peak,
    /// Bytes in use at the end
    Live,
    /// Bytes allocated
    Allocated,
    /// Bytes freed
    Freed,
    /// Bytes allocated minus freed
    Increment,
    /// Blocks allocated
    Count,
    /// Bytes freed at once
    Temporary,
    /// Bytes from growing or shrinking blocks
    Reallocated,
    /// File and function
    Name,
}

impl Sort {
    /// Highest first, and among equals the most allocated.
    pub(super) fn rank(self, figures: &Figures) -> Reverse<(i64, i64)> {
        Reverse(match self {
            Sort::Name => (0, 0),
            _ => (self.figure(figures), figures.allocated.bytes),
        })
    }

    /// The figure tables are sorted by; 0 if they are not by any.
    pub(super) fn figure(self, figures: &Figures) -> i64 {
        match self {
            Sort::Peak => figures.at_peak.bytes,
            Sort::Live => figures.live.bytes,
            Sort::Allocated => figures.allocated.bytes,
            Sort::Freed => figures.freed.bytes,
            Sort::Increment => figures.increment.bytes,
            Sort::Count => figures.count,
            Sort::Temporary => figures.temporary.bytes,
            Sort::Reallocated => figures.reallocated.bytes,
            Sort::Name => 0,
        }
    }
}
