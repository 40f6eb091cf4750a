//! The program's process: starts it, passes signals on to it, waits for its end.
//!
//! memprof must outlive the program to say what was recorded, and must be invisible meanwhile:
//!
//! ```text
//! Ctrl-C, Ctrl-\, window size, hang-up ──> kernel ──┬─> the program   in the same process group
//!                                                   └─> memprof       does nothing
//! kill PID-OF-MEMPROF ────────────────────────────────> memprof ──> the program
//! ```
//!
//! Stop signals are left alone: the terminal stops and continues the whole process group.

use std::ffi::c_int;
use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use signal_hook::flag::register_conditional_default;
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::origin::WithOrigin;
use signal_hook::low_level::siginfo::{Cause, Origin};

const PASSED_ON: [c_int; 7] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH];

/// Runs `command` to its end, passing on the signals that are sent to this process meanwhile. Gives
/// its process number too.
///
/// # Errors
/// Those of starting the program and of watching signals.
pub fn run(command: &mut Command) -> io::Result<(ExitStatus, u32)> {
    let ended = Arc::new(AtomicBool::new(false));
    let mut signals = watch(&ended)?;
    let mut child = command.spawn()?;
    let status = loop {
        for origin in signals.wait() {
            pass_on(&origin, &child);
        }
        if let Some(status) = child.try_wait()? {
            break status;
        }
    };
    ended.store(true, Ordering::Relaxed);
    Ok((status, child.id()))
}

/// The exit code for how a program ended: its own, or 128 plus the signal that killed it, as shells
/// count.
pub fn exit_code(status: ExitStatus) -> u8 {
    let code = match status.signal() {
        Some(signal) => 128 + signal,
        None => status.code().unwrap_or(1),
    };
    // The system keeps eight bits of an exit code, and signals end at 64.
    code as u8
}

/// Catches what is passed on, and the child's end. Once `ended` is set, signals do again what they
/// do by default.
fn watch(ended: &Arc<AtomicBool>) -> io::Result<SignalsInfo<WithOrigin>> {
    let ignored = ignored_signals();
    let passed_on = PASSED_ON
        .into_iter()
        // What nohup or a shell's `&` had us ignore, the program must inherit as ignored: a handler
        // would undo that.
        .filter(|signal| ignored >> (signal - 1) & 1 == 0);
    let mut watched = vec![SIGCHLD];
    for signal in passed_on {
        register_conditional_default(signal, Arc::clone(ended))?;
        watched.push(signal);
    }
    SignalsInfo::new(watched)
}

/// The set of signals ignored by this process, signal n at bit n - 1; empty where the system does
/// not tell.
fn ignored_signals() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        .unwrap_or(0)
}

fn pass_on(origin: &Origin, child: &Child) {
    let child = Pid::from_child(child);
    let sender = origin.process.map(|process| process.pid);
    let from_terminal = matches!(origin.cause, Cause::Kernel);
    // A program that signals its own group (`kill 0`) has had the signal already.
    let from_child = sender == Some(child.as_raw_nonzero().get());
    if origin.signal == SIGCHLD || from_terminal || from_child {
        return;
    }
    if let Some(signal) = Signal::from_named_raw(origin.signal) {
        // It can only fail because the program has ended, which the next wait finds out.
        let _ = kill_process(child, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_a_shell() {
        let code =
            |script: &str| exit_code(run(Command::new("/bin/sh").args(["-c", script])).unwrap().0);
        assert_eq!(code("exit 0"), 0);
        assert_eq!(code("exit 255"), 255);
        assert_eq!(code("kill -KILL $$"), 137);
    }

    #[test]
    fn a_program_that_cannot_start_is_an_error() {
        let error = run(&mut Command::new("/no/such/program")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
