//! Running a program under its recorder: everything of `memprof run` but its command line.
//!
//! ```text
//! Program::find             PATH, mode bits
//! Mechanism::of             the crate, or the library to preload
//! ProfileOutput::prepare    the folder; a file that is in the way
//! Request::variables        MEMPROF_*, LD_PRELOAD
//! child::run                the program runs: signals, its end
//! ProfileOutput::profiles   the profiles with this run's number
//! note_deaths               how killed programs ended, into the profile; see OomKiller
//! keep_wanted               of many profiles, those that were asked for
//! note_sources              MD5 of the program's source files, into the profile
//! give_back                 pages of the profile that were never written
//! closing                   the last lines: what was recorded
//! ```

pub mod child;
mod clean;
pub mod closing;
mod deaths;
mod disk;
mod mechanism;
mod oom;
mod output;
pub mod preload;
mod program;
mod recorded;
mod request;
mod sources;

pub use clean::Cleaning;
pub use deaths::note_deaths;
pub use disk::{Removed, Wanted, give_back, keep_wanted, on_disk};
pub use mechanism::{Mechanism, Obstacle};
pub use oom::{OomKiller, OomKills};
pub use output::{OutputError, ProfileOutput};
pub use program::{Program, ProgramError};
pub use recorded::{Recorded, main_profile, recorded};
pub use request::{PRELOAD, Request, RunId};
pub use sources::note_sources;
