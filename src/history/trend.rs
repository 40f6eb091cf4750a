//! How a figure of the whole program, of a function, a line or a context developed over the runs.

use rusqlite::{Connection, params};

use super::shape::SavedFigures;
use crate::report::Metric;

/// What to follow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trend {
    /// The figure.
    pub metric: Metric,
    /// Of what.
    pub subject: Subject,
}

/// What has the figure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Subject {
    /// The whole process, from exact counters.
    Whole,
    /// The function of this name.
    Function(String),
    /// The line with this text in a function, wherever it moved to. Several with one text are added
    /// up.
    Line {
        /// Name of the function.
        function: String,
        /// Text of the line, without indentation.
        contents: String,
    },
    /// What was done in a context.
    Context {
        /// The key.
        key: String,
        /// Its value. `None`: no context of the key was in force.
        value: Option<String>,
    },
}

/// A figure in one run.
#[derive(Clone, PartialEq, Debug)]
pub struct Point {
    /// Number of the run.
    pub run: i64,
    /// When it was recorded, nanoseconds since 1970 (UTC).
    pub started_unix_ns: u64,
    /// Commit of the source; empty if unknown.
    pub commit: String,
    /// Bytes, or blocks; `None` if the run does not have it.
    pub value: Option<i64>,
    /// Standard error of the value.
    pub standard_error: f64,
}

pub(super) fn points(connection: &Connection, trend: &Trend) -> rusqlite::Result<Vec<Point>> {
    let mut runs = connection.prepare(
        "SELECT id, started_unix_ns, commit_id, peak, heap, alloc_bytes, freed_bytes, allocs + reallocs
         FROM runs ORDER BY id",
    )?;
    let points = runs.query_map([], |row| {
        let whole = match trend.metric {
            Metric::Peak => Some(row.get::<_, i64>(3)?),
            Metric::Live => Some(row.get(4)?),
            Metric::Allocated => Some(row.get(5)?),
            Metric::Freed => Some(row.get(6)?),
            Metric::Increment => Some(row.get::<_, i64>(5)? - row.get::<_, i64>(6)?),
            Metric::Count => Some(row.get(7)?),
            Metric::Temporary | Metric::Reallocated => None,
        };
        Ok(Point {
            run: row.get(0)?,
            started_unix_ns: row.get::<_, i64>(1)? as u64,
            commit: row.get(2)?,
            value: whole,
            standard_error: 0.0,
        })
    })?;
    let mut points: Vec<Point> = points.collect::<rusqlite::Result<_>>()?;
    let mut query = match &trend.subject {
        Subject::Whole => return Ok(points),
        Subject::Function(_) => {
            connection.prepare("SELECT figures FROM functions WHERE run = ?1 AND name = ?2")?
        }
        Subject::Line { .. } => connection.prepare(
            "SELECT lines.figures FROM lines JOIN functions ON functions.id = lines.function
             WHERE functions.run = ?1 AND functions.name = ?2 AND trim(lines.contents) = ?3
                 AND lines.figures IS NOT NULL",
        )?,
        Subject::Context { .. } => connection
            .prepare("SELECT figures FROM contexts WHERE run = ?1 AND key = ?2 AND value IS ?3")?,
    };
    for point in &mut points {
        let texts = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
        let found: Vec<String> = match &trend.subject {
            Subject::Line { function, contents } => query
                .query_map(params![point.run, function, contents], texts)?
                .collect::<rusqlite::Result<_>>()?,
            Subject::Function(name) => query
                .query_map(params![point.run, name], texts)?
                .collect::<rusqlite::Result<_>>()?,
            Subject::Context { key, value } => query
                .query_map(params![point.run, key, value], texts)?
                .collect::<rusqlite::Result<_>>()?,
            Subject::Whole => Vec::new(),
        };
        let figures = found
            .iter()
            .filter_map(|text| serde_json::from_str::<SavedFigures>(text).ok());
        let values: Vec<_> = figures
            .map(|figures| trend.metric.of(&figures.into()))
            .collect();
        let sum = values
            .iter()
            .fold(0_i64, |sum, value| sum.saturating_add(value.bytes));
        point.value = (!values.is_empty()).then_some(sum);
        point.standard_error =
            (values.iter()).fold(0.0, |sum: f64, value| sum.hypot(value.standard_error));
    }
    Ok(points)
}
