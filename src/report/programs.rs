//! Running programs that have the recorder.

use std::path::PathBuf;

/// The programs of this user.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Programs {
    /// In the order of their process numbers.
    pub list: Vec<RunningProgram>,
    /// What to do to see the heap of programs whose memory may not be looked at, if there are such.
    pub unseen: Option<&'static str>,
}

/// One of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunningProgram {
    /// Its process number.
    pub pid: u32,
    /// What it is called.
    pub name: String,
    /// Heap in use, in bytes, to 64 KiB for each of its threads. `None` if unknown.
    pub heap: Option<i64>,
    /// What its recorder does.
    pub state: ProgramState,
    /// The profile that it writes.
    pub profile: Option<PathBuf>,
}

/// What a recorder does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProgramState {
    /// It only counts.
    Counting,
    /// It records.
    Recording,
    /// Its recording is paused.
    Paused,
}
