//! Where no program is recorded.

use std::process::ExitCode;

use anyhow::bail;

use super::RunArgs;

/// Says so, and what to do instead.
pub fn run(_: RunArgs) -> anyhow::Result<ExitCode> {
    bail!(
        "`memprof run` needs Linux: programs are recorded there alone; record in a container or a virtual machine, and read \
         the profile here with `memprof report FILE`"
    )
}
