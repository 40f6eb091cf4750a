//! `memprof serve`: the live profiles of running programs, for tools that scrape pprof.

#[cfg_attr(target_family = "wasm", path = "serve/refused.rs")]
mod listen;

use std::net::SocketAddr;
use std::path::PathBuf;

/// Serve the live profiles of running programs to tools that scrape pprof.
///
/// A profile is current while its program runs, so any program recorded by memprof can be scraped
/// as if it had Go's /debug/pprof in it: `go tool pprof http://127.0.0.1:6060/debug/pprof/heap`,
/// Parca, Grafana's agents.
///
/// What it exposes: the names of functions and source files of the program, the paths of its
/// modules, and how much memory each took; no contents of memory, no arguments, no environment.
/// Everybody who can reach the address can read it, so it is that of this machine alone unless
/// --listen says otherwise.
#[derive(clap::Args, Debug)]
#[cfg_attr(
    target_family = "wasm",
    allow(dead_code, reason = "read where the command can run")
)]
pub struct ServeArgs {
    /// Serve these profiles, of running or finished programs [default: the newest *.memprof in this
    /// folder]
    files: Vec<PathBuf>,
    /// Listen on this address; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6060")]
    listen: SocketAddr,
}

pub use listen::run;
