//! What stands below the tables of a report: what was left out, how it was sampled, what went
//! wrong.

use std::io::{self, Write};

use crate::render::footer::{faults, sampling};
use crate::render::format;
use crate::render::style::GAP_MARK;
use crate::report::{Basis, NOISE, Report, Scope, State};

/// Writes it.
pub(super) fn footer(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    if report.recording.state == State::Recording {
        writeln!(out, "The program still runs, or was killed.")?;
    }
    if report.basis == Basis::Counters {
        writeln!(out, "Exact: counted between the statements.")?;
        return faults(&report.unattributed, &report.losses, &report.defects, out);
    }
    left_out(report, out)?;
    sampling(&report.sampling, &report.losses, out)?;
    if !report.sampling.exact {
        let percent = NOISE * 100.0;
        writeln!(
            out,
            "`~` marks figures whose standard error is above {percent:.0} %."
        )?;
    }
    if report.elsewhere.allocated.bytes != 0 {
        let whose = match report.scope {
            Scope::User => {
                "function of the program's own source on the stack (`--all` shows all functions)"
            }
            Scope::All => "known function on the stack",
        };
        writeln!(
            out,
            "Elsewhere: {} allocated with no {whose}; {} of it live.",
            format::bytes(report.elsewhere.allocated.bytes),
            format::bytes(report.elsewhere.live.bytes),
        )?;
    }
    faults(&report.unattributed, &report.losses, &report.defects, out)
}

/// Says what does not stand above, and how to see it.
fn left_out(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    if let Some(left_out) = report.left_out {
        let (functions, hold, them) = match left_out.functions {
            1 => ("1 more function".to_owned(), "holds", "it"),
            more => (
                format!("{} more functions", format::count(more as i64)),
                "hold",
                "them",
            ),
        };
        writeln!(
            out,
            "Left out: {functions}, which {hold} {} of the peak and {} of the bytes allocated; `--all-functions` shows {them}.",
            share(left_out.of_peak),
            share(left_out.of_allocated),
        )?;
    }
    if report.tables.iter().any(|table| !table.gaps.is_empty()) {
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
