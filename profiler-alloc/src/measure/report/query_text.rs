//! The report of queries as text, in the layout of its ancestor.

use std::fmt;

use super::query::{Finding, Query, QueryReport, QuerySummary};
use crate::measure::queries::model::Source;
use crate::measure::words::{self, sanitized};

/// Findings shown of each kind, and numbers of queries shown of each.
const SHOWN: usize = 10;

/// Length up to which a statement is shown where it stands beside a finding.
const SHORT: usize = 120;

impl fmt::Display for QueryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "===== {} called query check =====",
            sanitized(&self.label)
        )?;
        for (index, query) in self.queries.iter().take(self.shown).enumerate() {
            writeln!(f, "CALLED QUERY :: [{index}]")?;
            query.write(f, self.has_values)?;
            writeln!(f, "=====")?;
        }
        let more = self.queries.len().saturating_sub(self.shown);
        if more > 0 {
            writeln!(f, "CALLED QUERY :: … {more} more, which count below")?;
        }
        if self.lost > 0 {
            let lost = self.lost;
            writeln!(f, "CALLED QUERY :: … {lost} more, too many to keep")?;
        }
        self.foot(f)
    }
}

impl Query {
    fn write(&self, f: &mut fmt::Formatter<'_>, has_values: bool) -> fmt::Result {
        let sql = match has_values {
            true => self.text(),
            false => &self.normalised,
        };
        writeln!(f, "CALLED QUERY :: query: {}", sanitized(sql))?;
        match self.elapsed_ns {
            Some(ns) => writeln!(f, "CALLED QUERY :: executed time: {}", time(ns))?,
            None if self.source == Source::Sqlite => {
                writeln!(f, "CALLED QUERY :: executed time: not over yet")?;
            }
            None => writeln!(f, "CALLED QUERY :: executed time: not told")?,
        }
        if let Some(rows) = self.rows {
            writeln!(f, "CALLED QUERY :: rows: {rows}")?;
        }
        writeln!(
            f,
            "CALLED QUERY :: line: {}",
            sanitized(&self.place.to_string())
        )?;
        if let Some(bytes) = self.allocated {
            let bytes = match bytes {
                0 => "0 B".to_owned(),
                _ => words::table_bytes(bytes as i64, 1),
            };
            writeln!(f, "CALLED QUERY :: heap allocated: {bytes}")?;
        }
        if self.failed == Some(true) {
            writeln!(f, "CALLED QUERY :: failed")?;
        }
        for step in &self.plan {
            writeln!(f, "CALLED QUERY :: plan: {}", sanitized(step))?;
        }
        Ok(())
    }
}

impl QueryReport {
    fn foot(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = &self.findings;
        writeln!(f, "QUERIES :: count: {}", self.count())?;
        writeln!(f, "QUERIES :: total time: {} sec", time(self.total_ns()))?;
        if self.inner_calls > 0 {
            let calls = self.inner_calls;
            writeln!(f, "QUERIES :: calls inside this one, counted here: {calls}")?;
        }
        let unknown = self.queries.iter().filter(|query| query.key.is_none());
        let duplicates = match unknown.count() {
            0 => String::new(),
            unknown => format!(" (the values of {unknown} are not known)"),
        };
        repeated(f, "duplicates", &found.duplicates, &duplicates)?;
        repeated(f, "similar", &found.similar, "")?;
        let without = self.queries.iter().filter(|query| !query.place.is_exact);
        let lines = match without.count() {
            0 => String::new(),
            count => format!(" (the lines of {count} are not known)"),
        };
        repeated(f, "N+1", &found.n_plus_one, &lines)?;
        let is_told =
            |tells: fn(&Query) -> bool| self.queries.is_empty() || self.queries.iter().any(tells);
        match is_told(|query| query.full_scan.is_some()) {
            true => numbers(f, "full scans", &found.full_scans)?,
            false => writeln!(f, "QUERIES :: full scans: not told")?,
        }
        let slow = format!("slow (from {} sec)", time(self.slow_ns));
        numbers(f, &slow, &found.slow)?;
        match is_told(|query| query.failed.is_some()) {
            true => numbers(f, "failed", &found.failed)?,
            false => writeln!(f, "QUERIES :: failed: not told")?,
        }
        of_libraries(f, &self.of_libraries)
    }
}

