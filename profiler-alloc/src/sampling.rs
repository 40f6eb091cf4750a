//! Which allocations are sampled, and what one sample stands for. Pure arithmetic.
//!
//! Sampling points are laid over the bytes a thread allocates as a Poisson process: gaps between points are exponential
//! with mean `interval`. A block is sampled if a point falls on one of its bytes, which happens with probability
//! `p = 1 - exp(-size / interval)`, independently of every other block. Counting it as `size / p` bytes and `1 / p`
//! blocks makes every sum unbiased (Horvitz and Thompson, 1952), whatever the interval was at the time.

use profiler_alloc_format::COUNT_FRACTION_BITS;

/// One block in fixed-point.
pub const ONE: u64 = 1 << COUNT_FRACTION_BITS;
/// Widest sampling interval the budget may choose.
pub const WIDEST: u64 = 64 << 20;
/// First interval after exact.
pub const NARROWEST: u64 = 64;

/// What one sampled block stands for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Weight {
    /// Bytes.
    pub bytes: u64,
    /// Blocks, fixed-point.
    pub count: u64,
    /// Its part of the variance of a byte total.
    pub variance: f64,
}

/// The weight of a block of `size` bytes sampled at `interval` (0 is exact).
pub fn weight(size: u64, interval: u64) -> Weight {
    if interval == 0 {
        return Weight {
            bytes: size,
            count: ONE,
            variance: 0.0,
        };
    }
    let size = size.max(1) as f64;
    let chance = -(-size / interval as f64).exp_m1();
    let bytes = size / chance;
    Weight {
        bytes: bytes.round() as u64,
        count: (ONE as f64 / chance).round() as u64,
        variance: bytes * bytes * (1.0 - chance),
    }
}

/// Bytes to the next sampling point: exponential with mean `interval`, rounded up; 0 if exact.
pub fn gap(interval: u64, random: u64) -> u64 {
    if interval == 0 {
        return 0;
    }
    // 53 random bits give a number in (0, 1], whose logarithm is finite.
    let uniform = ((random >> 11) + 1) as f64 / (1u64 << 53) as f64;
    ((-uniform.ln() * interval as f64).ceil() as u64).max(1)
}

/// Next number of a splitmix64 generator, whose whole state is one integer.
pub fn next_random(state: u64) -> (u64, u64) {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (state, mixed ^ (mixed >> 31))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_weights_are_the_block_itself() {
        assert_eq!(
            weight(1234, 0),
            Weight {
                bytes: 1234,
                count: ONE,
                variance: 0.0
            }
        );
    }

    #[test]
    fn a_block_far_larger_than_the_interval_stands_for_itself() {
        let weight = weight(1 << 30, 1 << 10);
        assert_eq!((weight.bytes, weight.count), (1 << 30, ONE));
        assert!(weight.variance < 1e-9);
    }

    #[test]
    fn a_small_block_stands_for_one_interval() {
        let weight = weight(16, 1 << 20);
        assert!(weight.bytes.abs_diff(1 << 20) <= 16, "{weight:?}");
    }

    #[test]
    fn sums_of_weights_are_unbiased_and_their_variance_is_honest() {
        let (size, interval, blocks, runs) = (300u64, 1024u64, 2_000u64, 400);
        let truth = (size * blocks) as f64;
        let mut state = 7;
        let (mut mean, mut within) = (0.0, 0);
        for _ in 0..runs {
            let (mut at, mut sum, mut variance) = (0, 0.0, 0.0);
            let mut draw = || {
                let (next, random) = next_random(state);
                state = next;
                gap(interval, random)
            };
            let mut sample_at = draw();
            for _ in 0..blocks {
                at += size;
                if at >= sample_at {
                    let weight = weight(size, interval);
                    sum += weight.bytes as f64;
                    variance += weight.variance;
                    sample_at = at + draw();
                }
            }
            mean += sum / f64::from(runs);
            within += u32::from((sum - truth).abs() <= 1.96 * variance.sqrt());
        }
        // Relative sd of the mean is 1/sqrt(400 * 508 samples) = 0.22 %.
        assert!(
            (mean / truth - 1.0).abs() < 0.01,
            "mean {mean}, truth {truth}"
        );
        // 95 % of 400 is 380, sd 4.4.
        assert!(
            (360..=396).contains(&within),
            "{within} of {runs} within 1.96 standard errors"
        );
    }
}
