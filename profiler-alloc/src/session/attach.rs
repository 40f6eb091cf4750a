//! What another process of the same user may ask of this one: to begin a recording, to end it,
//! and to keep the heap of a moment.
//!
//! The first thread that sees the request, on its slow path, does as it says; the others go on.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use profiler_alloc_format::control;
use profiler_alloc_format::env::{self, Forks};
use profiler_alloc_format::moments::MAX_NAME_LEN;

use super::Recorder;
use super::control_page;
use crate::ffi::memory::OwnedBytes;
use crate::ffi::os;
use crate::profile_file::store::OpenFailure;
use crate::session;
use crate::session::settings::Settings;
use crate::session::start::{self, Refusal};

/// The process in which a thread is answering; 0 where none is. The number in a forked child is its
/// parent's.
static ANSWERING: AtomicU32 = AtomicU32::new(0);
/// The recording that a request began.
static ATTACHED: AtomicU64 = AtomicU64::new(0);

/// Does what is asked, unless another thread does.
#[cold]
#[inline(never)]
pub fn answer() {
    let process = os::process_id();
    if ANSWERING.swap(process, Ordering::Acquire) == process {
        return;
    }
    let page = control_page::cells();
    let asked = page.asked.load(Ordering::Acquire);
    if asked != page.answered.load(Ordering::Relaxed) {
        if page.asked_of.load(Ordering::Relaxed) == process {
            let (answer, error) = settle();
            page.error.store(error, Ordering::Relaxed);
            page.answer.store(answer, Ordering::Relaxed);
        }
        page.answered.store(asked, Ordering::Release);
    }
    ANSWERING.store(0, Ordering::Release);
}

/// The answer, and a number of the system's with it.
fn settle() -> (u32, u32) {
    match control_page::cells().request.load(Ordering::Relaxed) {
        control::BEGIN => begin(),
        control::END => end(),
        control::MARK => mark(),
        _ => (control::UNKNOWN, 0),
    }
}

fn begin() -> (u32, u32) {
    // What the program prints is its own: it has not asked to be recorded.
    os::keep_off_stderr();
    let Some(mut text) = OwnedBytes::zeroed(control::TEXT_LEN) else {
        return (control::NO_MEMORY, 0);
    };
    control_page::cells().copy_text(&mut text);
    let text = text.leak();
    let variable = |name: &str| value(text, name);
    let Some(pattern) = variable(env::OUTPUT) else {
        return (control::UNKNOWN, 0);
    };
    let settings = Settings {
        // One process was asked for, and one is asked to end it.
        forks: Forks::Left,
        ..Settings::from(variable)
    };
    match start::start(pattern, &settings) {
        Ok(recorder) => {
            ATTACHED.store(recorder.generation, Ordering::Relaxed);
            (control::DONE, say_path(recorder))
        }
        Err(refusal) => refused(refusal),
    }
}

fn end() -> (u32, u32) {
    let attached = ATTACHED.load(Ordering::Relaxed);
    let active = session::current().filter(|recorder| recorder.is_ours());
    match active.filter(|recorder| recorder.generation == attached) {
        Some(recorder) => {
            recorder.stop();
            (control::DONE, say_path(recorder))
        }
        None => (control::NOT_ATTACHED, 0),
    }
}

fn mark() -> (u32, u32) {
    let Some(recorder) = session::current().filter(|recorder| recorder.is_ours()) else {
        return (control::NOT_RECORDING, 0);
    };
    let mut text = [0; MAX_NAME_LEN];
    control_page::cells().copy_text(&mut text);
    let name = text.split(|&byte| byte == 0).next().unwrap_or_default();
    match recorder.mark(name) {
        true => (control::DONE, say_path(recorder)),
        false => (control::NO_MORE_MARKS, 0),
    }
}

fn refused(refusal: Refusal) -> (u32, u32) {
    match refusal {
        Refusal::AlreadyRecording => {
            let error = session::current().map_or(0, say_path);
            (control::RECORDING_ALREADY, error)
        }
        Refusal::Privileged => (control::PRIVILEGED, 0),
        Refusal::Memory => (control::NO_MEMORY, 0),
        Refusal::PathTooLong => (control::NO_FILE, os::NAME_TOO_LONG as u32),
        Refusal::File(OpenFailure::Exists) => (control::NO_FILE, 0),
        Refusal::File(
            OpenFailure::Create(error) | OpenFailure::Reserve(error) | OpenFailure::Map(error),
        ) => (control::NO_FILE, error as u32),
        Refusal::NeedsLinux => (control::UNKNOWN, 0),
    }
}

/// Answers with the path of the profile; of one that is too long for the page, with none.
fn say_path(recorder: &Recorder) -> u32 {
    if !control_page::cells().put_text(recorder.path()) {
        control_page::cells().put_text(b"");
    }
    0
}

/// The value of `name` in `text`: `NAME=value` for each, ended by a zero.
fn value(text: &'static [u8], name: &str) -> Option<&'static [u8]> {
    text.split(|&byte| byte == 0)
        .find_map(|line| line.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_by_their_whole_name() {
        let text = b"MEMPROF_SAMPLE_X=1\0MEMPROF_SAMPLE=all\0MEMPROF_OWN=\0\0\0";
        assert_eq!(value(text, env::SAMPLE), Some(&b"all"[..]));
        assert_eq!(value(text, env::OWN), Some(&b""[..]));
        assert_eq!(value(text, env::GRANT_MS), None);
    }
}
