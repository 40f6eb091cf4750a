//! Asking a program that runs already to record itself, and finding the programs that can be asked.
//!
//! ```text
//! RunningProcess::open     whose it is
//! maps              what is mapped: its modules, its profile
//! control::find     the recorder's control page, at the beginning of a page of a module's data
//! Memory            /proc/PID/mem: the system decides who may
//! Asking            the request, and its answer
//! list              this user's programs, for `memprof ps`
//! ```
//! What is written into the program stands in `profiler_alloc_format::control`.

mod asking;
mod control;
mod error;
mod list;
mod maps;
mod process;

pub use asking::{Asking, Outcome, Wish};
pub use error::AttachError;
pub use list::list;
pub use process::RunningProcess;
