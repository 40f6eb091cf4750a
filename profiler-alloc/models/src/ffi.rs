//! The one part of the system that the modelled files use: memory.

pub mod memory;
