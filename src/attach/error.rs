//! Why a program cannot be asked to record itself, and what to do about it.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why not.
#[derive(Debug, Error)]
pub enum AttachError {
    /// No `/proc`.
    #[error(
        "there is no /proc here, by which running programs are found; start the program with `memprof run` instead"
    )]
    NoProc,
    /// No such process.
    #[error("there is no process {pid}; `memprof ps` lists the programs that can be recorded")]
    NoProcess {
        /// Its number.
        pid: u32,
    },
    /// The process has ended, or runs another program now.
    #[error(
        "process {pid} has ended, or runs another program now; `memprof ps` lists what can be recorded"
    )]
    Ended {
        /// Its number.
        pid: u32,
    },
    /// Another user's.
    #[error(
        "process {pid} ({name}) is user {user}'s: only that user may have it recorded, or root"
    )]
    OtherUser {
        /// Its number.
        pid: u32,
        /// What it is called.
        name: String,
        /// Number of its user.
        user: u32,
    },
    /// It has more rights than its user.
    #[error(
        "process {pid} ({name}) runs with other rights than its user's (setuid, perhaps): such programs are not recorded"
    )]
    Privileged {
        /// Its number.
        pid: u32,
        /// What it is called.
        name: String,
    },
    /// It has no recorder.
    #[error(
        "process {pid} ({name}) does not have the recorder, so it cannot be recorded while it runs; start it with \
         `memprof run`, or build it with the crate (see docs/any_program.md)"
    )]
    NoRecorder {
        /// Its number.
        pid: u32,
        /// What it is called.
        name: String,
    },
    /// Nothing is recorded that a mark could be kept in.
    #[error(
        "process {pid} ({name}) is not recorded, so there is no profile for the mark; begin with `memprof attach {pid}`"
    )]
    NotRecording {
        /// Its number.
        pid: u32,
        /// What it is called.
        name: String,
    },
    /// There are as many marks as are kept.
    #[error(
        "the recording of process {pid} ({name}) has no room for another mark: it keeps 64; begin another one with `memprof attach`"
    )]
    NoMoreMarks {
        /// Its number.
        pid: u32,
        /// What it is called.
        name: String,
    },
    /// No name for a mark.
    #[error("{name:?} cannot be the name of a mark: it has to have 1 to 128 bytes, and no zero")]
    MarkName {
        /// What was asked for.
        name: String,
    },
    /// The recorder is of another version.
    #[error(
        "the recorder in process {pid} ({name}) is of another version; use the memprof of the same version as the program's profiler-alloc"
    )]
    OtherVersion {
        /// Its number.
        pid: u32,
        /// What it is called.
        name: String,
    },
    /// The system keeps others from its memory.
    #[error("the system does not let process {pid} ({name}) be written to: {error}; {remedy}")]
    Refused {
        /// Its number.
        pid: u32,
        /// What it is called.
        name: String,
        /// What the system said.
        error: io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// A recording is under way.
    #[error(
        "process {pid} ({name}) is recorded already{}: read that, or end it first if `memprof attach` began it (`memprof attach --detach {pid}`)",
        into(path)
    )]
    RecordingAlready {
        /// Its number.
        pid: u32,
        /// What it is called.
        name: String,
        /// The profile.
        path: Option<PathBuf>,
    },
    /// Nothing to end.
    #[error(
        "process {pid} ({name}) has no recording that `memprof attach` began; one of `memprof run` or of the program's own ends with these"
    )]
    NotAttached {
        /// Its number.
        pid: u32,
        /// What it is called.
        name: String,
    },
    /// The profile could not be made.
    #[error("the program cannot make the profile {}: {error}; choose another file with -o, where process {pid} may write", path.display())]
    NoFile {
        /// Its number.
        pid: u32,
        /// Where.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// No memory for the recorder.
    #[error(
        "the system refuses process {pid} memory for recording; raise its limit on address space"
    )]
    NoMemory {
        /// Its number.
        pid: u32,
    },
    /// The settings do not fit.
    #[error(
        "the settings and the path of the profile are too long for the recorder's page; choose a shorter path with -o"
    )]
    TooLong,
    /// The user gave up before the program saw the request.
    #[error("given up before process {pid} allocated or freed anything: it goes on as it was")]
    GivenUp {
        /// Its number.
        pid: u32,
    },
}

fn into(path: &Option<PathBuf>) -> String {
    let path = path.as_ref();
    path.map(|path| format!(", into {}", path.display()))
        .unwrap_or_default()
}
