//! Binding the address, and what is said before the first request.

use std::process::ExitCode;

use super::ServeArgs;
use crate::command::load;
use crate::command::many;
use crate::serve::Server;
use crate::source::Places;

pub fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let mut files = args.files;
    if files.is_empty() {
        files.push(many::newest(".".as_ref())?);
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
