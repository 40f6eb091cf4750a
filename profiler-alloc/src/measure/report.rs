//! What wrappers say, as values, and these as text and JSON. Nothing here knows how it is measured.

pub mod elapsed;
pub mod profile;
mod profile_text;
pub mod query;
mod query_text;
pub mod ram;

use std::fmt;

use self::elapsed::{ElapsedReport, ElapsedSummary};
use self::profile::ProfileReport;
use self::query::{QueryReport, QuerySummary};
use self::ram::{RamReport, RamSummary};

/// One report of one wrapper; its `Display` is the text that goes to stderr.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Report {
    /// The line table of a function.
    Profile(ProfileReport),
    /// Memory before and after a call.
    Ram(RamReport),
    /// Memory of many calls.
    RamSummary(RamSummary),
    /// Time of a call.
    Elapsed(ElapsedReport),
    /// Time of many calls.
    ElapsedSummary(ElapsedSummary),
    /// Queries of a call.
    Query(QueryReport),
    /// Queries of many calls.
    QuerySummary(QuerySummary),
}

impl Report {
    /// A copy of which the program may keep parts: nothing is shared that would be memprof's to
    /// free.
    pub(super) fn copy(&self) -> Report {
        match self {
            Report::Query(report) => Report::Query(report.copy()),
            Report::QuerySummary(report) => Report::QuerySummary(report.copy()),
            other => other.clone(),
        }
    }

    /// The report as one JSON object, on one line. `kind` says which report it is, `version` is 1.
    pub fn to_json(&self) -> String {
        match self {
            Report::Profile(report) => report.json(),
            Report::Ram(report) => report.json(),
            Report::RamSummary(report) => report.json(),
            Report::Elapsed(report) => report.json(),
            Report::ElapsedSummary(report) => report.json(),
            Report::Query(report) => report.json(),
            Report::QuerySummary(report) => report.json(),
        }
        .end()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Report::Profile(report) => report.fmt(f),
            Report::Ram(report) => report.fmt(f),
            Report::RamSummary(report) => report.fmt(f),
            Report::Elapsed(report) => report.fmt(f),
            Report::ElapsedSummary(report) => report.fmt(f),
            Report::Query(report) => report.fmt(f),
            Report::QuerySummary(report) => report.fmt(f),
        }
    }
}
