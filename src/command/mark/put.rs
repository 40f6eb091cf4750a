//! Asking the program, and saying where the mark is.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use super::MarkArgs;
use crate::attach::{RunningProcess, Wish};
use crate::command::asked::{say, settled};

/// Has the mark taken.
pub fn run(args: MarkArgs) -> anyhow::Result<ExitCode> {
    let process = RunningProcess::open(args.pid)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register(signal, Arc::clone(&stop))?;
    }
    let path = settled(&process, &Wish::Mark(args.name.clone()), &stop)?;
    say(&format!(
        "marked {:?} in {}: see `memprof report --at`, `memprof leaks --since`",
        args.name,
        path.display()
    ));
    Ok(ExitCode::SUCCESS)
}
