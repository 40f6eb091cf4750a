//! What unwinding has to know of the machine: its registers' numbers, where a call puts the return
//! address, and what else stands in that word.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "aarch64")]
pub use aarch64::*;

// Other targets use only the portable unwinder; they get x86-64's constants so that this compiles.
#[cfg(not(target_arch = "aarch64"))]
mod x86_64;
#[cfg(not(target_arch = "aarch64"))]
pub use x86_64::*;
