//! For whom the memory is, as text: a table for each key.

use std::io::{self, Write};

use super::escape::escape;
use super::footer::{ends, faults, sampling};
use super::style::TITLE;
use super::tree_text::value;
use super::{format, moment};
use crate::report::diff::ContextParts;
use crate::report::{
    Bytes, ContextKey, ContextLine, ContextRow, ContextsReport, Figures, LayerSaw, Metric,
};
use crate::units::Count;

/// Tables of contexts, for people.
#[derive(Clone, Copy, Debug)]
pub struct ContextsText {
    /// Rows shown of each key.
    pub top: usize,
    /// What lines are shown by.
    pub metric: Metric,
}

impl ContextsText {
    /// Writes `report` to `out`.
    pub fn contexts(&self, report: &ContextsReport, out: &mut dyn Write) -> io::Result<()> {
        if let Some(line) = moment::line(&report.recording) {
            writeln!(out, "{line}\n")?;
        }
        for key in &report.keys {
            self.key(key, out)?;
            writeln!(out)?;
        }
        if report.keys.is_empty() {
            writeln!(
                out,
                "The program has named no contexts; docs/contexts.md says how."
            )?;
        } else {
            writeln!(
                out,
                "In each entry: bytes allocated between entering and leaving, exact but for percentiles, which are right \
                 to an eighth. Growth: by second, since the program was warm."
            )?;
        }
        if let Some(saw) = report.layer {
            writeln!(out, "Note: {}.", of_layer(saw))?;
        }
        for words in ends(&report.recording) {
            writeln!(out, "{words}")?;
        }
        sampling(&report.sampling, &report.losses, out)?;
        faults(&report.unattributed, &report.losses, &report.defects, out)
    }

    /// Writes what a history has kept of the contexts of a key to `out`.
    pub fn parts(&self, contexts: &ContextParts, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "{:>12} {:>12} {:>12} {:>10}  {TITLE}{}{TITLE:#}",
            "Live",
            "At peak",
            "Allocated",
            "Blocks",
            escape(&contexts.key),
        )?;
        let mut rows: Vec<_> = contexts.parts.iter().collect();
        rows.sort_by_key(|(value, figures)| {
            let bytes = self.metric.of(figures).bytes;
            (value.is_none(), std::cmp::Reverse(bytes))
        });
        for (value_of_key, figures) in rows {
            let name = match value_of_key {
                Some(name) => escape(name).into_owned(),
                None => format!("(no {})", escape(&contexts.key)),
            };
            writeln!(
                out,
                "{:>12} {:>12} {:>12} {:>10}  {name}",
                value(Metric::Live, figures.live),
                value(Metric::Peak, figures.at_peak),
                value(Metric::Allocated, figures.allocated),
                format::blocks(Metric::Allocated.blocks(figures)),
            )?;
        }
        Ok(())
    }

    fn key(&self, key: &ContextKey, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "{:>12} {:>12} {:>12} {:>10} {:>9} {:>10} {:>10} {:>10} {:>10} {:>10} {:>16}  {TITLE}{}{TITLE:#}",
            "Live",
            "At peak",
            "Allocated",
            "Blocks",
            "Entered",
            "Mean",
            "p50",
            "p95",
            "p99",
            "Most",
            "Growth",
            escape(&key.key),
        )?;
        for row in key.rows.iter().take(self.top) {
            self.row(row, out)?;
        }
        if let Some(rest) = key.rows.get(self.top..).filter(|rest| !rest.is_empty()) {
            let mut sum = Figures::default();
            rest.iter().for_each(|row| sum.add(&row.figures));
            let name = format!("({} more)", rest.len());
            line(&sum, &Entries::default(), &name, out)?;
        }
        line(&key.none, &Entries::default(), &none(key, self.metric), out)?;
        crowded(key, out)
    }

    fn row(&self, row: &ContextRow, out: &mut dyn Write) -> io::Result<()> {
        let context = &row.context;
        let size = |bytes: Option<u64>| bytes.map(format::size).unwrap_or_default();
        let entries = Entries {
            count: Some(Count(context.entries).to_string()),
            mean: size(context.mean_in_entry()),
            quantiles: [0.5, 0.95, 0.99].map(|q| size(context.entry_bytes(q))),
            most: match context.entries {
                0 => String::new(),
                _ => format::size(context.most_in_entry),
            },
            growth: row.growth.map(growth).unwrap_or_default(),
        };
        line(&row.figures, &entries, &escape(&context.value), out)?;
        for place in &row.lines {
            self.place(place, out)?;
        }
        Ok(())
    }

    fn place(&self, place: &ContextLine, out: &mut dyn Write) -> io::Result<()> {
        let figure = value(self.metric, self.metric.of(&place.figures));
        let at = match place.line {
            Some(line) => format!("{} ({}:{line})", place.function, place.file),
            None => place.function.clone(),
        };
        let indent = match self.metric {
            Metric::Live => 0,
            Metric::Peak => 13,
            _ => 26,
        };
        writeln!(out, "{:indent$}{figure:>12}  {}", "", escape(&at))
    }
}

/// What is known of the entries of a context.
#[derive(Default)]
struct Entries {
    count: Option<String>,
    mean: String,
    quantiles: [String; 3],
    most: String,
    growth: String,
}

fn line(figures: &Figures, entries: &Entries, name: &str, out: &mut dyn Write) -> io::Result<()> {
    let [p50, p95, p99] = &entries.quantiles;
    writeln!(
        out,
        "{:>12} {:>12} {:>12} {:>10} {:>9} {:>10} {p50:>10} {p95:>10} {p99:>10} {:>10} {:>16}  {name}",
        value(Metric::Live, figures.live),
        value(Metric::Peak, figures.at_peak),
        value(Metric::Allocated, figures.allocated),
        format::blocks(Metric::Allocated.blocks(figures)),
        entries.count.as_deref().unwrap_or_default(),
        entries.mean,
        entries.most,
        entries.growth,
    )
}

/// What was done in no context of a key, and how much of the whole that is.
pub(super) fn none(key: &ContextKey, metric: Metric) -> String {
    let share = key.share_of_none(metric) * 100.0;
    format!(
        "(no {}: {share:.0} % {})",
        escape(&key.key),
        of_what(metric)
    )
}

/// Warns of a key with a value for each request.
pub(super) fn crowded(key: &ContextKey, out: &mut dyn Write) -> io::Result<()> {
    if !key.is_crowded {
        return Ok(());
    }
    writeln!(
        out,
        "Note: {} has {} values, hardly one of them entered more than a few times. A key should have few values, \
         such as routes; not one for each request.",
        escape(&key.key),
        key.rows.len()
    )
}

fn growth(growth: Bytes) -> String {
    match growth.bytes {
        0 => String::new(),
        bytes if bytes > 0 => format!("+{}/s", format::bytes(bytes)),
        bytes => format!("{}/s", format::bytes(bytes)),
    }
}

fn of_what(metric: Metric) -> &'static str {
    match metric {
        Metric::Live => "of what is live",
        Metric::Peak => "of the peak",
        Metric::Freed => "of what was freed",
        Metric::Count => "of the blocks",
        _ => "of what was allocated",
    }
}

fn of_layer(saw: LayerSaw) -> &'static str {
    match saw {
        LayerSaw::NoSpan => {
            "the program has a ContextLayer, and no span has come to it: a filter in front of all layers, such as \
             LevelFilter::INFO, hides them; put it on the other layers alone (with_filter)"
        }
        LayerSaw::NoField => {
            "the program has a ContextLayer, and no span had one of its fields: are their names those of the spans?"
        }
    }
}
