//! The example of the README: its report, to the word.

#![forbid(unsafe_code)]

#[path = "../examples/pre_allot_offering.rs"]
mod pre_allot_offering;

use std::sync::mpsc;

use profiler_alloc::measure::{Output, Report, set_output};

/// Times and bytes differ from run to run, and from one version of SQLite to the next.
fn without_figures(text: &str) -> String {
    let without = |line: &str| match line.rsplit_once(": ") {
        Some((name, _)) if name.ends_with("executed time") || name.ends_with("heap allocated") => {
            format!("{name}: …\n")
        }
        Some((name, _)) if name.ends_with("total time") => format!("{name}: … sec\n"),
        _ => format!("{line}\n"),
    };
    let text = text.replace("tests/../examples", "examples");
    text.lines().map(without).collect()
}

#[test]
fn an_offering_is_allotted_with_an_n_plus_one() {
    let (sender, reports) = mpsc::channel();
    set_output(Output::callback(move |report| {
        sender.send(report.clone()).unwrap()
    }));
    pre_allot_offering::main().unwrap();
    let Ok(Report::Query(report)) = reports.try_recv() else {
        panic!("no report of queries");
    };
    let expected = "\
===== pre_allot_offering called query check =====
CALLED QUERY :: [0]
CALLED QUERY :: query: SAVEPOINT s4377609600_x5
CALLED QUERY :: executed time: …
CALLED QUERY :: rows: 0
CALLED QUERY :: line: examples/databases/examples/pre_allot_offering.rs:16
CALLED QUERY :: heap allocated: …
=====
CALLED QUERY :: [1]
CALLED QUERY :: query: SELECT shares FROM offerings WHERE id = ?
CALLED QUERY :: executed time: …
CALLED QUERY :: rows: 1
CALLED QUERY :: line: examples/databases/examples/pre_allot_offering.rs:18
CALLED QUERY :: heap allocated: …
=====
CALLED QUERY :: [2]
CALLED QUERY :: query: SELECT id, investor, shares FROM subscriptions WHERE offering = ?
CALLED QUERY :: executed time: …
CALLED QUERY :: rows: 5
CALLED QUERY :: line: examples/databases/examples/pre_allot_offering.rs:19
CALLED QUERY :: heap allocated: …
=====
CALLED QUERY :: … 11 more, which count below
QUERIES :: count: 14
QUERIES :: total time: … sec
QUERIES :: duplicates: 0
QUERIES :: similar: 8
QUERIES ::   5 times [3] [5] [7] [9] [11]: SELECT max_shares FROM investors WHERE id = ?
QUERIES ::   5 times [4] [6] [8] [10] [12]: UPDATE subscriptions SET allotted = ? WHERE id = ?
QUERIES :: N+1: 4
QUERIES ::   5 times from examples/databases/examples/pre_allot_offering.rs:21: SELECT max_shares FROM investors WHERE id = ?
QUERIES :: full scans: 1 [2]
QUERIES :: slow (from 0.100000 sec): 0
QUERIES :: failed: not told
";
    assert_eq!(without_figures(&report.to_string()), expected);
    // The five rows, of 24 bytes.
    assert!(
        report.queries[2]
            .allocated
            .is_some_and(|bytes| bytes >= 5 * 24)
    );
}
