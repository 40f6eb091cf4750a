//! Asking the program, waiting for it, and the last lines.

use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use super::AttachArgs;
use crate::attach::{AttachError, RunningProcess, Wish};
use crate::command::asked::{LOOK, say, settled};
use crate::run::{ProfileOutput, Recorded, RunId, closing, note_sources};

/// Has the recording begin or end, and says what was recorded.
pub fn run(args: AttachArgs) -> anyhow::Result<ExitCode> {
    let process = RunningProcess::open(args.pid)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register(signal, Arc::clone(&stop))?;
    }
    if args.detach {
        let path = settled(&process, &Wish::End, &stop)?;
        close(&path);
        return Ok(ExitCode::SUCCESS);
    }
    let run_id = RunId::random();
    let (file, overwrite) = (args.recording.output.clone(), args.recording.overwrite);
    let output = ProfileOutput::prepare(file.as_deref(), overwrite, run_id)?;
    let request = args.recording.request(output.pattern(), run_id);
    let variables = request.variables().into_iter();
    let wish = Wish::Begin(
        variables
            .map(|(name, value)| (name, value.into_vec()))
            .collect(),
    );
    let path = settled(&process, &wish, &stop)?;
    if Recorded::read(&path, |header| header.run_id != run_id.get()).is_some() {
        bail!(
            "another `memprof attach` was faster: process {} is recorded into {}",
            process.pid,
            path.display()
        );
    }
    let RunningProcess { pid, name, .. } = &process;
    say(&format!(
        "recording process {pid} ({name}) into {}",
        path.display()
    ));
    let Some(time) = args.time else {
        say(&format!(
            "it ends with the program, or with: memprof attach --detach {pid}"
        ));
        return Ok(ExitCode::SUCCESS);
    };
    if wait(*pid, time, &stop) {
        stop.store(false, Ordering::Relaxed);
        match settled(&process, &Wish::End, &stop) {
            // With its own end, the recording has ended too.
            Ok(_) | Err(AttachError::Ended { .. } | AttachError::NoProcess { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    close(&path);
    Ok(ExitCode::SUCCESS)
}

/// Waits for `time`, or until the user stops it. False if the program has ended meanwhile.
fn wait(pid: u32, time: Duration, stop: &AtomicBool) -> bool {
    let end = Instant::now() + time;
    while Instant::now() < end && !stop.load(Ordering::Relaxed) {
        if matches!(
            RunningProcess::open(pid),
            Err(AttachError::Ended { .. } | AttachError::NoProcess { .. })
        ) {
            return false;
        }
        let left = end.saturating_duration_since(Instant::now());
        thread::sleep(left.min(10 * LOOK));
    }
    true
}

/// Says what was recorded.
fn close(path: &Path) {
    let Some(recorded) = Recorded::read(path, |_| true) else {
        say(&format!("recorded {}", path.display()));
        return;
    };
    note_sources(std::slice::from_ref(&recorded));
    let folder = std::env::current_dir().unwrap_or_default();
    for line in closing::recorded_lines(std::slice::from_ref(&recorded), 0, &folder) {
        say(&line);
    }
    say(&closing::next_line("report", &recorded, &folder));
}
