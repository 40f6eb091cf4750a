//! Where programs cannot be recorded.

use std::process::ExitCode;

use anyhow::bail;

use super::CleanArgs;

/// Says so.
pub fn run(_: CleanArgs) -> anyhow::Result<ExitCode> {
    bail!(
        "programs are recorded on Linux alone, so whether one has ended is not known here: remove profiles yourself"
    )
}
