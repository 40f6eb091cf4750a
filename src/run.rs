//! Running a program under its recorder: everything of `memprof run` but its command line.
//!
//! ```text
//! Program::find ──> Mechanism::of ──> ProfileOutput::prepare ──> Request::variables ──> child::run ──> ProfileOutput::profiles ──> note_sources ──> closing
//!  PATH, mode bits   crate or    folder, old file    MEMPROF_*,             signals, wait   by run id           what they hold   the last lines
//!                    preload                         LD_PRELOAD
//! ```

pub mod child;
pub mod closing;
mod mechanism;
mod output;
pub mod preload;
mod program;
mod recorded;
mod request;
mod sources;

pub use mechanism::{Mechanism, Obstacle};
pub use output::{OutputError, ProfileOutput};
pub use program::{Program, ProgramError};
pub use recorded::{Recorded, main_profile, recorded};
pub use request::{PRELOAD, Request, RunId};
pub use sources::note_sources;
