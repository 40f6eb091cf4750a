//! Which contexts of a key grew: routes, tenants, jobs.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::change::has_changed;
use super::{Metric, Pair};
use crate::profile::{Profile, Totals};
use crate::report::Figures;

/// The contexts of a key in two profiles.
#[derive(Clone, PartialEq, Debug)]
pub struct ContextChanges {
    /// The key.
    pub key: String,
    /// Every value of either, and what was done while there was none; see
    /// [`Diff::sort`](super::Diff::sort).
    pub rows: Vec<ContextChange>,
}

/// A context of either profile, or of both.
#[derive(Clone, PartialEq, Debug)]
pub struct ContextChange {
    /// The key's value. `None`: no context of the key was in force.
    pub value: Option<String>,
    /// What was done meanwhile.
    pub figures: Pair,
}

/// What was done in each context of a key.
pub type ContextFigures = BTreeMap<Option<String>, Figures>;

/// What was done in each context of `key`.
pub fn context_figures(profile: &Profile, key: &str) -> ContextFigures {
    let parts = profile.stacks_by(key).into_iter();
    let parts = parts.filter(|(_, stacks)| !stacks.is_empty());
    let parts = parts.map(|(context, stacks)| {
        let mut sum = Totals::default();
        stacks.iter().for_each(|stack| sum.add(&stack.totals));
        let value = context.map(|id| profile.contexts.all[id].value.clone());
        (value, Figures::of(&sum, None))
    });
    parts.collect()
}

impl ContextChanges {
    /// Those of `key`.
    pub fn new(key: &str, base: &ContextFigures, new: &ContextFigures) -> ContextChanges {
        let mut rows: BTreeMap<&Option<String>, Pair> = BTreeMap::new();
        for (value, figures) in base {
            rows.entry(value).or_default().base = Some(*figures);
        }
        for (value, figures) in new {
            rows.entry(value).or_default().new = Some(*figures);
        }
        let rows = rows.into_iter().map(|(value, figures)| ContextChange {
            value: value.clone(),
            figures,
        });
        ContextChanges {
            key: key.to_owned(),
            rows: rows.collect(),
        }
    }

    /// Puts the contexts whose `metric` changed most first, and leaves out those that changed in no
    /// figure.
    pub(super) fn sort(&mut self, metric: Metric) {
        self.rows.retain(|row| has_changed(&row.figures));
        self.rows.sort_by_cached_key(|row| {
            let change = row.figures.change(metric).difference().bytes;
            (Reverse(change.unsigned_abs()), row.value.clone())
        });
    }
}
