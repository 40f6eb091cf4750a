//! `memprof serve`: the live profiles of running programs, for tools that scrape pprof.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use super::load;
use crate::serve::Server;
use crate::source::Places;

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
pub struct ServeArgs {
    /// Serve these profiles, of running or finished programs [default: the newest *.memprof in this
    /// folder]
    files: Vec<PathBuf>,
    /// Listen on this address; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6060")]
    listen: SocketAddr,
}

pub fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let mut files = args.files;
    if files.is_empty() {
        files.push(load::newest(".".as_ref())?);
    }
    for file in &files {
        // Better said now than to the first who asks.
        crate::profile::read(file)?;
    }
    let places = Places {
        current_dir: load::current_dir()?,
        ..Places::default()
    };
    let count = files.len();
    let server = Server::bind(args.listen, files, places)?;
    let address = server.address();
    let prefix = if count == 1 { "" } else { "/1" };
    eprintln!("memprof: serving {count} profiles on http://{address}/ until interrupted");
    if !address.ip().is_loopback() {
        eprintln!(
            "memprof: everybody who can reach {address} can read function names, paths and memory figures of the program"
        );
    }
    eprintln!("memprof: next: go tool pprof http://{address}{prefix}/debug/pprof/heap");
    server.run();
    Ok(ExitCode::SUCCESS)
}
