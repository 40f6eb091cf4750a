//! Reads a report back from the tables of the history.

use rusqlite::{Connection, Row};
use serde::de::DeserializeOwned;

use super::shape::{SavedFigures, SavedScope, SavedState};
use crate::defect::Defect;
use crate::report::diff::{ContextParts, PartFigures};
use crate::report::{Basis, Counters, Figures, Line, Recording, Report, Sampling, Table};

/// Why a run could not be read.
pub(super) enum Fault {
    Sqlite(rusqlite::Error),
    Damaged(String),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Fault::Sqlite(error)
    }
}

pub(super) fn report(connection: &Connection, run: i64) -> Result<Report, Fault> {
    let mut query = connection.prepare("SELECT * FROM runs WHERE id = ?1")?;
    let mut rows = query.query([run])?;
    let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    let faults: Vec<String> = json(row, "faults")?;
    Ok(Report {
        // Runs are kept from stacks; what counters said is not in the history.
        basis: Basis::Stacks,
        exact_functions: 0,
        recording: recording(row)?,
        sampling: sampling(row)?,
        scope: json::<SavedScope>(row, "scope")?.into(),
        tables: tables(connection, run)?,
        elsewhere: json::<SavedFigures>(row, "elsewhere")?.into(),
        unattributed: json::<SavedFigures>(row, "unattributed")?.into(),
        left_out: None,
        losses: Vec::new(),
        defects: (faults.into_iter())
            .map(|text| Defect::Saved { text })
            .collect(),
    })
}

/// What was done in each context, key by key.
pub(super) fn contexts(connection: &Connection, run: i64) -> Result<Vec<ContextParts>, Fault> {
    let mut query = connection
        .prepare("SELECT key, value, figures FROM contexts WHERE run = ?1 ORDER BY key")?;
    let mut rows = query.query([run])?;
    let mut keys: Vec<ContextParts> = Vec::new();
    while let Some(row) = rows.next()? {
        let key: String = row.get("key")?;
        if keys.last().is_none_or(|last| last.key != key) {
            keys.push(ContextParts {
                key,
                parts: PartFigures::new(),
            });
        }
        let figures: Figures = json::<SavedFigures>(row, "figures")?.into();
        if let Some(last) = keys.last_mut() {
            last.parts.insert(row.get("value")?, figures);
        }
    }
    Ok(keys)
}

fn json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> Result<T, Fault> {
    from_json(&row.get::<_, String>(column)?)
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|error| Fault::Damaged(error.to_string()))
}

/// Whole numbers that have no sign are kept as SQLite's, which have one.
fn unsigned(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)? as u64)
}

fn recording(row: &Row<'_>) -> Result<Recording, Fault> {
    Ok(Recording {
        shown: None,
        program: row.get("program")?,
        pid: row.get("pid")?,
        state: json::<SavedState>(row, "state")?.into(),
        started_unix_ns: unsigned(row, "started_unix_ns")?,
        duration_ns: unsigned(row, "duration_ns")?,
        counters: Counters {
            allocs: unsigned(row, "allocs")?,
            frees: unsigned(row, "frees")?,
            reallocs: unsigned(row, "reallocs")?,
            alloc_bytes: unsigned(row, "alloc_bytes")?,
            freed_bytes: unsigned(row, "freed_bytes")?,
        },
        merged: None,
        forked_from: None,
        killed: None,
        heap_at_start: row.get("heap_at_start")?,
        heap: row.get("heap")?,
        peak: row.get("peak")?,
        peak_ns: unsigned(row, "peak_ns")?,
    })
}

fn sampling(row: &Row<'_>) -> rusqlite::Result<Sampling> {
    Ok(Sampling {
        mode: match row.get::<_, String>("mode")?.as_str() {
            "all" => "all",
            "fixed" => "fixed",
            _ => "auto",
        },
        exact: row.get("exact")?,
        interval: unsigned(row, "interval_bytes")?,
        interval_widest: unsigned(row, "interval_widest")?,
        alloc_samples: unsigned(row, "alloc_samples")?,
        free_samples: unsigned(row, "free_samples")?,
    })
}

fn tables(connection: &Connection, run: i64) -> Result<Vec<Table>, Fault> {
    let mut functions = connection.prepare(
        "SELECT id, file, name, verified, figures, instances FROM functions WHERE run = ?1 ORDER BY id",
    )?;
    let mut lines = connection.prepare(
        "SELECT number, contents, figures FROM lines WHERE function = ?1 ORDER BY position",
    )?;
    let mut tables = Vec::new();
    let mut rows = functions.query([run])?;
    while let Some(row) = rows.next()? {
        let mut table = Table {
            file: row.get("file")?,
            function: row.get("name")?,
            instances: json(row, "instances")?,
            total: json::<SavedFigures>(row, "figures")?.into(),
            own: Figures::default(),
            lines: Vec::new(),
            gaps: Vec::new(),
            notes: Vec::new(),
            verified: row.get("verified")?,
        };
        let mut rows = lines.query([row.get::<_, i64>("id")?])?;
        while let Some(row) = rows.next()? {
            let figures: Option<String> = row.get("figures")?;
            let figures = figures
                .as_deref()
                .map(from_json::<SavedFigures>)
                .transpose()?;
            table.lines.push(Line {
                occurrences: None,
                number: row.get("number")?,
                contents: row.get("contents")?,
                figures: figures.map(Figures::from),
            });
        }
        tables.push(table);
    }
    Ok(tables)
}
