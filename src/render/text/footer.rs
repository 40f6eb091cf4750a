//! What stands below the tables of a report: what was left out, how it was sampled, what went
//! wrong.

use std::io::{self, Write};

use crate::render::escape::escape;
use crate::render::footer::{but_killed, faults, noise, sampling};
use crate::render::format;
use crate::render::style::GAP_MARK;
use crate::report::{Basis, ContextGroup, ContextTables, Figures, LeftOut, Report, Scope, Table};

/// Writes it.
pub(super) fn footer(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    for words in but_killed(&report.recording) {
        writeln!(out, "{words}")?;
    }
    if report.basis == Basis::Counters {
        writeln!(out, "Exact: counted between the statements.")?;
        return faults(&report.unattributed, &report.losses, &report.defects, out);
    }
    left_out(report.left_out, out)?;
    gaps(&report.tables, out)?;
    of_sampling(report, out)?;
    elsewhere(&report.elsewhere, report.scope, out)?;
    faults(&report.unattributed, &report.losses, &report.defects, out)
}

/// What stands below the tables of one context, if there is anything to be said.
pub(super) fn of_group(
    group: &ContextGroup,
    scope: Scope,
    out: &mut dyn Write,
) -> io::Result<bool> {
    left_out(group.left_out, out)?;
    elsewhere(&group.elsewhere, scope, out)?;
    Ok(group.left_out.is_some() || group.elsewhere.allocated.bytes != 0)
}

/// What stands below the tables of all contexts.
pub(super) fn of_contexts(tables: &ContextTables, out: &mut dyn Write) -> io::Result<()> {
    let report = &tables.whole;
    for words in but_killed(&report.recording) {
        writeln!(out, "{words}")?;
    }
    if let Some(left_out) = tables.left_out {
        let key = escape(&tables.key);
        writeln!(
            out,
            "Left out: {}; `--context {key}=VALUE` shows one, `memprof contexts` lists them.",
            parts(left_out, "context"),
        )?;
    }
    let groups = tables.groups.iter();
    gaps(groups.flat_map(|group| &group.tables), out)?;
    of_sampling(report, out)?;
    faults(&report.unattributed, &report.losses, &report.defects, out)
}

fn of_sampling(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    sampling(&report.sampling, &report.losses, out)?;
    noise(&report.sampling, out)
}

fn elsewhere(elsewhere: &Figures, scope: Scope, out: &mut dyn Write) -> io::Result<()> {
    if elsewhere.allocated.bytes != 0 {
        let whose = match scope {
            Scope::User => {
                "function of the program's own source on the stack (`--all` shows all functions)"
            }
            Scope::All => "known function on the stack",
        };
        writeln!(
            out,
            "Elsewhere: {} allocated with no {whose}; {} of it live.",
            format::bytes(elsewhere.allocated.bytes),
            format::bytes(elsewhere.live.bytes),
        )?;
    }
    Ok(())
}

/// Says which functions do not stand above, and how to see them.
fn left_out(left_out: Option<LeftOut>, out: &mut dyn Write) -> io::Result<()> {
    if let Some(left_out) = left_out {
        let them = if left_out.count == 1 { "it" } else { "them" };
        let functions = parts(left_out, "function");
        writeln!(
            out,
            "Left out: {functions}; `--all-functions` shows {them}."
        )?;
    }
    Ok(())
}

/// `3 more functions, which hold 0.4 % of the peak and nothing of the bytes allocated`.
fn parts(left_out: LeftOut, what: &str) -> String {
    let (s, hold) = if left_out.count == 1 {
        ("", "holds")
    } else {
        ("s", "hold")
    };
    format!(
        "{} more {what}{s}, which {hold} {} of the peak and {} of the bytes allocated",
        format::count(left_out.count as i64),
        share(left_out.of_peak),
        share(left_out.of_allocated),
    )
}

/// Says what stands for lines that do not stand above.
fn gaps<'a>(tables: impl IntoIterator<Item = &'a Table>, out: &mut dyn Write) -> io::Result<()> {
    if tables.into_iter().any(|table| !table.gaps.is_empty()) {
        writeln!(
            out,
            "`{GAP_MARK}` stands for lines that touched no memory; `--lines all` shows them."
        )?;
    }
    Ok(())
}

/// `part` of 1 in percent: as small as it is, it is not called nothing.
fn share(part: f64) -> String {
    match part * 100.0 {
        0.0 => "nothing".to_owned(),
        percent if percent < 0.05 => "less than 0.1 %".to_owned(),
        percent => format!("{percent:.1} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_share_is_not_called_nothing() {
        let shares = [0.0, 0.0001, 0.0004, 0.0006, 0.1234].map(share);
        let words = [
            "nothing",
            "less than 0.1 %",
            "less than 0.1 %",
            "0.1 %",
            "12.3 %",
        ];
        assert_eq!(shares, words);
    }
}
