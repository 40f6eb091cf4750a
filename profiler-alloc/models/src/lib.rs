//! The lock-free parts of the recorder, as they stand in its source, on atomics that try every
//! order of threads.
//!
//! Each file of `profiler-alloc/src` that is named here takes its atomics from `crate::sync` and
//! its memory from `crate::memory`. Here these are loom's atomics and plain memory, so `tests/`
//! runs a few threads through the very code of the recorder in every order that loom's bound
//! allows, stale values included. With Miri, they are the real atomics.

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

pub use format::{COUNT_FRACTION_BITS, Frame, THREAD_FREE, THREAD_TAKEN};
pub use records::{HeaderCells, NodeCells, StackCells, ThreadCells};

#[path = "../../src/at_peak.rs"]
pub mod at_peak;
#[path = "../../src/block.rs"]
pub mod block;
#[path = "../../src/filter.rs"]
pub mod filter;
#[path = "../../src/free_records.rs"]
pub mod free_records;
#[path = "../../src/in_force.rs"]
pub mod in_force;
#[path = "../../src/index.rs"]
pub mod index;
#[path = "../../src/lazy_slice.rs"]
pub mod lazy_slice;
#[path = "../../src/live.rs"]
pub mod live;
pub mod memory;
pub mod orders;
mod records;
#[path = "../../src/sampled.rs"]
pub mod sampled;
#[path = "../../src/sampling.rs"]
pub mod sampling;
pub mod store;
pub mod sync;
#[path = "../../src/trie.rs"]
pub mod trie;
