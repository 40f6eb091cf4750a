//! Exact counts: what each thread has allocated and freed, the heap of the process, and what open
//! scopes hold.
//!
//! Never: knows recordings or samples.

pub mod births;
pub mod course;
pub mod heap;
pub mod heaps;
pub mod installed;
pub mod open_scopes;
pub mod own_work;
pub mod reentrancy;
pub mod slot;
pub mod thread_counts;
pub mod totals;
