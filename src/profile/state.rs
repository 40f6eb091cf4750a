//! How a recording stands, as its header says.

use profiler_alloc_format::{STATE_EXITED, STATE_FINISHED, STATE_PAUSED};

/// How a recording stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Under way, or the program was killed.
    Recording,
    /// Paused by the program, or killed while it was.
    Paused,
    /// The recording ended in order.
    Finished,
    /// The program ended in order, or is about to.
    Exited,
}

impl State {
    pub(super) fn of(state: u32) -> State {
        match state {
            STATE_FINISHED => State::Finished,
            STATE_PAUSED => State::Paused,
            STATE_EXITED => State::Exited,
            _ => State::Recording,
        }
    }
}
