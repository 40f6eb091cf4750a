//! Where the resident memory is, now: the account that the file keeps of it, at a slow beat and
//! when the program ends.
//!
//! An account takes a thread some milliseconds in a large program: the system goes through all
//! pages, and the recorder through all blocks that it knows. So it takes 0.4 % of the program's
//! time, 1 % while the program grows, and no other thread waits for it but one that maps memory
//! meanwhile, for as long as the system writes one page of text.

use core::sync::atomic::{AtomicU64, Ordering};

use profiler_alloc_format::account::{
    Account, KNOWS_PINNED, KNOWS_ROUNDING, TOO_MANY_MAPPINGS, TouchedCells,
};
use profiler_alloc_format::{COUNT_FRACTION_BITS, THREAD_TAKEN};

use super::{Recorder, threads};
use crate::counters::{heaps, installed};
use crate::ffi::os;
use crate::resident::block_sizes::{self, BlockSizes};
use crate::resident::heap::{self, HeapSums, LiveBlock};
use crate::resident::mappings::MemoryMap;
use crate::resident::pages::Pages;
use crate::sampling::at_peak::add_variance;
use crate::sampling::block::Block;

/// What an account is made from.
struct Survey {
    /// [`Account::time_ns`].
    time_ns: u64,
    sizes: BlockSizes,
    mappings: MemoryMap,
    sums: HeapSums,
}

/// What a survey comes to, which began at `start`. A function of its own, so that its values are
/// not on the stack below the survey, where a small thread has the least left.
#[inline(never)]
fn told(survey: &Survey, in_use: i64, pinned: Option<f64>, start: u64) -> Account {
    let Survey {
        sizes,
        mappings,
        sums,
        ..
    } = survey;
    let (regions, others) = mappings.anonymous();
    // What an allocator says it has beyond the mappings that blocks lie in, is in others.
    let said = (sizes.resident()).map_or(0, |resident| resident.saturating_sub(regions));
    let own_mappings = (sums.own_mappings as u64).max(said).min(others);
    let parts = mappings.parts;
    let bit = |is_set: bool, bit: u64| if is_set { bit } else { 0 };
    Account {
        time_ns: survey.time_ns,
        resident: parts.resident,
        swap: parts.swap,
        huge: parts.huge,
        in_use: in_use as u64,
        untouched: sums.untouched as u64,
        untouched_variance: sums.untouched_variance.to_bits(),
        rounding: sums.rounding as u64,
        rounding_variance: sums.rounding_variance.to_bits(),
        heap: regions + own_mappings,
        mapped: others - own_mappings,
        stacks: parts.stacks,
        stacks_mapped: parts.stacks_mapped,
        programs: parts.programs,
        files: parts.files,
        shared: parts.shared,
        recorder: parts.recorder,
        recorder_file: parts.recorder_file,
        other: parts.kernel,
        pinned: pinned.unwrap_or(0.0) as u64,
        known: bit(!matches!(sizes, BlockSizes::Unknown), KNOWS_ROUNDING)
            | bit(mappings.is_cut(), TOO_MANY_MAPPINGS)
            | bit(pinned.is_some(), KNOWS_PINNED),
        cost_ns: os::now_ns().saturating_sub(start),
        ..Account::empty()
    }
}

impl Recorder {
    /// Takes an account if one is due.
    pub(super) fn account_if_due(&self, now_ns: u64, cpu_ns: u64, resident: u64) {
        if self.accounts.is_due(now_ns, cpu_ns, resident) {
            self.take_account_at(now_ns, cpu_ns);
        }
    }

    /// Takes an account now.
    #[cold]
    pub(super) fn take_account(&self) {
        self.take_account_at(self.clock.now(), self.overhead.cpu_ns());
    }

    #[cold]
    #[inline(never)]
    fn take_account_at(&self, now_ns: u64, cpu_ns: u64) {
        let take = || self.account(now_ns);
        let cost = self.accounts.take(self.store, (now_ns, cpu_ns), take);
        self.used(cost);
    }

    fn account(&self, now_ns: u64) -> Option<Account> {
        let start = os::now_ns();
        if block_sizes::are_unasked() {
            installed::knock(installed::INTRODUCE);
        }
        let inode = self.store.header().inode.load(Ordering::Relaxed);
        let mut survey = Survey {
            time_ns: now_ns.saturating_add(1),
            sizes: BlockSizes::of_program(),
            mappings: MemoryMap::read(&self.smaps, inode)?,
            sums: HeapSums::default(),
        };
        let in_use = threads::process_totals().heap() + heaps::in_use(heaps::C_HEAP);
        self.survey(&mut survey);
        let pinned = self.pinned(&survey);
        Some(told(&survey, in_use, pinned, start))
    }

