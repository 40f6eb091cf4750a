//! What grew by more than a limit, and whether sampling alone could have made it look so.

use std::str::FromStr;

use super::{Change, Diff, Metric};
use crate::units::parse_size;

/// How much something may grow: `5%` of what the whole program had in the base, or bytes, as
/// `10MiB`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Limit {
    /// Part of the base's whole figure; 0.05 is 5 %.
    Share(f64),
    /// Bytes; blocks for [`Metric::Count`].
    Amount(u64),
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(percent) = text.trim().strip_suffix('%') else {
            return match parse_size(text) {
                Ok(amount) => Ok(Limit::Amount(amount)),
                Err(_) => Err(format!(
                    "`{text}` is no limit: write a percentage or a size, such as 5% or 10MiB"
                )),
            };
        };
        match percent.trim().parse::<f64>() {
            Ok(percent) if percent >= 0.0 && percent.is_finite() => {
                Ok(Limit::Share(percent / 100.0))
            }
            _ => Err(format!(
                "`{text}` is no percentage: write a number, such as 5% or 0.5%"
            )),
        }
    }
}

/// How small a thing is. As an option: the smallest whose growth counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Grown {
    /// The program as a whole, and nothing else
    Whole,
    /// Also each context of --by, and each type of --types
    Part,
    /// Also each function
    Function,
    /// Also each line, of functions that grew too
    #[default]
    Line,
}

/// What grew.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GrowthItem {
    /// The process as a whole.
    Whole,
    /// A context of a key, or a type.
    Part {
        /// The key, or `type`.
        of: String,
        /// The key's value, or the type. `None`: no context of the key was in force.
        name: Option<String>,
    },
    /// A function.
    Function {
        /// Its file.
        file: String,
        /// Its name.
        function: String,
    },
    /// A line.
    Line {
        /// Its file.
        file: String,
        /// Its number in the new report, if known.
        line: Option<u32>,
        /// The function it is in.
        function: String,
    },
}

impl GrowthItem {
    /// Which kind of thing it is.
    pub fn kind(&self) -> Grown {
        match self {
            GrowthItem::Whole => Grown::Whole,
            GrowthItem::Part { .. } => Grown::Part,
            GrowthItem::Function { .. } => Grown::Function,
            GrowthItem::Line { .. } => Grown::Line,
        }
    }
}

/// Something that grew by more than the limit.
#[derive(Clone, PartialEq, Debug)]
pub struct Growth {
    /// What grew.
    pub what: GrowthItem,
    /// From what to what.
    pub change: Change,
    /// Whether the growth may be chance: then it is no reason to fail.
    pub within_noise: bool,
}

impl Diff {
    /// What grew by more than `limit`: the whole process, then the contexts or types that are
    /// compared, then functions and lines, those that grew most first.
    ///
    /// A line counts only if its function grew by more than the limit too: a block that is taken
    /// one line further down, as after an edit, is no growth.
    ///
    /// A percentage is always of the whole program's figure in the base, so that a function of a
    /// few bytes that doubles is no alarm.
    pub fn grown(&self, metric: Metric, limit: Limit) -> Vec<Growth> {
        let whole = self.whole(metric);
        let base = whole.map_or_else(|| self.sum_of_base(metric), |change| change.base.bytes);
        let allowed = match limit {
            Limit::Share(share) => share * base.unsigned_abs() as f64,
            Limit::Amount(amount) => amount as f64,
        };
        let growth = |what: GrowthItem, change: Change| {
            let grown = change.difference().bytes as f64 > allowed;
            grown.then(|| Growth {
                what,
                change,
                within_noise: change.is_within_noise(),
            })
        };
        let parts = [&self.contexts, &self.types].into_iter().flatten();
        let parts = parts.flat_map(|parts| {
            parts.rows.iter().filter_map(|row| {
                let what = GrowthItem::Part {
                    of: parts.what.clone(),
                    name: row.name.clone(),
                };
                growth(what, row.figures.change(metric))
            })
        });
        let mut parts: Vec<Growth> = parts.collect();
        let mut found = Vec::new();
        for function in &self.functions {
            let (file, name) = (&function.file, &function.function);
            let what = GrowthItem::Function {
                file: file.clone(),
                function: name.clone(),
            };
            let Some(grown) = growth(what, function.total.change(metric)) else {
                continue;
            };
            found.push(grown);
            for line in &function.lines {
                let what = GrowthItem::Line {
                    file: file.clone(),
                    line: line.number,
                    function: name.clone(),
                };
                found.extend(growth(what, line.figures.change(metric)));
            }
        }
        for grown in [&mut parts, &mut found] {
            grown.sort_by_key(|growth| std::cmp::Reverse(growth.change.difference().bytes));
        }
        let whole = whole.and_then(|change| growth(GrowthItem::Whole, change));
        whole.into_iter().chain(parts).chain(found).collect()
    }

    /// Where no counter tells, the highest function has the most of it: every stack of its own is
    /// in it.
    fn sum_of_base(&self, metric: Metric) -> i64 {
        let functions = self.functions.iter();
        functions
            .map(|function| function.total.change(metric).base.bytes)
            .max()
            .unwrap_or(0)
    }
}
