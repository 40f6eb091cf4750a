//! Where the resident memory is, now: the account that the file keeps of it, at a slow beat and
//! when the program ends.
//!
//! An account takes a thread some milliseconds in a large program: the system goes through all
//! pages. So it takes 0.4 % of the program's time at most, and no other thread waits for it but one
//! that maps memory meanwhile, for as long as the system reads one page of text.

use core::sync::atomic::Ordering;

use profiler_alloc_format::account::{Account, KNOWS_ROUNDING, TOO_MANY_MAPPINGS};
use profiler_alloc_format::{COUNT_FRACTION_BITS, THREAD_TAKEN};

use super::{Recorder, threads};
use crate::counters::{heaps, installed};
use crate::ffi::os;
use crate::resident::block_sizes::{self, BlockSizes};
use crate::resident::heap::{self, HeapSums, LiveBlock};
use crate::resident::mappings::Mappings;
use crate::sampling::at_peak::add_variance;
use crate::sampling::block::Block;

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
        let sizes = BlockSizes::of_program();
        let header = self.store.header();
        let mut mappings = Mappings::read(header.inode.load(Ordering::Relaxed))?;
        let in_use = threads::process_totals().heap() + heaps::in_use(heaps::C_HEAP);
        let time_ns = now_ns.saturating_add(1);
        if sizes.has_arenas() {
            mappings.are_heap_at_arenas();
        }
        mappings.take_out_own();
        self.take_out_others(&mut mappings);
        let mut sums = HeapSums::default();
        (self.sampled)
            .each(|block| self.add_block(block, time_ns, sizes, &mut sums, &mut mappings));
        let (regions, others) = mappings.anonymous();
        // What an allocator says it has beyond the mappings that blocks lie in, is in others.
        let own_mappings = (sums.own_mappings as u64)
            .max(
                sizes
                    .resident()
                    .map_or(0, |resident| resident.saturating_sub(regions)),
            )
            .min(others);
        let parts = mappings.parts;
        let is_known = !matches!(sizes, BlockSizes::Unknown);
        Some(Account {
            time_ns,
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
            known: u64::from(is_known) * KNOWS_ROUNDING
                | u64::from(mappings.is_cut()) * TOO_MANY_MAPPINGS,
            cost_ns: os::now_ns().saturating_sub(start),
            ..Account::empty()
        })
    }

    /// What is anonymous and no heap: stacks of threads, and data of libraries where no file is.
    fn take_out_others(&self, mappings: &mut Mappings) {
        self.for_each_thread(&mut |cells| {
            if cells.state.load(Ordering::Relaxed) == THREAD_TAKEN {
                mappings.take_out_stack(cells.stack_top.load(Ordering::Relaxed) as usize);
            }
        });
        let modules = self.store.header().module_count.load(Ordering::Acquire) as usize;
        for module in (0..modules).filter_map(|at| self.store.modules.get(at)) {
            let [start, end] =
                [&module.start, &module.end].map(|cell| cell.load(Ordering::Relaxed) as usize);
            mappings.take_out_program(start, end);
        }
    }

    fn add_block(
        &self,
        block: Block,
        time_ns: u64,
        sizes: BlockSizes,
        sums: &mut HeapSums,
        mappings: &mut Mappings,
    ) {
        let weight = self.weight(block);
        let stands_for = weight.count as f64 / (1u64 << COUNT_FRACTION_BITS) as f64;
        let live = LiveBlock {
            address: block.address(),
            size: block.size() as usize,
            stands_for,
        };
        let Some(touched) = sums.add(live, sizes, mappings) else {
            return;
        };
        let stack = block.stack() as usize;
        let known = self.store.touched.get(stack);
        let Some(cells) = known.or_else(|| self.store.make_touched(stack)) else {
            return;
        };
        // Only who takes an account writes here, one at a time.
        if cells.time_ns.load(Ordering::Relaxed) != time_ns {
            cells.bytes.store(0, Ordering::Relaxed);
            cells.resident.store(0, Ordering::Relaxed);
            cells.count.store(0, Ordering::Relaxed);
            cells.variance.store(0, Ordering::Relaxed);
            cells.time_ns.store(time_ns, Ordering::Relaxed);
        }
        let untouched = block.size().saturating_sub(touched.resident) as f64;
        let resident = weight.bytes as f64 - untouched * stands_for;
        cells.bytes.fetch_add(weight.bytes, Ordering::Relaxed);
        (cells.resident).fetch_add(resident.max(0.0) as u64, Ordering::Relaxed);
        cells.count.fetch_add(weight.count, Ordering::Relaxed);
        add_variance(&cells.variance, heap::variance(untouched, stands_for));
    }
}
