//! The atomics of the files that `profiler-alloc/models` checks; there, loom's types replace them.

pub use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence,
};
