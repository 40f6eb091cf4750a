//! From registers to frames: unwind tables, frame pointers, and the modules whose code the frames are in.
//!
//! Never: knows why a stack is walked, or keeps one.

#[cfg_attr(
    portable_unwinder,
    allow(dead_code, reason = "the portable unwinder knows the machine")
)]
pub mod arch;
#[cfg_attr(
    portable_unwinder,
    allow(dead_code, reason = "the portable unwinder needs no rules")
)]
pub mod cfi;
pub mod frame;
#[cfg_attr(
    portable_unwinder,
    allow(dead_code, reason = "the portable unwinder needs no unwind tables")
)]
pub mod modules;
#[cfg(portable_unwinder)]
mod portable;
pub mod registers;
#[cfg_attr(
    portable_unwinder,
    allow(dead_code, reason = "the portable unwinder needs no rules")
)]
pub mod rule_cache;
pub mod stack_memory;
pub mod stack_words;
#[cfg_attr(
    portable_unwinder,
    allow(dead_code, reason = "the portable unwinder needs no tables")
)]
pub mod unwind;
