//! Contexts: for whom a thread works, as the program says. Their names, which of them are in force
//! together, and which are in force in the calling thread.
//!
//! ```text
//! context("tenant", "acme")      names: context 5
//!   while context 3 is in force  sets:  {3, 5} is set 7
//!                                thread: set 7 is in force; 7 goes into the file with each sample
//! ```
//! Nothing here is ever removed, so a number may be kept for as long as the process runs.
//!
//! Never: counts, or writes a profile.

pub mod in_force;
pub mod names;
pub mod sets;
pub mod span_ids;
