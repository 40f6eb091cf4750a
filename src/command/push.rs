//! `memprof push`: a profile to a store that takes Pyroscope's ingest.

use std::process::ExitCode;

use super::load::Input;
use crate::export::Pprof;
use crate::push::{Target, push};
use crate::report::Metric;

/// Send a profile to Pyroscope, or to any store that takes its /ingest.
///
/// Sent are function names, source paths, module paths with build-ids, and memory figures; no
/// contents of memory, no arguments, no environment.
#[derive(clap::Args, Debug)]
pub struct PushArgs {
    #[command(flatten)]
    input: Input,
    /// Send it to the store at this address, such as http://127.0.0.1:4040
    #[arg(long, value_name = "URL")]
    to: String,
    /// Call the application so there [default: the program's]
    #[arg(long)]
    name: Option<String>,
    /// Add a label; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = label)]
    label: Vec<(String, String)>,
}

fn label(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

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
