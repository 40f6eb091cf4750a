//! The system: libc, the loader's tables, and SQLite's C interface. The only folder that calls C.
//!
//! Never: knows what a profile is, or allocates from Rust's heap.
//!
//! # The interface
//!
//! Everything above asks the system through the modules below. What every system answers alike
//! stands in this folder. What differs stands in two folders with the same functions: `linux/`
//! does all of it; `elsewhere/` does what counting needs and declines the rest by the value that
//! its Linux half gives where the system refuses. So no other file asks which system it is on, and
//! a system that lacks a function does not compile: `os.rs` lists what it asks for.
//!
//! | module | counting needs | only a recording needs |
//! |---|---|---|
//! | `pages` | zeroed memory | address space, memory that a fork empties |
//! | `os` | clocks, process and thread, environment, stderr, RSS | files, links, limits |
//! | `callbacks` | end of the program, end of a thread | forks |
//! | `system` | the system's allocator, as std asks for it | the library that tells of C's blocks |
//! | `descriptor`, `mapping` | | the profile's file, its space on disk and in memory |
//! | `loader` | | what is loaded, and where |
//! | `residence` | | what of the memory is resident |
//! | `stack` | | where the calling thread's stack begins |
//!
//! A new system that only counts gets its calls in `elsewhere/os.rs` (`mod calls`), as Windows has:
//! `os::thread_cpu_ns` asks `GetThreadTimes` there. One that records gets a folder of its own,
//! which `can_record` in `build.rs` and the `path` attributes here, in `os.rs`, `loader.rs` and
//! `callbacks.rs` choose. Both get a column in `docs/platforms.md`.

pub mod callbacks;
pub mod decimal;
pub mod loader;
pub mod memory;
pub mod os;
#[cfg(feature = "sqlite")]
pub mod sqlite3;

/// True where a program can be recorded, not only counted.
pub const CAN_RECORD: bool = cfg!(can_record);

#[cfg_attr(can_record, path = "ffi/linux/descriptor.rs")]
#[cfg_attr(not(can_record), path = "ffi/elsewhere/descriptor.rs")]
pub mod descriptor;
#[cfg_attr(can_record, path = "ffi/linux/mapping.rs")]
#[cfg_attr(not(can_record), path = "ffi/elsewhere/mapping.rs")]
pub mod mapping;
#[cfg(can_record)]
#[path = "ffi/linux/own_calls.rs"]
mod own_calls;
#[cfg_attr(can_record, path = "ffi/linux/pages.rs")]
#[cfg_attr(not(can_record), path = "ffi/elsewhere/pages.rs")]
mod pages;
#[cfg_attr(can_record, path = "ffi/linux/residence.rs")]
#[cfg_attr(not(can_record), path = "ffi/elsewhere/residence.rs")]
pub mod residence;
#[cfg_attr(can_record, path = "ffi/linux/stack.rs")]
#[cfg_attr(not(can_record), path = "ffi/elsewhere/stack.rs")]
pub mod stack;
#[cfg_attr(can_record, path = "ffi/linux/system.rs")]
#[cfg_attr(not(can_record), path = "ffi/elsewhere/system.rs")]
pub mod system;
mod thread_keys;
pub mod thread_local;
