//! The report of a profile: every table filled with what was summed for its rows.

use std::collections::BTreeMap;

use super::draft::{Draft, RowId};
use super::key::Key;
use super::placing::Placing;
use super::tally::Tally;
use super::{Basis, Figures, Line, Loss, Recording, Report, Sampling, Scope, Table, exact, tally};
use crate::defect::Defect;
use crate::profile::Profile;
use crate::source::Sources;
use crate::symbolize::Symbols;

impl Report {
    /// The report of a whole profile. `defects` are those of the stages before.
    pub fn new(
        profile: &Profile,
        symbols: &Symbols,
        sources: &mut Sources,
        scope: Scope,
        mut defects: Vec<Defect>,
    ) -> Report {
        let placing = Placing::new(profile, symbols, sources, scope);
        let tally = tally::inclusive(profile, &placing);
        let mut tables = into_tables(placing, &tally);
        exact::add_occurrences(&mut tables, profile, sources);
        defects.append(&mut sources.take_defects());
        Report {
            recording: Recording::of(profile),
            sampling: Sampling::of(profile),
            basis: Basis::Stacks,
            exact_functions: profile.functions.len(),
            scope,
            tables,
            elsewhere: Figures::of(&tally.elsewhere, None),
            unattributed: Figures::of(&profile.unattributed, None),
            losses: Loss::of(profile),
            defects,
        }
    }
}

/// Fills the tables with what was summed for their keys.
fn into_tables(placing: Placing, tally: &Tally) -> Vec<Table> {
    let drafts = placing.into_drafts().into_iter();
    drafts.map(|draft| table_of(draft, tally)).collect()
}

/// The table of a draft, with what was summed for its keys.
fn table_of(draft: Draft, tally: &Tally) -> Table {
    let function = draft.function();
    let text = draft
        .source
        .as_ref()
        .and_then(|source| source.text.as_ref());
    let figures = |key: Key| {
        let totals = &tally.totals[key];
        let figures = Figures::of(totals, tally.heap_after[key]);
        (!totals.is_empty()).then_some(figures)
    };
    let contents = |line| text.and_then(|text| text.line(line)).map(str::to_owned);
    let mut lines: BTreeMap<RowId, Line> = BTreeMap::new();
    if let Some(item) = &draft.item {
        for number in item.first_line..=item.last_line {
            lines.insert(
                RowId::Line(number),
                Line {
                    number: Some(number),
                    contents: contents(number),
                    figures: None,
                    occurrences: None,
                },
            );
        }
    }
    for (row, key) in draft.rows {
        let (number, contents) = match &row {
            RowId::Line(number) => (Some(*number), contents(*number)),
            RowId::Offset(offset) => (None, Some(offset.clone())),
        };
        let line = Line {
            number,
            contents,
            figures: figures(key),
            occurrences: None,
        };
        lines.insert(row, line);
    }
    Table {
        file: draft.file,
        function,
        instances: draft.instances,
        total: Figures::of(&tally.totals[draft.key], None),
        lines: lines.into_values().collect(),
        notes: draft.notes,
        verified: draft.verified,
    }
}
