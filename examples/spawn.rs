//! Runs the program named by its arguments and passes its exit code on: a recorded program that
//! starts others.

use std::process::{Command, ExitCode};

use profiler_alloc::ProfilerAlloc;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let program = arguments.next().expect("a program to run");
    let status = Command::new(program)
        .args(arguments)
        .status()
        .expect("it runs");
    ExitCode::from(
        status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or(1),
    )
}
