//! The system: libc, the loader's tables, and SQLite's C interface. The only folder that calls C, beside the two files
//! that map the profile and walk the C library's stack bounds.
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
