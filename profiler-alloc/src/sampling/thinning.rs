//! How many sampled blocks are remembered while they live: as many as the caches hold, each
//! standing for more when there are more.
//!
//! What was allocated is estimated from every sample, what is live from those that are remembered.
//! A recording whose interval may change remembers at most [`MOST`] blocks, by thinning: a block of
//! `s` bytes that was sampled at interval `i` is kept with probability `p(s, l) / p(s, i)`, where
//! `p(s, i) = 1 - exp(-s / i)` and `l > i`, and then stands for `s / p(s, l)` bytes. SampledBlocks and
//! kept, it has gone through with probability `p(s, i) * p(s, l) / p(s, i) = p(s, l)`,
//! independently of every other block: as if it had been sampled at `l` in the first place. So sums
//! stay unbiased and their variances right, whatever was thinned when.
//!
//! Example: 200,000 boxes of 40 bytes, recorded exactly, are 7.6 MiB live. At `l` = 1 KiB one in 26
//! is kept: 7,670 blocks of 1,044 bytes, 7.6 MiB again, with a standard error of 1.1 %.
//!
//! `l` follows the heap: with `l` = heap / `n`, about `n` blocks are kept whatever their sizes, as
//! `p(s, l) <= s / l`. While everything is recorded exactly nothing is thinned.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::sampling::block::Block;
use crate::sampling::live_blocks::Thinned;
use crate::sampling::sampled_blocks::SampledBlocks;
use crate::sampling::weights::{self, WIDEST};

/// Most blocks that are remembered once the interval has widened. A filter of 1 MiB asks in vain
/// for one block in a thousand then.
const MOST: usize = 16_384;
/// About so many are left by a thinning.
const LEFT: u64 = 8_192;
/// With fewer, the next blocks are remembered at half the interval.
const FEW: usize = 2_048;

/// How far the remembered blocks are thinned.
pub struct Thinning {
    /// Blocks sampled at a narrower interval than this are thinned to it, in bytes; 0: none.
    interval: AtomicU64,
    at_work: AtomicBool,
}

impl Thinning {
    pub const fn new() -> Thinning {
        Thinning {
            interval: AtomicU64::new(0),
            at_work: AtomicBool::new(false),
        }
    }

    /// The interval that live blocks stand at which are sampled at `interval`.
    #[inline]
    fn of(&self, interval: u64) -> u64 {
        match interval {
            0 => 0,
            _ => self.interval.load(Ordering::Relaxed).max(interval),
        }
    }

    /// The interval at which a block of `size` bytes, just sampled at `interval`, is to be
    /// remembered; `None` if it is not.
    #[inline]
    pub fn thinned(&self, size: u64, interval: u64, random: impl FnOnce() -> u64) -> Option<u64> {
        let live = self.of(interval);
        let stays = live == interval || weights::survives(size, interval, live, random());
        stays.then_some(live)
    }

    /// True if the `count` blocks that are remembered are too many; if they are few, more of those
    /// sampled at `interval` are remembered from now on.
    pub fn are_many(&self, count: usize, interval: u64) -> bool {
        if count < FEW {
            let live = self.interval.load(Ordering::Relaxed);
            if live > interval {
                self.interval.store(live / 2, Ordering::Relaxed);
            }
        }
        count > MOST
    }

    /// Thins `sampled`, the blocks remembered of a heap of `heap` bytes. `restate` is given each
    /// block as it was and as it is now, if it still is. False if another thread is at it.
    pub fn thin(
        &self,
        sampled: &SampledBlocks,
        heap: u64,
        random: impl Fn() -> u64,
        restate: impl FnMut(Block, Option<Block>),
    ) -> bool {
        if self.at_work.swap(true, Ordering::Acquire) {
            return false;
        }
        let before = self.interval.load(Ordering::Relaxed);
        let live = (heap / LEFT)
            .next_power_of_two()
            .max(before.saturating_mul(2))
            .clamp(weights::NARROWEST, WIDEST);
        // What is sampled from now on is remembered at this interval at once.
        self.interval.store(live, Ordering::Relaxed);
        sampled.thin(
            |block| match block.interval() {
                Some(interval) if interval < live => {
                    match weights::survives(block.size(), interval, live, random()) {
                        true => Thinned::At(live),
                        false => Thinned::Dropped,
                    }
                }
                _ => Thinned::Kept,
            },
            restate,
        );
        self.at_work.store(false, Ordering::Release);
        true
    }
}
