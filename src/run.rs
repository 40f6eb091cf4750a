//! Running a program under its recorder: everything of `memprof run` but its command line.
//!
//! ```text
//! Program::find ──> Output::prepare ──> Request::variables ──> child::run ──> Output::profiles ──> note_sources ──> closing
//!  PATH, mode bits   folder, old file    MEMPROF_*              signals, wait   by run id            what they hold   the last lines
//! ```

pub mod child;
pub mod closing;
mod output;
mod program;
mod recorded;
mod request;
mod sources;

pub use output::{Output, OutputError};
pub use program::{Program, ProgramError};
pub use recorded::{Recorded, main_profile, recorded};
pub use request::{Request, RunId};
pub use sources::note_sources;
