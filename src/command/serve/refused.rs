//! Where there are no sockets.

use std::process::ExitCode;

use anyhow::bail;

use super::ServeArgs;

/// Says so, and what to do instead.
pub fn run(_: ServeArgs) -> anyhow::Result<ExitCode> {
    bail!(
        "`memprof serve` needs sockets, which WASI does not have; `memprof export --format pprof -o heap.pb.gz` writes what \
         it would serve"
    )
}
