//! Structures that many threads use at once without a lock. `profiler-alloc/models` runs these
//! very files under loom, shuttle and Miri.
//!
//! Never: waits, or knows what is stored in it.

pub mod active;
pub mod atomic;
pub mod cell_index;
pub mod index;
pub mod lazy_slice;
pub mod serial_set;
pub mod slot_pool;
pub mod static_ref;
pub mod texts;
