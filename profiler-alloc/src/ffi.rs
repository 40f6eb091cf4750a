//! The system: libc, the loader's tables, and SQLite's C interface. The only folder that calls C.
//!
//! Never: knows what a profile is, or allocates from Rust's heap.
//!
//! # The interface
//!
//! Everything above asks the system through the modules below, each of which stands in two folders
//! with the same functions: `linux/`, which does all of it, and `elsewhere/`, which does what
//! counting needs and declines the rest by the value that its Linux half gives where the system
//! refuses. So no other file asks which system it is on.
//!
//! | module | counting needs | only a recording needs |
//! |---|---|---|
//! | `pages` | zeroed memory | address space, memory that a fork empties |
//! | `os` | clocks, process and thread, environment, stderr, RSS | files, links, limits |
//! | `callbacks` | end of the program, end of a thread | forks |
//! | `descriptor`, `mapping` | | the profile's file, its space on disk and in memory |
//! | `loader` | | what is loaded, and where |
//! | `stack` | | where the calling thread's stack begins |
//!
//! A new system gets a folder of its own, a line in `build.rs`, and a row in `docs/platforms.md`.
//! The example is Windows in `elsewhere/`: `os::thread_cpu_ns` asks `GetThreadTimes` there.

pub mod decimal;
pub mod memory;
#[cfg(feature = "sqlite")]
pub mod sqlite3;

/// True where a program can be recorded, not only counted.
pub const CAN_RECORD: bool = cfg!(can_record);

#[cfg_attr(can_record, path = "ffi/linux/callbacks.rs")]
#[cfg_attr(not(can_record), path = "ffi/elsewhere/callbacks.rs")]
pub mod callbacks;
#[cfg_attr(can_record, path = "ffi/linux/descriptor.rs")]
#[cfg_attr(not(can_record), path = "ffi/elsewhere/descriptor.rs")]
pub mod descriptor;
#[cfg_attr(can_record, path = "ffi/linux/loader.rs")]
#[cfg_attr(not(can_record), path = "ffi/elsewhere/loader.rs")]
pub mod loader;
#[cfg_attr(can_record, path = "ffi/linux/mapping.rs")]
#[cfg_attr(not(can_record), path = "ffi/elsewhere/mapping.rs")]
pub mod mapping;
#[cfg_attr(can_record, path = "ffi/linux/os.rs")]
#[cfg_attr(not(can_record), path = "ffi/elsewhere/os.rs")]
pub mod os;
#[cfg_attr(can_record, path = "ffi/linux/pages.rs")]
#[cfg_attr(not(can_record), path = "ffi/elsewhere/pages.rs")]
mod pages;
#[cfg_attr(can_record, path = "ffi/linux/stack.rs")]
#[cfg_attr(not(can_record), path = "ffi/elsewhere/stack.rs")]
pub mod stack;
pub mod thread_local;
