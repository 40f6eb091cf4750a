//! The system: libc, the loader's tables, and SQLite's C interface. Besides this folder, only the
//! mapping of the profile and the bounds of stacks call C.
//!
//! Never: knows what a profile is, or allocates from Rust's heap.

pub mod callbacks;
pub mod decimal;
pub mod descriptor;
pub mod loader;
pub mod memory;
pub mod os;
#[cfg(feature = "sqlite")]
pub mod sqlite3;
pub mod thread_local;
