//! The report of a profile: every table filled with what was summed for its rows.

use std::collections::BTreeMap;

use super::attribution::Attribution;
use super::key::Key;
use super::sums::KeySums;
use super::table_builder::{RowId, TableBuilder};
use super::{Basis, Figures, Line, Loss, Recording, Report, Sampling, Scope, Table, exact, sums};
use crate::defect::Defect;
use crate::profile::{Profile, Totals};
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
        let attribution = Attribution::new(profile, symbols, sources, scope);
        let sums = sums::inclusive(profile, &attribution);
        let mut own = vec![Totals::default(); attribution.table_count()];
        for (place, totals) in sums::exclusive(profile, symbols, &attribution) {
            if let Some(place) = place {
                own[place.table].add(&totals);
            }
        }
        let mut tables = into_tables(attribution, &sums);
        for (table, own) in tables.iter_mut().zip(&own) {
            table.own = Figures::of(own, None);
        }
        exact::add_occurrences(&mut tables, profile, sources);
        defects.append(&mut sources.take_defects());
        Report {
            recording: Recording::of(profile),
            sampling: Sampling::of(profile),
            basis: Basis::Stacks,
            exact_functions: profile.functions.len(),
            scope,
            tables,
            left_out: None,
            elsewhere: Figures::of(&sums.elsewhere, None),
            unattributed: Figures::of(&profile.unattributed, None),
            losses: Loss::of(profile),
            defects,
        }
    }
}

/// Fills the tables with what was summed for their keys.
fn into_tables(attribution: Attribution, sums: &KeySums) -> Vec<Table> {
    let builders = attribution.into_builders().into_iter();
    builders.map(|builder| table_of(builder, sums)).collect()
}

/// The table of a builder, with what was summed for its keys.
fn table_of(builder: TableBuilder, sums: &KeySums) -> Table {
    let function = builder.function();
    let text = builder
        .source
        .as_ref()
        .and_then(|source| source.text.as_ref());
    let figures = |keys: &[Key]| {
        let mut totals = Totals::default();
        let mut heap_after = None;
        for &key in keys.iter().filter(|&&key| !sums.totals[key].is_empty()) {
            totals.add(&sums.totals[key]);
            heap_after = heap_after.max(sums.heap_after[key]);
        }
        (!totals.is_empty()).then(|| Figures::of(&totals, heap_after))
    };
    let mut rows: BTreeMap<RowId, Vec<Key>> = (builder.rows.into_iter())
        .map(|(row, key)| (row, vec![key]))
        .collect();
    if let Some((around, item)) = builder.around.zip(builder.item.as_ref()) {
        let signature = RowId::Line(item.first_line);
        rows.entry(signature).or_default().push(around);
    }
    let contents = |line| text.and_then(|text| text.line(line)).map(str::to_owned);
    let mut lines: BTreeMap<RowId, Line> = BTreeMap::new();
    if let Some(item) = &builder.item {
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
    for (row, keys) in rows {
        let (number, contents) = match &row {
            RowId::Line(number) => (Some(*number), contents(*number)),
            RowId::Offset(offset) => (None, Some(offset.clone())),
        };
        let line = Line {
            number,
            contents,
            figures: figures(&keys),
            occurrences: None,
        };
        lines.insert(row, line);
    }
    Table {
        file: builder.file,
        function,
        instances: builder.instances,
        total: Figures::of(&sums.totals[builder.key], None),
        own: Figures::default(),
        lines: lines.into_values().collect(),
        gaps: Vec::new(),
        notes: builder.notes,
        verified: builder.verified,
    }
}
