//! The report of a profile: every table filled with what was summed for its rows.

use std::collections::BTreeMap;

use super::attribution::Attribution;
use super::key::Key;
use super::sums::KeySums;
use super::table_builder::{RowId, TableBuilder};
use super::{
    Basis, Figures, Line, Loss, Note, Recording, Report, Sampling, Scope, Table, exact, sums,
};
use crate::defect::Defect;
use crate::profile::{Profile, Stack, Totals};
use crate::source::Sources;
use crate::symbolize::Symbols;

impl Report {
    /// The report of a whole profile. `defects` are those of the stages before.
    pub fn new(
        profile: &Profile,
        symbols: &Symbols,
        sources: &mut Sources,
        scope: Scope,
        defects: Vec<Defect>,
    ) -> Report {
        let attribution = Attribution::new(profile, symbols, sources, scope);
        let found = StackTables::of(profile, &profile.stacks, symbols, &attribution);
        Report::of(profile, found, sources, scope, defects)
    }

    /// The report of a whole profile, all of whose stacks had what was `found`.
    pub(super) fn of(
        profile: &Profile,
        found: StackTables,
        sources: &mut Sources,
        scope: Scope,
        mut defects: Vec<Defect>,
    ) -> Report {
        let mut tables = found.tables;
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
            elsewhere: found.elsewhere,
            unattributed: Figures::of(&profile.unattributed, None),
            losses: Loss::of(profile),
            defects,
        }
    }
}

/// What some stacks of a profile did.
pub(super) struct StackTables {
    /// One for each function on them.
    pub tables: Vec<Table>,
    /// What they did without any function that has a table.
    pub elsewhere: Figures,
}

impl StackTables {
    /// What `stacks` did, which are of `profile`.
    pub(super) fn of(
        profile: &Profile,
        stacks: &[Stack],
        symbols: &Symbols,
        attribution: &Attribution,
    ) -> StackTables {
        let sums = sums::inclusive(profile, stacks, attribution);
        let mut own = vec![Totals::default(); attribution.table_count()];
        for (place, totals) in sums::exclusive(profile, stacks, symbols, attribution) {
            if let Some(place) = place {
                own[place.table].add(&totals);
            }
        }
        let tables = attribution.builders().iter().zip(&own);
        StackTables {
            tables: (tables.map(|(builder, own)| table_of(builder, own, &sums))).collect(),
            elsewhere: Figures::of(&sums.elsewhere, None),
        }
    }
}

/// The table of a builder, with what was summed for its keys, of which `own` is its own.
fn table_of(builder: &TableBuilder, own: &Totals, sums: &KeySums) -> Table {
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
    let mut rows: BTreeMap<&RowId, Vec<Key>> = (builder.rows.iter())
        .map(|(row, &key)| (row, vec![key]))
        .collect();
    let signature = builder
        .item
        .as_ref()
        .map(|item| RowId::Line(item.first_line));
    if let Some((around, signature)) = builder.around.zip(signature.as_ref()) {
        rows.entry(signature).or_default().push(around);
    }
    // Where a function has moved, the text on its lines is another one's.
    let has_moved = builder.item.is_none() && builder.notes.contains(&Note::SourceChanged);
    let text = text.filter(|_| !has_moved);
    let contents = |line| text.and_then(|text| text.line(line)).map(str::to_owned);
    let mut lines: BTreeMap<RowId, Line> = BTreeMap::new();
    let of_item = builder
        .item
        .as_ref()
        .map(|item| item.first_line..=item.last_line);
    let begin = builder.begin.map(|line| line..=line);
    for number in of_item.or(begin).into_iter().flatten() {
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
    for (row, keys) in rows {
        let (number, contents) = match row {
            RowId::Line(number) => (Some(*number), contents(*number)),
            RowId::Offset(offset) => (None, Some(offset.clone())),
        };
        let line = Line {
            number,
            contents,
            figures: figures(&keys),
            occurrences: None,
        };
        lines.insert(row.clone(), line);
    }
    Table {
        file: builder.file.clone(),
        function,
        instances: builder.instances.clone(),
        total: Figures::of(&sums.totals[builder.key], None),
        own: Figures::of(own, None),
        lines: lines.into_values().collect(),
        gaps: Vec::new(),
        notes: builder.notes.clone(),
        verified: builder.verified,
    }
}
