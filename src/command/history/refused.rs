//! Without SQLite.

use std::process::ExitCode;

use anyhow::bail;

use super::HistoryArgs;

/// Says so, and what to do instead.
pub fn act(_: HistoryArgs) -> anyhow::Result<ExitCode> {
    bail!(
        "this memprof was built without the feature `history`: SQLite needs a C compiler for the target; `memprof diff OLD NEW` \
         compares two profiles"
    )
}
