//! Where there are no sockets.

use std::process::ExitCode;

use anyhow::bail;

use super::PushArgs;

/// Says so, and what to do instead.
pub fn run(_: PushArgs) -> anyhow::Result<ExitCode> {
    bail!(
        "`memprof push` needs sockets, which WASI does not have; `memprof export --format pprof` writes what it would send, \
         for curl"
    )
}
