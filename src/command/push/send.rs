//! Making what is sent, and sending it.

use std::process::ExitCode;

use super::PushArgs;
use crate::export::Pprof;
use crate::push::{Target, push};
use crate::report::Metric;

pub fn run(args: PushArgs) -> anyhow::Result<ExitCode> {
    let calls = args.input.load()?.calls();
    let mut pprof = Vec::new();
    Pprof {
        default: Metric::Live,
    }
    .export(&calls, &mut pprof)?;
    let target = Target {
        url: args.to,
        name: (args.name).unwrap_or_else(|| calls.recording.program.clone()),
        labels: args.label,
    };
    push(&target, &calls.recording, &pprof)?;
    eprintln!("memprof: pushed {} bytes to {}", pprof.len(), target.url);
    Ok(ExitCode::SUCCESS)
}
