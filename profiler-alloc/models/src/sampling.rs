//! The sampled blocks, and what they stand for.

#[path = "../../src/sampling/at_peak.rs"]
pub mod at_peak;
#[path = "../../src/sampling/block.rs"]
pub mod block;
#[path = "../../src/sampling/filter.rs"]
pub mod filter;
#[path = "../../src/sampling/generations.rs"]
pub mod generations;
#[path = "../../src/sampling/large_sizes.rs"]
pub mod large_sizes;
#[path = "../../src/sampling/live_blocks.rs"]
pub mod live_blocks;
#[path = "../../src/sampling/sampled_blocks.rs"]
pub mod sampled_blocks;
#[path = "../../src/sampling/weights.rs"]
pub mod weights;
