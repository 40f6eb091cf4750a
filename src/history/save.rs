//! Writes a report into the tables of the history.

use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Transaction, params};
use serde::Serialize;

use super::shape::{SavedFigures, SavedScope, SavedState};
use crate::report::diff::ContextParts;
use crate::report::{Note, Report, Table};

/// What a run is found by later.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Label {
    /// Commit of the source; empty if unknown.
    pub commit: String,
    /// Whether there were changes that were not committed.
    pub dirty: bool,
    /// Any words.
    pub tags: Vec<String>,
}

pub(super) fn save(
    transaction: &Transaction<'_>,
    report: &Report,
    contexts: &[ContextParts],
    label: &Label,
) -> rusqlite::Result<i64> {
    let (recording, sampling) = (&report.recording, &report.sampling);
    let counters = &recording.counters;
    let saved = SystemTime::now().duration_since(UNIX_EPOCH);
    let losses = report
        .losses
        .iter()
        .map(|loss| format!("{} {}", loss.count, loss.what));
    let changed = (report.tables.iter()).any(|table| table.notes.contains(&Note::SourceChanged));
    let changed = changed.then(|| Note::SourceChanged.to_string());
    let faults: Vec<String> = (losses)
        .chain(report.defects.iter().map(ToString::to_string))
        .chain(changed)
        .collect();
    transaction.execute(
        "INSERT INTO runs (saved_unix_s, commit_id, dirty, started_unix_ns, program, pid, state, duration_ns,
             allocs, frees, reallocs, alloc_bytes, freed_bytes, heap_at_start, heap, peak, peak_ns,
             mode, exact, interval_bytes, interval_widest, alloc_samples, free_samples,
             scope, elsewhere, unattributed, faults)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
             ?23, ?24, ?25, ?26, ?27)",
        params![
            saved.map_or(0, |since| since.as_secs() as i64),
            label.commit,
            label.dirty,
            recording.started_unix_ns as i64,
            recording.program,
            recording.pid,
            json(&SavedState::from(recording.state)),
            recording.duration_ns as i64,
            counters.allocs as i64,
            counters.frees as i64,
            counters.reallocs as i64,
            counters.alloc_bytes as i64,
            counters.freed_bytes as i64,
            recording.heap_at_start,
            recording.heap,
            recording.peak,
            recording.peak_ns as i64,
            sampling.mode,
            sampling.exact,
            sampling.interval as i64,
            sampling.interval_widest as i64,
            sampling.alloc_samples as i64,
            sampling.free_samples as i64,
            json(&SavedScope::from(report.scope)),
            json(&SavedFigures::from(&report.elsewhere)),
            json(&SavedFigures::from(&report.unattributed)),
            json(&faults),
        ],
    )?;
    let run = transaction.last_insert_rowid();
    for tag in &label.tags {
        transaction.execute(
            "INSERT OR IGNORE INTO tags VALUES (?1, ?2)",
            params![run, tag],
        )?;
    }
    for table in &report.tables {
        function(transaction, run, table)?;
    }
    let mut insert = transaction.prepare_cached("INSERT INTO contexts VALUES (?1, ?2, ?3, ?4)")?;
    for ContextParts { key, parts } in contexts {
        for (value, figures) in parts {
            let figures = json(&SavedFigures::from(figures));
            insert.execute(params![run, key, value, figures])?;
        }
    }
    Ok(run)
}

fn function(transaction: &Transaction<'_>, run: i64, table: &Table) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO functions (run, file, name, verified, figures, instances) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let total = json(&SavedFigures::from(&table.total));
    insert.execute(params![
        run,
        table.file,
        table.function,
        table.verified,
        total,
        json(&table.instances)
    ])?;
    let function = transaction.last_insert_rowid();
    let mut insert = transaction.prepare_cached("INSERT INTO lines VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (position, line) in table.lines.iter().enumerate() {
        let figures = line.figures.as_ref().map(SavedFigures::from);
        let figures = figures.as_ref().map(json);
        let position = position as i64;
        insert.execute(params![
            function,
            position,
            line.number,
            line.contents,
            figures
        ])?;
    }
    Ok(())
}

/// As JSON text. What stands in a report is plain data, which never fails.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
