//! How many sampled blocks are remembered while they live: as many as the caches hold, each
//! standing for more when there are more.
//!
//! What was allocated is estimated from every sample, what is live from those that are remembered.
//! A recording whose interval may change remembers at most [`MOST`] blocks, by thinning: a block of
//! `s` bytes that was sampled at interval `i` is kept with probability `p(s, l) / p(s, i)`, where
//! `p(s, i) = 1 - exp(-s / i)` and `l > i`, and then stands for `s / p(s, l)` bytes. Sampled and
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

use profiler_alloc_format::{StackCells, ThreadCells};

use super::Recorder;
use super::schedule::random;
use crate::ffi::os;
use crate::sampling::block::Block;
use crate::sampling::live_blocks::Thinned;
use crate::sampling::weights::{self, WIDEST, Weight};
use crate::stacks::interner::StackRef;

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
}

impl Recorder {
    /// The interval at which a block of `size` bytes, just sampled at `interval`, is to be
    /// remembered; `None` if it is not.
    #[inline]
    pub(super) fn thinned(&self, cells: &ThreadCells, size: u64, interval: u64) -> Option<u64> {
        let live = self.thinning.of(interval);
        let stays = live == interval || weights::survives(size, interval, live, random(cells));
        stays.then_some(live)
    }

    /// Thins the remembered blocks if they are too many, which a thread does that has just sampled
    /// one; and remembers more from now on if they are few.
    pub(super) fn thin_if_many(&self, cells: &ThreadCells) {
        let interval = self.store.header().interval.load(Ordering::Relaxed);
        if interval == 0 || !self.budget.is_flexible() {
            return;
        }
        let count = self.sampled.count();
        if count > MOST {
            self.thin(cells);
        } else if count < FEW {
            let live = self.thinning.interval.load(Ordering::Relaxed);
            if live > interval {
                self.thinning.interval.store(live / 2, Ordering::Relaxed);
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn thin(&self, cells: &ThreadCells) {
        if self.thinning.at_work.swap(true, Ordering::Acquire) {
            return;
        }
        let start = os::now_ns();
        let heap = (self.store.header().heap.load(Ordering::Relaxed) as i64).max(0) as u64;
        let before = self.thinning.interval.load(Ordering::Relaxed);
        let live = (heap / LEFT)
            .next_power_of_two()
            .max(before.saturating_mul(2))
            .clamp(weights::NARROWEST, WIDEST);
        // What is sampled from now on is remembered at this interval at once.
        self.thinning.interval.store(live, Ordering::Relaxed);
        self.sampled.thin(
            |block| match block.interval() {
                Some(interval) if interval < live => {
                    match weights::survives(block.size(), interval, live, random(cells)) {
                        true => Thinned::At(live),
                        false => Thinned::Dropped,
                    }
                }
                _ => Thinned::Kept,
            },
            |before, after| self.restate(before, after),
        );
        self.used(os::now_ns().saturating_sub(start));
        self.thinning.at_work.store(false, Ordering::Release);
    }

    /// What is live of a block's stack changes with what the block stands for.
    fn restate(&self, before: Block, after: Option<Block>) {
        let weight = |block| self.weight(block);
        let change = weight(before).to(after.map_or(Weight::NOTHING, weight));
        self.change_live(before.stack(), self.taker(before), change, 1);
    }

    /// The stack that took `block`.
    pub(super) fn taker(&self, block: Block) -> &'static StackCells {
        self.stack_cells(StackRef {
            stack: block.stack(),
            node: 0,
        })
    }
}
