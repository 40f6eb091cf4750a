//! Which parts of a program grew: contexts of a key, such as routes, or types.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::change::{Pair, has_changed};
use crate::profile::{Profile, Totals};
use crate::report::{Figures, Metric, Types};

/// The contexts of a key, or the types, in two profiles.
#[derive(Clone, PartialEq, Debug)]
pub struct PartChanges {
    /// The key, or `type`.
    pub what: String,
    /// Each of either profile; see
    /// [`Diff::sort`](super::Diff::sort).
    pub rows: Vec<PartChange>,
}

/// A part of either profile, or of both.
#[derive(Clone, PartialEq, Debug)]
pub struct PartChange {
    /// The key's value, or the type. `None`: no context of the key was in force.
    pub name: Option<String>,
    /// What was done there.
    pub figures: Pair,
}

/// What was done in each part.
pub type PartFigures = BTreeMap<Option<String>, Figures>;

/// The contexts of a key, and what was done in each.
#[derive(Clone, PartialEq, Debug)]
pub struct ContextParts {
    /// The key.
    pub key: String,
    /// What was done while each of its values was in force, and while none was.
    pub parts: PartFigures,
}

impl ContextParts {
    /// Those of all keys.
    pub fn all(profile: &Profile) -> Vec<ContextParts> {
        let keys = profile.contexts.keys().into_iter();
        let parts = keys.map(|key| ContextParts {
            key: key.to_owned(),
            parts: context_figures(profile, key),
        });
        parts.collect()
    }
}

/// What was done in each context of `key`.
pub fn context_figures(profile: &Profile, key: &str) -> PartFigures {
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

/// What was done with each type, whether it is certain or not.
pub fn type_figures(types: &Types) -> PartFigures {
    let mut sums = PartFigures::new();
    for row in &types.rows {
        let sum = sums.entry(Some(row.kind.title())).or_default();
        sum.add(&row.figures);
    }
    sums
}

impl PartChanges {
    /// Those of both profiles.
    pub fn new(what: &str, base: &PartFigures, new: &PartFigures) -> PartChanges {
        let mut rows: BTreeMap<&Option<String>, Pair> = BTreeMap::new();
        for (name, figures) in base {
            rows.entry(name).or_default().base = Some(*figures);
        }
        for (name, figures) in new {
            rows.entry(name).or_default().new = Some(*figures);
        }
        let rows = rows.into_iter().map(|(name, figures)| PartChange {
            name: name.clone(),
            figures,
        });
        PartChanges {
            what: what.to_owned(),
            rows: rows.collect(),
        }
    }

    /// Puts the parts whose `metric` changed most first, and leaves out those that changed in no
    /// figure.
    pub(super) fn sort(&mut self, metric: Metric) {
        self.rows.retain(|row| has_changed(&row.figures));
        self.rows.sort_by_cached_key(|row| {
            let change = row.figures.change(metric).difference().bytes;
            (Reverse(change.unsigned_abs()), row.name.clone())
        });
    }
}
