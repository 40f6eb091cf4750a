//! What unwinding has to know of the machine: its registers' numbers, where a call puts the return address, and what else
//! stands in that word.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "aarch64")]
pub use aarch64::*;

// Elsewhere it stands in, where only the portable unwinder runs.
#[cfg(not(target_arch = "aarch64"))]
mod x86_64;
#[cfg(not(target_arch = "aarch64"))]
pub use x86_64::*;
