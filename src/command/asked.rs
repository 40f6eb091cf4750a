//! Waiting for what a running program is asked to do.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::attach::{Asking, AttachError, Outcome, RunningProcess, Wish};

/// Between two looks for the answer.
pub const LOOK: Duration = Duration::from_millis(5);
/// A program that has not seen the request by now does nothing at the moment.
const IDLE: Duration = Duration::from_millis(500);

/// Asks, and waits until the program has answered, or the user gives up; gives the profile's path.
pub fn settled(
    process: &RunningProcess,
    wish: &Wish,
    stop: &AtomicBool,
) -> Result<PathBuf, AttachError> {
    let asking = Asking::begin(process.clone(), wish)?;
    let mut idle = Some(Instant::now() + IDLE);
    loop {
        let outcome = match stop.load(Ordering::Relaxed) {
            true => asking.give_up()?,
            false => asking.look()?,
        };
        if let Outcome::Done(path) = outcome {
            return Ok(path);
        }
        if idle.is_some_and(|idle| Instant::now() > idle) {
            idle = None;
            say(&format!(
                "process {} ({}) allocates nothing at the moment: waiting until it next does (Ctrl-C gives up)",
                process.pid, process.name
            ));
        }
        thread::sleep(LOOK);
    }
}

/// Says a line on stderr.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr(), "memprof: {text}");
}
