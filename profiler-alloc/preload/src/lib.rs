//! The recorder as a library to preload: the C library's allocation functions, over the same hook,
//! sampler, unwinder and file as the crate.
//!
//! ```text
//! the program ──malloc(100)──▶ family ──▶ ProfilerAlloc   counts, samples
//!                                              │
//!                                              └─▶ below ──malloc(101)──▶ libc, jemalloc, …
//!                                                  writes in the last byte how much room is left
//! ```
//! In a program that has the crate nothing is recorded here: `c_heap` tells the crate what C code
//! does.
//! What the program maps itself goes through `maps`, into a heap of its own.
//! `memprof run` sets `LD_PRELOAD`; whoever links this into a program by other means gets a program
//! that counts and records nothing.
//!
//! Never: unwinds, reads a thread-local through the loader, or needs another library than libc.

mod below;
mod bootstrap;
mod c_heap;
mod family;
mod maps;
mod room;
mod self_contained;
mod start;
