//! The profile: a file that is mapped, shared, and always current.
//!
//! Never: knows what its records mean, beyond their layout in `profiler-alloc-format`.

pub mod accounts;
mod growth;
pub mod path;
mod record_numbers;
pub mod snapshots;
pub mod store;
pub mod timeline;
