//! Where programs cannot be recorded.

use std::process::ExitCode;

use anyhow::bail;

use super::PsArgs;

/// Says so.
pub fn run(_: PsArgs) -> anyhow::Result<ExitCode> {
    bail!("programs are recorded on Linux alone, so there are none to list here")
}
