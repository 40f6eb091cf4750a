//! From registers to frames: unwind tables, frame pointers, and the modules whose code the frames
//! are in.
//!
//! Never: knows why a stack is walked, or keeps one.

#[cfg_attr(
    portable_unwinder,
    allow(dead_code, reason = "the portable unwinder knows the machine")
)]
pub mod arch;
#[cfg(not(portable_unwinder))]
mod beyond;
#[cfg_attr(
    portable_unwinder,
    allow(dead_code, reason = "the portable unwinder needs no rules")
)]
pub mod cfi;
#[cfg_attr(
    portable_unwinder,
    allow(dead_code, reason = "the portable unwinder tells less")
)]
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
#[cfg(not(portable_unwinder))]
mod run_time_code;
#[cfg_attr(
    portable_unwinder,
    allow(dead_code, reason = "the portable unwinder reads no stack itself")
)]
pub mod stack_memory;
pub mod stack_words;
#[cfg_attr(
    portable_unwinder,
    allow(dead_code, reason = "the portable unwinder needs no rules")
)]
pub mod tables;
#[cfg_attr(
    portable_unwinder,
    allow(dead_code, reason = "the portable unwinder needs no tables")
)]
pub mod unwind;
