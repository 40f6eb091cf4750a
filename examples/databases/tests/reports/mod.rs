//! The reports of queries that tests make, each found by its label.

use std::sync::{LazyLock, Mutex};

use profiler_alloc::measure::{Output, QueryReport, Report, set_output};

static REPORTS: LazyLock<Mutex<Vec<Report>>> = LazyLock::new(|| {
    set_output(Output::callback(|report| {
        REPORTS.lock().unwrap().push(report.clone());
    }));
    Mutex::default()
});

/// Keeps reports from now on.
pub fn keep() {
    LazyLock::force(&REPORTS);
}

/// All reports with that label so far, which are forgotten then.
pub fn take(label: &str) -> Vec<Report> {
    let mut reports = REPORTS.lock().unwrap();
    let is_meant = |report: &mut Report| match report {
        Report::Query(report) => report.label == label,
        Report::QuerySummary(report) => report.label == label,
        Report::Ram(report) => report.label == label,
        Report::Elapsed(report) => report.label == label,
        _ => false,
    };
    reports.extract_if(.., is_meant).collect()
}

/// The reports of queries with that label.
pub fn queries(label: &str) -> Vec<QueryReport> {
    let of_queries = |report| match report {
        Report::Query(report) => Some(report),
        _ => None,
    };
    take(label).into_iter().filter_map(of_queries).collect()
}

/// The one report of queries with that label.
pub fn one(label: &str) -> QueryReport {
    let mut reports = queries(label);
    assert_eq!(reports.len(), 1, "{label}: {reports:#?}");
    reports.remove(0)
}

/// The line of `file` that holds `text` first.
pub fn line_of(file: &str, text: &str) -> u32 {
    let mark = format!("// {text}");
    let at = file.lines().position(|line| line.ends_with(&mark));
    at.unwrap_or_else(|| panic!("no line ends with `{mark}`")) as u32 + 1
}

/// The SQL of each query, without values.
pub fn statements(report: &QueryReport) -> Vec<&str> {
    report
        .queries
        .iter()
        .map(|query| &*query.normalised)
        .collect()
}
