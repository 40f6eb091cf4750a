//! A profile with a leak after a higher peak, so that allocated, live and at peak all differ; and
//! its totals.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::built::{MEMPROF, text};
use crate::recording::Recording;

/// The profile.
pub fn leak() -> &'static Recording {
    static LEAK: OnceLock<Recording> = OnceLock::new();
    LEAK.get_or_init(|| Recording::of("leak", &["--sample", "all"]))
}

pub fn memprof(arguments: &[&str], profile: &Path) -> Vec<u8> {
    let output = (Command::new(MEMPROF).args(arguments).arg(profile))
        .output()
        .expect("memprof runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    output.stdout
}

/// Allocated, live and at peak, in bytes, as `memprof report` has them for the whole.
pub fn totals() -> [i64; 3] {
    let report = memprof(&["report", "--format", "json"], &leak().profile());
    let report: Value = serde_json::from_slice(&report).expect("JSON");
    let main = report["functions"].as_array().expect("functions").iter();
    let mut main = main.filter(|function| function["name"] == "leak::main");
    let parts = [
        &main.next().expect("leak::main")["total"],
        &report["elsewhere"],
        &report["unattributed"],
    ];
    let sum = |figure: &str| -> i64 {
        let figures = parts.iter().map(|part| part[figure].as_i64());
        figures.map(|figure| figure.expect("a figure")).sum()
    };
    let totals = ["allocated", "live", "peak"].map(sum);
    // Everything was recorded, so the stacks add up to the exact counters.
    let exact = report["recording"]["counters"]["alloc_bytes"].as_i64();
    assert_eq!(Some(totals[0]), exact);
    assert!(totals[0] > totals[2] && totals[2] > totals[1]);
    totals
}
