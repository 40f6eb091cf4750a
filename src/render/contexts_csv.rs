//! Contexts as CSV, one row for each, for spreadsheets.

use std::io::{self, Write};

use super::cell::{text, unwrapped};
use crate::report::{ContextRow, ContextsReport};

/// CSV with a heading row. Bytes are exact integers.
#[derive(Clone, Copy, Debug, Default)]
pub struct ContextsCsv;

const HEADINGS: [&str; 19] = [
    "key",
    "value",
    "live",
    "live_standard_error",
    "at_peak",
    "at_peak_standard_error",
    "allocated",
    "allocated_standard_error",
    "count",
    "growth_per_second",
    "exact_alloc_bytes",
    "exact_freed_bytes",
    "exact_allocs",
    "entries",
    "entry_mean",
    "entry_p50",
    "entry_p95",
    "entry_p99",
    "entry_most",
];

impl ContextsCsv {
    /// Writes `report` to `out`.
    pub fn contexts(&self, report: &ContextsReport, out: &mut dyn Write) -> io::Result<()> {
        let mut rows = csv::Writer::from_writer(out);
        rows.write_record(HEADINGS).map_err(unwrapped)?;
        for key in &report.keys {
            for context in &key.rows {
                rows.write_record(row(&key.key, context))
                    .map_err(unwrapped)?;
            }
        }
        rows.flush()
    }
}

fn row(key: &str, row: &ContextRow) -> [String; 19] {
    fn number<T: ToString>(value: Option<T>) -> String {
        value.map(|value| value.to_string()).unwrap_or_default()
    }
    let (context, figures) = (&row.context, &row.figures);
    [
        text(key),
        text(&context.value),
        figures.live.bytes.to_string(),
        figures.live.standard_error.to_string(),
        figures.at_peak.bytes.to_string(),
        figures.at_peak.standard_error.to_string(),
        figures.allocated.bytes.to_string(),
        figures.allocated.standard_error.to_string(),
        figures.count.to_string(),
        number(row.growth.map(|growth| growth.bytes)),
        context.alloc_bytes.to_string(),
        context.freed_bytes.to_string(),
        context.allocs.to_string(),
        context.entries.to_string(),
        number(context.mean_in_entry()),
        number(context.entry_bytes(0.5)),
        number(context.entry_bytes(0.95)),
        number(context.entry_bytes(0.99)),
        context.most_in_entry.to_string(),
    ]
}
