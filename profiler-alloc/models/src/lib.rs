//! The lock-free parts of the recorder, as they stand in its source, on atomics that try every
//! order of threads.
//!
//! Each file of `profiler-alloc/src` that is named here takes its atomics from
//! `crate::lockfree::atomic` and its memory from `crate::ffi::memory`. Here these are loom's
//! atomics and plain memory, so `tests/` runs a few threads through the very code of the recorder
//! in every order that loom's bound allows, stale values included. With Miri, they are the real
//! atomics.

// The unit tests in these files run in the recorder; here they would ask for atomics outside of a
// model.
#![cfg(not(test))]
#![allow(
    missing_docs,
    reason = "documented in the recorder, or of the tests alone"
)]
#![allow(clippy::new_without_default, reason = "private in the recorder")]

// The recorder's source says `profiler_alloc_format` where it means records: here, these.
extern crate self as profiler_alloc_format;

pub use format::{COUNT_FRACTION_BITS, Frame, THREAD_FREE, THREAD_TAKEN, moments};
pub use records::{AgeCells, HeaderCells, NodeCells, StackCells, ThreadCells};

pub mod ffi;
#[path = "../../src/hash.rs"]
pub mod hash;
pub mod lockfree;
pub mod orders;
pub mod profile_file;
mod records;
pub mod sampling;
pub mod stacks;
