//! The atomics of the parts that `profiler-alloc/models` tries in every order of threads: there, loom's stand in their place.

pub use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence,
};
