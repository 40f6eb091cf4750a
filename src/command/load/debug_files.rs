//! Debug files from servers, if the environment names any: one set of answers for the whole run.

use std::io::Write;
use std::sync::LazyLock;

use crate::debuginfod::Debuginfod;
use crate::defect::Defect;
use crate::symbolize::Fetch;

static SERVERS: LazyLock<Option<Debuginfod>> =
    LazyLock::new(|| Debuginfod::of_environment(|name| std::env::var_os(name), tell));

pub fn fetch() -> Option<&'static dyn Fetch> {
    SERVERS.as_ref().map(|servers| servers as &dyn Fetch)
}

/// What went wrong since they were last taken.
pub fn take_defects() -> Vec<Defect> {
    (SERVERS.as_ref()).map_or(Vec::new(), Debuginfod::take_defects)
}

fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "memprof: {line}");
}
