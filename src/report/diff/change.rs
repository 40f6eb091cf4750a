//! The same function, line or figure in two reports.

use crate::report::{Bytes, Figures, Metric};

/// A change is within the noise if it is below so many of its standard errors: one in twenty is
/// above by chance.
pub const CONFIDENCE: f64 = 1.96;

/// A function of either report, or of both.
#[derive(Clone, PartialEq, Debug)]
pub struct FunctionChange {
    /// Its name in the new report, or in the base if it is only there.
    pub function: String,
    /// Its file, likewise.
    pub file: String,
    /// File and name in the base, if they were others.
    pub was: Option<(String, String)>,
    /// Figures of the whole function.
    pub total: Pair,
    /// Lines of either, in the order of the source.
    pub lines: Vec<LineChange>,
}

/// A line of either report, or of both.
#[derive(Clone, PartialEq, Debug)]
pub struct LineChange {
    /// Its number in the base.
    pub base_number: Option<u32>,
    /// Its number in the new report.
    pub number: Option<u32>,
    /// Its text in the new report, or in the base if it is only there.
    pub contents: Option<String>,
    /// Its text in the base, if it was another.
    pub was: Option<String>,
    /// Which reports have the line, whether or not it touched memory there.
    pub presence: Presence,
    /// What it took.
    pub figures: Pair,
}

/// Which of two reports has something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Presence {
    /// Only the base.
    Base,
    /// Only the new one.
    New,
    /// Both.
    Both,
}

/// The same figures in both reports; `None` where nothing was seen.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Pair {
    /// In the base.
    pub base: Option<Figures>,
    /// In the new report.
    pub new: Option<Figures>,
}

/// One figure in both reports.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Change {
    /// In the base.
    pub base: Bytes,
    /// In the new report.
    pub new: Bytes,
}

impl Pair {
    /// The change of one figure; nothing seen is 0.
    pub fn change(&self, metric: Metric) -> Change {
        let figure = |figures: &Option<Figures>| {
            figures
                .as_ref()
                .map_or_else(Bytes::default, |f| metric.of(f))
        };
        Change {
            base: figure(&self.base),
            new: figure(&self.new),
        }
    }

    /// Whether nothing was seen in either.
    pub fn is_empty(&self) -> bool {
        self.base.is_none() && self.new.is_none()
    }
}

impl Change {
    /// A change of figures without error.
    pub fn exact(base: i64, new: i64) -> Change {
        let bytes = |bytes| Bytes {
            bytes,
            standard_error: 0.0,
        };
        Change {
            base: bytes(base),
            new: bytes(new),
        }
    }

    /// New minus base, with its standard error: the two recordings are independent, so variances
    /// add up.
    pub fn difference(&self) -> Bytes {
        Bytes {
            bytes: self.new.bytes.saturating_sub(self.base.bytes),
            standard_error: self.new.standard_error.hypot(self.base.standard_error),
        }
    }

    /// Whether the difference may well be chance: below [`CONFIDENCE`] standard errors.
    pub fn is_within_noise(&self) -> bool {
        let difference = self.difference();
        difference.standard_error > 0.0
            && (difference.bytes as f64).abs() < CONFIDENCE * difference.standard_error
    }
}

/// Whether any figure differs.
pub(super) fn has_changed(pair: &Pair) -> bool {
    let changed = |metric: &Metric| pair.change(*metric).difference().bytes != 0;
    Metric::ALL.iter().any(changed)
}
