//! Which allocations are sampled, and what one sample stands for. Pure arithmetic.
//!
//! Sampling points are laid over the bytes a thread allocates as a Poisson process: gaps between
//! points are exponential with mean `interval`. A block is sampled if a point falls on one of its
//! bytes, which happens with probability `p = 1 - exp(-size / interval)`, independently of every
//! other block. Counting it as `size / p` bytes and `1 / p` blocks makes every sum unbiased
//! (Horvitz and Thompson, 1952), whatever the interval was at the time.

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
    /// Its part of the variance of a count of blocks, in blocks squared.
    pub count_variance: f64,
}

impl Weight {
    /// Of a block that is not there.
    pub const NOTHING: Weight = Weight {
        bytes: 0,
        count: 0,
        variance: 0.0,
        count_variance: 0.0,
    };

    /// What to add, with wrapping arithmetic, where this is to become `other`.
    pub fn to(self, other: Weight) -> Weight {
        Weight {
            bytes: other.bytes.wrapping_sub(self.bytes),
            count: other.count.wrapping_sub(self.count),
            variance: other.variance - self.variance,
            count_variance: other.count_variance - self.count_variance,
        }
    }
}

/// The weight of a block of `size` bytes sampled at `interval` (0 is exact).
pub fn weight(size: u64, interval: u64) -> Weight {
    if interval == 0 {
        return Weight {
            bytes: size,
            count: ONE,
            variance: 0.0,
            count_variance: 0.0,
        };
    }
    let chance = chance(size, interval);
    let bytes = size.max(1) as f64 / chance;
    Weight {
        bytes: bytes.round() as u64,
        count: (ONE as f64 / chance).round() as u64,
        variance: bytes * bytes * (1.0 - chance),
        count_variance: (1.0 - chance) / (chance * chance),
    }
}

/// The probability that a block of `size` bytes is sampled at `interval` (0 is exact).
fn chance(size: u64, interval: u64) -> f64 {
    match interval {
        0 => 1.0,
        interval => -(-(size.max(1) as f64) / interval as f64).exp_m1(),
    }
}

/// True if a block of `size` bytes that was sampled at `interval` is among those that would have
/// been sampled at the wider interval `wide`: with probability `chance(wide) / chance(interval)`.
pub fn survives(size: u64, interval: u64, wide: u64, random: u64) -> bool {
    unit(random) * chance(size, interval) <= chance(size, wide)
}

/// A number in (0, 1], of 53 random bits.
fn unit(random: u64) -> f64 {
    ((random >> 11) + 1) as f64 / (1u64 << 53) as f64
}

/// Bytes to the next sampling point: exponential with mean `interval`, rounded up; 0 if exact.
pub fn gap(interval: u64, random: u64) -> u64 {
    if interval == 0 {
        return 0;
    }
    // Above 0, so that its logarithm is finite.
    ((-unit(random).ln() * interval as f64).ceil() as u64).max(1)
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
                variance: 0.0,
                count_variance: 0.0,
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

    /// Blocks of three sizes, recorded exactly, thinned twice and freed: what is left stands for
    /// all, and its variance is honest.
    #[test]
    fn thinned_sums_are_unbiased_and_their_variance_is_honest() {
        let sizes = [24u64, 300, 5_000];
        let (blocks, runs) = (3_000usize, 400);
        let truth: u64 = (0..blocks).map(|n| sizes[n % 3]).sum();
        let mut state = 11;
        let mut draw = || {
            let (next, random) = next_random(state);
            state = next;
            random
        };
        let (mut mean, mut mean_count, mut within) = (0.0, 0.0, 0);
        for _ in 0..runs {
            let (mut sum, mut count, mut variance) = (0.0, 0.0, 0.0);
            for n in 0..blocks {
                let size = sizes[n % 3];
                if survives(size, 0, 256, draw()) && survives(size, 256, 4096, draw()) {
                    let weight = weight(size, 4096);
                    sum += weight.bytes as f64;
                    count += weight.count as f64 / ONE as f64;
                    variance += weight.variance;
                }
            }
            mean += sum / f64::from(runs);
            mean_count += count / f64::from(runs);
            within += u32::from((sum - truth as f64).abs() <= 1.96 * variance.sqrt());
        }
        // 5.3 MB at 4 KiB: some 790 samples, most of large blocks; the sd of one run is 1.9 % of
        // the bytes and, mostly by the small ones, 13 % of the blocks. Of the mean of 400, a
        // twentieth: bounds at five of these.
        assert!((mean / truth as f64 - 1.0).abs() < 0.005, "{mean}, {truth}");
        assert!(
            (mean_count / blocks as f64 - 1.0).abs() < 0.033,
            "{mean_count}"
        );
        // 95 % of 400 is 380, sd 4.4.
        assert!((358..=400).contains(&within), "{within} of {runs}");
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
