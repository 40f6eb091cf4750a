//! Where programs cannot be recorded.

use std::process::ExitCode;

use anyhow::bail;

use super::AttachArgs;

/// Says so, and what can be done here.
pub fn run(_: AttachArgs) -> anyhow::Result<ExitCode> {
    bail!(
        "programs are recorded on Linux alone; here the allocator counts, and profiles that were recorded elsewhere can be read"
    )
}
