//! Which figure a view is about.

use super::{Bytes, Figures};

/// One of the figures of a line, a function or a stack.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, clap::ValueEnum)]
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
    ///
    /// The error of a count is not kept apart; it is given the relative error of the bytes.
    pub fn of(self, figures: &Figures) -> Bytes {
        match self {
            Metric::Peak => figures.at_peak,
            Metric::Live => figures.live,
            Metric::Allocated => figures.allocated,
            Metric::Freed => figures.freed,
            Metric::Increment => figures.increment,
            Metric::Temporary => figures.temporary,
            Metric::Reallocated => figures.reallocated,
            Metric::Count => {
                let error = figures.allocated.relative_error();
                let error = if error.is_finite() { error } else { 0.0 };
                Bytes {
                    bytes: figures.count,
                    standard_error: error * (figures.count as f64).abs(),
                }
            }
        }
    }
}
