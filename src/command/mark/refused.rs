//! Where programs cannot be recorded.

use std::process::ExitCode;

use anyhow::bail;

use super::MarkArgs;

/// Says so.
pub fn run(_: MarkArgs) -> anyhow::Result<ExitCode> {
    bail!(
        "programs are recorded on Linux alone; marks of profiles that were recorded there are shown here"
    )
}
