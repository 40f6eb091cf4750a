//! The line tables of a profile context by context: what each route, tenant or job did, line by
//! line.

use super::attribution::Attribution;
use super::extent::keep_holders;
use super::tables::Found;
use super::{Extent, Figures, LeftOut, NoMatch, Report, Scope, Selection, Sort, Table};
use crate::defect::Defect;
use crate::profile::{Profile, Totals};
use crate::source::Sources;
use crate::symbolize::Symbols;

/// A report for each context of a key.
#[derive(Clone, PartialEq, Debug)]
pub struct ContextTables {
    /// The key.
    pub key: String,
    /// What each context did, as [`select`](ContextTables::select) has ordered them.
    pub groups: Vec<ContextGroup>,
    /// Contexts that are not in `groups` as they do not matter much.
    pub left_out: Option<LeftOut>,
    /// All of them together.
    pub whole: Report,
}

/// The tables of one context.
#[derive(Clone, PartialEq, Debug)]
pub struct ContextGroup {
    /// The key's value. `None`: what was done while no context of the key was in force.
    pub value: Option<String>,
    /// All that was done in the context.
    pub total: Figures,
    /// Its functions.
    pub tables: Vec<Table>,
    /// Functions that are not in `tables` as they do not matter much.
    pub left_out: Option<LeftOut>,
    /// What it did with no function of the report's scope on the stack.
    pub elsewhere: Figures,
}

impl ContextTables {
    /// The report of each context of `key` that allocated or freed anything. `defects` are those of
    /// the stages before.
    pub fn new(
        profile: &Profile,
        symbols: &Symbols,
        sources: &mut Sources,
        (scope, key): (Scope, &str),
        defects: Vec<Defect>,
    ) -> ContextTables {
        let attribution = Attribution::new(profile, symbols, sources, scope);
        let parts = profile.stacks_by(key).into_iter();
        let groups = parts.filter(|(_, stacks)| !stacks.is_empty());
        let groups = groups.map(|(context, stacks)| {
            let mut total = Totals::default();
            stacks.iter().for_each(|stack| total.add(&stack.totals));
            let found = Found::of(profile, &stacks, symbols, &attribution);
            let mut tables = found.tables;
            tables.retain(Table::is_touched);
            ContextGroup {
                value: context.map(|id| profile.contexts.all[id].value.clone()),
                total: Figures::of(&total, None),
                tables,
                left_out: None,
                elsewhere: found.elsewhere,
            }
        });
        let groups = groups.collect();
        let found = Found::of(profile, &profile.stacks, symbols, &attribution);
        ContextTables {
            key: key.to_owned(),
            groups,
            left_out: None,
            whole: Report::of(profile, found, sources, scope, defects),
        }
    }

    /// Keeps what `selection` asks for, of each context, and puts them in its order.
    pub fn select(&mut self, selection: &Selection) -> Result<(), NoMatch> {
        // A name that is in no context at all is a mistake; one that is not in some, is not.
        self.whole.select(selection)?;
        self.groups.retain_mut(|group| {
            let selected = selection.apply(&mut group.tables);
            group.left_out = selected.as_ref().ok().copied().flatten();
            selected.is_ok()
        });
        self.groups.sort_by(|a, b| {
            let name = || a.value.cmp(&b.value);
            let rank = |group: &ContextGroup| selection.sort.rank(&group.total);
            match selection.sort {
                Sort::Name => name(),
                _ => rank(a).cmp(&rank(b)).then_with(name),
            }
        });
        if selection.extent == Extent::WhatMatters {
            self.left_out = keep_holders(&mut self.groups, |group| group.total, selection.sort);
        }
        Ok(())
    }
}
