//! `memprof push`: a profile to a store that takes Pyroscope's ingest.

#[cfg_attr(target_family = "wasm", path = "push/refused.rs")]
mod send;

use super::load::Input;

/// Send a profile to Pyroscope, or to any store that takes its /ingest.
///
/// Sent are function names, source paths, module paths with build-ids, and memory figures; no
/// contents of memory, no arguments, no environment.
#[derive(clap::Args, Debug)]
#[cfg_attr(
    target_family = "wasm",
    allow(dead_code, reason = "read where the command can run")
)]
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

pub use send::run;
