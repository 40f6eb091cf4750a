//! A profile context by context, as its page shows it: tables, stacks and types of each.

use std::cmp::Reverse;

use super::attribution::Attribution;
use super::tables::Found;
use super::types::TypeRows;
use super::{Figures, Granularity, Metric, Scope, Stacks, Table, TypeRow};
use crate::profile::{Profile, Totals};
use crate::source::Sources;
use crate::symbolize::Symbols;

/// The contexts of a profile that hold most, each by itself.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ContextViews {
    /// Key by key; of each, what is most at the peak first, and last what is in none.
    pub views: Vec<ContextView>,
    /// How many more there are.
    pub left_out: usize,
}

/// What was done in one context.
#[derive(Clone, PartialEq, Debug)]
pub struct ContextView {
    /// The key.
    pub key: String,
    /// Its value. `None`: no context of the key was in force.
    pub value: Option<String>,
    /// All that was done.
    pub total: Figures,
    /// The functions of the user's own source that did it.
    pub tables: Vec<Table>,
    /// Its stacks, with the frames of the user's own source.
    pub stacks: Stacks,
    /// Its types; none if the functions' type arguments were not looked up.
    pub types: Vec<TypeRow>,
}

impl ContextViews {
    /// The `most` contexts that hold most at the peak, of all keys together.
    pub fn new(
        profile: &Profile,
        symbols: &Symbols,
        sources: &mut Sources,
        most: usize,
    ) -> ContextViews {
        let keys = profile.contexts.keys().into_iter();
        let parts = keys.flat_map(|key| {
            let stacks = profile.stacks_by(key).into_iter();
            let stacks = stacks.filter(|(_, stacks)| !stacks.is_empty());
            stacks.map(move |(context, stacks)| {
                let mut total = Totals::default();
                stacks.iter().for_each(|stack| total.add(&stack.totals));
                (key, context, stacks, Figures::of(&total, None))
            })
        });
        let mut parts: Vec<_> = parts.collect();
        let rank = |total: &Figures| Reverse((total.at_peak.bytes, total.allocated.bytes));
        parts.sort_by_key(|(.., total)| rank(total));
        let left_out = parts.len().saturating_sub(most);
        parts.truncate(most);
        parts.sort_by_key(|(key, context, _, total)| (*key, context.is_none(), rank(total)));
        let attribution = Attribution::new(profile, symbols, sources, Scope::User);
        let types = TypeRows::new(profile, symbols, &attribution);
        let views = parts.into_iter().map(|(key, context, stacks, total)| {
            let mut tables = Found::of(profile, &stacks, symbols, &attribution).tables;
            tables.retain(Table::is_touched);
            let mut rows = types.of(&stacks);
            rows.sort_by_key(|row| Reverse(Metric::Peak.of(&row.figures).bytes));
            let stacks = Stacks::of(profile, &stacks, symbols, &attribution);
            ContextView {
                key: key.to_owned(),
                value: context.map(|id| profile.contexts.all[id].value.clone()),
                total,
                tables,
                stacks: stacks.restricted(Scope::User, Granularity::Line),
                types: rows,
            }
        });
        ContextViews {
            views: views.collect(),
            left_out,
        }
    }
}
