//! The `memprof` command: parses the command line, runs one subcommand, reports its error.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    memprof::command::main()
}
