//! What the program has mapped, in a recording: samples of mappings, which are taken away in parts.

use core::sync::atomic::Ordering;

use profiler_alloc_format::{HeapCells, ThreadCells};

use super::Recorder;
use super::capture::Kind;
use crate::counters::heaps::{self, MAPPED};
use crate::sampling::block::Block;
use crate::sampling::mappings::{self, MAPPINGS, Range};
use crate::sampling::weights::{self, Weight};
use crate::unwinder::registers::Registers;

/// What was taken away by one call.
#[derive(Clone, Copy)]
pub struct Unmapped {
    /// All that was accessible. *Bytes.*
    pub bytes: u64,
    /// What is known to be sampled of it stood for so much.
    weight: Weight,
    /// Of no sample. *Bytes.*
    unknown: u64,
}

impl Unmapped {
    pub const NOTHING: Unmapped = Unmapped {
        bytes: 0,
        weight: Weight::NOTHING,
        unknown: 0,
    };
}

/// In a forked child: what was being done to the table of mappings is not known.
pub(super) fn be_child() {
    if MAPPINGS.is_lost_by_fork() {
        let lost = &heaps::private(MAPPED).lost_mappings;
        lost.fetch_add(1, Ordering::Relaxed);
    }
}

impl Recorder {
    /// A part of a mapping is about to be taken away: takes it off what its stack has live.
    pub fn take_mapping(&self, home: &HeapCells, part: Range, taken: &mut Unmapped) {
        taken.bytes = taken.bytes.saturating_add(part.len());
        let Some(sample) = part.sample() else {
            taken.unknown = taken.unknown.saturating_add(part.len());
            return;
        };
        let weight = self.weight_of_part(sample, part.len());
        self.change_mapped_live(home, sample, weight, -1);
        let sum = &mut taken.weight;
        sum.bytes = sum.bytes.wrapping_add(weight.bytes);
        sum.count = sum.count.wrapping_add(weight.count);
        sum.variance += weight.variance;
        sum.count_variance += weight.count_variance;
    }

    /// Whether the stack that took so much away is to be found.
    pub fn is_taking_attributed(&self, home: &HeapCells, taken: &Unmapped) -> bool {
        taken.weight.count != 0
            || taken.weight.bytes != 0
            || (taken.unknown != 0 && self.attributes_unknown_of_heap(home))
    }

    /// Mappings were taken away, and counted, which left `in_use` bytes.
    pub fn unmapped(
        &self,
        cells: &ThreadCells,
        at: Registers,
        home: &HeapCells,
        taken: &Unmapped,
        in_use: i64,
    ) {
        let before = in_use.saturating_add(taken.bytes as i64);
        self.timed_of_heap(cells, home, || {
            let (stack, walked) = self.heap_stack(cells, Kind::HeapFree, at, MAPPED);
            self.add_freed(
                stack,
                self.stack_cells(stack),
                self.freed_weight(home, taken),
            );
            self.enter_heap(cells, (MAPPED, home), stack, before);
            ((), walked)
        });
    }

    /// A mapping of `len` bytes is sampled, and was counted, which left `in_use` bytes. `taken` is
    /// what it was before, if it was moved or resized. Gives the sample, to be noted with it.
    pub fn sample_mapping(
        &self,
        cells: &ThreadCells,
        at: Registers,
        home: &HeapCells,
        (len, is_due): (u64, bool),
        taken: Option<&Unmapped>,
        in_use: i64,
    ) -> Option<Block> {
        let kind = match taken {
            Some(_) => Kind::HeapRealloc,
            None => Kind::HeapAlloc,
        };
        let earlier = taken.map_or(0, |taken| taken.bytes as i64);
        let before = in_use.saturating_sub(len as i64).saturating_add(earlier);
        let mut sample = None;
        self.timed_of_heap(cells, home, || {
            let (stack, walked) = self.heap_stack(cells, kind, at, MAPPED);
            let totals = self.stack_cells(stack);
            if let Some(taken) = taken {
                self.add_freed(stack, totals, self.freed_weight(home, taken));
            }
            if is_due {
                let interval = self.heap_interval(cells);
                let weight = weights::weight(len, interval);
                self.add_allocated(stack, totals, weight, taken.is_some());
                // Its address is known to the table alone.
                let birth = self.moments.generation_of(self.store, stack.stack, totals);
                sample = Block::new(1, len, stack.stack, interval, MAPPED)
                    .map(|sample| sample.born(birth));
                if let Some(sample) = sample {
                    self.change_mapped_live(home, sample, weight, 1);
                }
                self.note_time(totals);
            }
            self.enter_heap(cells, (MAPPED, home), stack, before);
            ((), walked)
        });
        self.note_heap_peak(home, in_use);
        sample
    }

    /// A sample could not be noted with its mapping.
    pub fn lose_mapping(&self, home: &HeapCells, sample: Block) {
        self.change_mapped_live(home, sample, self.weight_of_part(sample, sample.size()), -1);
        let lost = &self.store.header().lost_blocks;
        lost.fetch_add(1, Ordering::Relaxed);
    }

    fn change_mapped_live(&self, home: &HeapCells, sample: Block, weight: Weight, sign: i64) {
        let epoch = home.peak_epoch.load(Ordering::Acquire);
        let stack = self.allocating_stack(sample);
        if sign < 0 {
            self.moments.freed(self.store, stack, sample, weight);
        }
        self.change_live_at(epoch, sample.stack(), stack, weight, sign);
    }

    fn weight_of_part(&self, sample: Block, len: u64) -> Weight {
        let asked_for = || self.store.header().interval.load(Ordering::Relaxed);
        let interval = sample.interval().unwrap_or_else(asked_for);
        mappings::part(sample.size(), interval, len)
    }

    fn freed_weight(&self, home: &HeapCells, taken: &Unmapped) -> Weight {
        let mut weight = taken.weight;
        if taken.unknown != 0 && self.attributes_unknown_of_heap(home) {
            let unknown = weights::weight(taken.unknown, 0);
            weight.bytes = weight.bytes.wrapping_add(unknown.bytes);
            weight.count = weight.count.wrapping_add(unknown.count);
        }
        weight
    }
}