fn repeated(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    findings: &[Finding],
    note: &str,
) -> fmt::Result {
    // The first run of each was needed.
    let extra: usize = findings
        .iter()
        .map(|finding| finding.queries.len() - 1)
        .sum();
    writeln!(f, "QUERIES :: {name}: {extra}{note}")?;
    for finding in findings.iter().take(SHOWN) {
        let times = finding.queries.len();
        let sql = shortened(&sanitized(&finding.normalised));
        write!(f, "QUERIES ::   {times} times ")?;
        match finding.place {
            Some(place) => write!(f, "from {}", sanitized(&place.to_string()))?,
            None => write!(f, "{}", indexes(&finding.queries))?,
        }
        writeln!(f, ": {sql}")?;
    }
    let more = findings.len().saturating_sub(SHOWN);
    if more > 0 {
        writeln!(f, "QUERIES ::   … {more} more")?;
    }
    Ok(())
}

/// What libraries ran for themselves, each statement once.
fn of_libraries(f: &mut fmt::Formatter<'_>, queries: &[Query]) -> fmt::Result {
    if queries.is_empty() {
        return Ok(());
    }
    let count = queries.len();
    writeln!(
        f,
        "QUERIES :: run by libraries for themselves, not counted above: {count}"
    )?;
    let mut known: Vec<(&Query, usize)> = Vec::new();
    for query in queries {
        match known
            .iter_mut()
            .find(|(other, _)| other.shape == query.shape)
        {
            Some((_, times)) => *times += 1,
            None => known.push((query, 1)),
        }
    }
    for (query, times) in known.iter().take(SHOWN) {
        let sql = shortened(&sanitized(&query.normalised));
        writeln!(f, "QUERIES ::   {times} times: {sql}")?;
    }
    match known.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => writeln!(f, "QUERIES ::   … {more} more"),
    }
}

fn numbers(f: &mut fmt::Formatter<'_>, name: &str, queries: &[usize]) -> fmt::Result {
    match queries.len() {
        0 => writeln!(f, "QUERIES :: {name}: 0"),
        count => writeln!(f, "QUERIES :: {name}: {count} {}", indexes(queries)),
    }
}

/// `[0] [3] …`
fn indexes(queries: &[usize]) -> String {
    let shown = queries.iter().take(SHOWN);
    let mut text: Vec<String> = shown.map(|index| format!("[{index}]")).collect();
    if queries.len() > SHOWN {
        text.push("…".to_owned());
    }
    text.join(" ")
}

fn shortened(sql: &str) -> String {
    match sql.char_indices().nth(SHORT) {
        Some((end, _)) => format!("{}…", &sql[..end]),
        None => sql.to_owned(),
    }
}

/// Seconds to the microsecond.
fn time(ns: u64) -> String {
    format!("{:.6}", ns as f64 / 1e9)
}

impl fmt::Display for QuerySummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (queries, ns) = (&self.queries, &self.time_ns);
        let seconds = |ns: i64| time(ns.unsigned_abs());
        writeln!(
            f,
            "===== {} called query summary =====",
            sanitized(&self.label)
        )?;
        writeln!(f, "QUERIES :: calls:  {}", queries.count)?;
        let columns = [
            ("min", queries.min, ns.min),
            ("median", queries.median, ns.median),
            ("max", queries.max, ns.max),
            ("total", queries.total, ns.total),
        ];
        for (name, count, ns) in columns {
            let name = format!("{name}:");
            writeln!(
                f,
                "QUERIES :: {name:<7} {count} queries, {} sec",
                seconds(ns)
            )?;
        }
        writeln!(
            f,
            "QUERIES :: calls with N+1: {}",
            self.calls_with_n_plus_one
        )?;
        for (sql, times) in &self.statements {
            let sql = shortened(&sanitized(sql));
            writeln!(f, "QUERIES ::   {times} times: {sql}")?;
        }
        Ok(())
    }
}
