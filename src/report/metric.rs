//! Which figure a view is about.

use super::{Bytes, Figures};

/// One of the figures of a line, a function or a stack.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Metric {
    /// Bytes in use when the whole heap was highest
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
    /// Bytes freed before the thread's next sample
    Temporary,
    /// Bytes that came from growing or shrinking blocks
    Reallocated,
    /// Blocks allocated
    Count,
}

impl Metric {
    /// All of them.
    pub const ALL: [Metric; 8] = [
        Metric::Peak,
        Metric::Live,
        Metric::Allocated,
        Metric::Freed,
        Metric::Increment,
        Metric::Temporary,
        Metric::Reallocated,
        Metric::Count,
    ];

    /// Its name, as on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Peak => "peak",
            Metric::Live => "live",
            Metric::Allocated => "allocated",
            Metric::Freed => "freed",
            Metric::Increment => "increment",
            Metric::Temporary => "temporary",
            Metric::Reallocated => "reallocated",
            Metric::Count => "count",
        }
    }

    /// Its value in `figures`, in bytes, or in blocks for [`Metric::Count`].
    pub fn of(self, figures: &Figures) -> Bytes {
        match self {
            Metric::Peak => figures.at_peak,
            Metric::Live => figures.live,
            Metric::Allocated => figures.allocated,
            Metric::Freed => figures.freed,
            Metric::Increment => figures.increment,
            Metric::Temporary => figures.temporary,
            Metric::Reallocated => figures.reallocated,
            Metric::Count => self.blocks(figures),
        }
    }

    /// The blocks that it is the bytes of; for increments, those allocated.
    pub fn blocks(self, figures: &Figures) -> Bytes {
        let errors = &figures.count_errors;
        let (bytes, standard_error) = match self {
            Metric::Peak => (figures.at_peak_count, errors.at_peak),
            Metric::Live => (figures.live_count, errors.live),
            Metric::Freed => (figures.freed_count, errors.freed),
            Metric::Temporary => (figures.temporary_count, errors.temporary),
            Metric::Reallocated => (figures.reallocated_count, errors.reallocated),
            Metric::Allocated | Metric::Increment | Metric::Count => (figures.count, errors.count),
        };
        Bytes {
            bytes,
            standard_error,
        }
    }
}