    /// Finds out whose each region is, and what of large blocks is resident.
    fn survey(&self, survey: &mut Survey) {
        let mappings = &mut survey.mappings;
        if survey.sizes.has_arenas() {
            mappings.are_heap_at_arenas();
        }
        mappings.take_out_own();
        self.for_each_thread(&mut |cells| {
            if cells.state.load(Ordering::Relaxed) == THREAD_TAKEN {
                mappings.take_out_stack(cells.stack_top.load(Ordering::Relaxed) as usize);
            }
        });
        // Data of libraries where no file is.
        let modules = self.store.header().module_count.load(Ordering::Acquire) as usize;
        for module in (0..modules).filter_map(|at| self.store.modules.get(at)) {
            let [start, end] =
                [&module.start, &module.end].map(|cell| cell.load(Ordering::Relaxed) as usize);
            mappings.take_out_program(start, end);
        }
        self.sampled.each(|block| self.add_block(block, survey));
    }

    fn add_block(&self, block: Block, survey: &mut Survey) {
        let weight = self.weight(block);
        let stands_for = weight.count as f64 / (1u64 << COUNT_FRACTION_BITS) as f64;
        let live = LiveBlock {
            address: block.address(),
            size: block.size() as usize,
            stands_for,
        };
        let (sizes, mappings) = (survey.sizes, &mut survey.mappings);
        let Some(touched) = survey.sums.add(live, sizes, mappings) else {
            return;
        };
        let Some(cells) = self.touched_at(block.stack(), survey.time_ns) else {
            return;
        };
        let untouched = block.size().saturating_sub(touched.resident) as f64;
        let resident = weight.bytes as f64 - untouched * stands_for;
        cells.bytes.fetch_add(weight.bytes, Ordering::Relaxed);
        (cells.resident).fetch_add(resident.max(0.0) as u64, Ordering::Relaxed);
        cells.count.fetch_add(weight.count, Ordering::Relaxed);
        add_variance(&cells.variance, heap::variance(untouched, stands_for));
    }

    /// What blocks in use pin. `None` where not all of them are known, one by one.
    fn pinned(&self, survey: &Survey) -> Option<f64> {
        let header = self.store.header();
        let is_zero = |cell: &AtomicU64| cell.load(Ordering::Relaxed) == 0;
        let knows_all = is_zero(&header.interval_widest)
            && is_zero(&header.heap_base)
            && is_zero(&header.lost_blocks);
        if !knows_all {
            return None;
        }
        let mut pages = Pages::of(&survey.mappings)?;
        let taken = |block: Block| {
            let size = block.size() as usize;
            (
                block.address(),
                size + survey.sizes.rounding(size).unwrap_or(0),
            )
        };
        self.sampled.each(|block| {
            let (address, len) = taken(block);
            pages.take(address, len);
        });
        let mut sum = 0.0;
        self.sampled.each(|block| {
            let (address, len) = taken(block);
            let pinned = pages.pinned(address, len);
            sum += pinned;
            if pinned >= 0.5
                && let Some(cells) = self.touched_at(block.stack(), survey.time_ns)
            {
                cells
                    .pinned
                    .fetch_add(pinned.round() as u64, Ordering::Relaxed);
            }
        });
        Some(sum)
    }

    /// The record of a stack for the account of that time; the first to ask empties it. Only who
    /// takes an account asks, one thread at a time.
    fn touched_at(&self, stack: u32, time_ns: u64) -> Option<&'static TouchedCells> {
        let stack = stack as usize;
        let known = self.store.touched.get(stack);
        let cells = known.or_else(|| self.store.make_touched(stack))?;
        if cells.time_ns.load(Ordering::Relaxed) != time_ns {
            let figures = [
                &cells.bytes,
                &cells.resident,
                &cells.count,
                &cells.variance,
                &cells.pinned,
            ];
            for figure in figures {
                figure.store(0, Ordering::Relaxed);
            }
            cells.time_ns.store(time_ns, Ordering::Relaxed);
        }
        Some(cells)
    }
}
