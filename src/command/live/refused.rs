//! Where there is no terminal to draw on.

use std::process::ExitCode;

use anyhow::bail;

use super::LiveArgs;

/// Says so, and what to do instead.
pub fn run(_: LiveArgs) -> anyhow::Result<ExitCode> {
    bail!(
        "`memprof live` needs a terminal of its own and threads, which WASI does not have; `memprof summary FILE` and \
         `memprof report FILE` show the profile as it is now"
    )
}
