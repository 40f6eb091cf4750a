//! Which blocks are sampled, what each of them stands for, and which of them are still live.
//!
//! Never: walks a stack, or knows the profile file.

pub mod at_peak;
pub mod block;
pub mod calibration;
pub mod draws;
pub mod fast_path;
pub mod filter;
pub mod generations;
pub mod large_sizes;
pub mod live_blocks;
#[cfg(any(feature = "preload", test))]
pub mod mappings;
pub mod overhead;
pub mod sampled_blocks;
pub mod thinning;
pub mod waypoints;
pub mod weights;
