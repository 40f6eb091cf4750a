//! The table of one function: blocks of counters, one for each thread that is in it at the same
//! time.

use core::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use profiler_alloc_format::LineCells;

use super::block::{self, CounterBlock, CounterPlace};
use super::function::{About, Function};
use super::summing::{LineSum, report_of, sums_of};
use crate::counters::slot;
use crate::counters::thread_counts::Untracked;
use crate::measure::exit::{self, ExitHook};
use crate::measure::output;
use crate::measure::report::Report;
use crate::measure::report::profile::ProfileReport;
use crate::session;

/// Threads that can be in the function at once, each with counters of its own; more share a block.
const BLOCKS: usize = 32;

/// The table of one function, of all its calls in all threads.
#[derive(Debug)]
pub struct Table {
    function: Function,
    registered: AtomicBool,
    /// Heap in use when the function was first called; `i64::MIN` before.
    baseline: AtomicI64,
    /// Calls when the table was last printed.
    printed: AtomicU64,
    blocks: [CounterBlock; BLOCKS],
    shared: CounterBlock,
}

/// A block that belongs to a thread, or the one that is shared.
#[derive(Debug)]
pub struct TakenBlock {
    block: &'static CounterBlock,
    is_shared: bool,
}

impl TakenBlock {
    pub fn block(&self) -> &'static CounterBlock {
        self.block
    }

    #[inline]
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Where its counters are now. Those of one call alone, which is to be reported when it ends,
    /// are not in the file.
    #[inline]
    pub fn place(&self, table: &'static Table) -> CounterPlace {
        match table.function.about.each_call {
            true => self.block.private_place(&table.function),
            false => self.block.place(&table.function, self.is_shared),
        }
    }
}

impl Drop for TakenBlock {
    #[inline]
    fn drop(&mut self) {
        if !self.is_shared {
            self.block.release();
        }
    }
}

static TABLES: Mutex<Vec<&'static Table>> = Mutex::new(Vec::new());

/// All tables of functions that were called, in the order of their first calls.
pub(super) fn all() -> Vec<&'static Table> {
    TABLES
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

impl Table {
    /// What stands still of the function.
    pub(super) fn function(&'static self) -> &'static Function {
        &self.function
    }

    /// Without any calls.
    pub const fn new(about: About) -> Table {
        Table {
            function: Function::new(about),
            registered: AtomicBool::new(false),
            baseline: AtomicI64::new(i64::MIN),
            printed: AtomicU64::new(0),
            blocks: [const { CounterBlock::new() }; BLOCKS],
            shared: CounterBlock::new(),
        }
    }

    #[inline]
    pub(super) fn register(&'static self) {
        if !self.registered.load(Ordering::Relaxed) {
            self.register_slow();
        }
    }

    #[cold]
    fn register_slow(&'static self) {
        let _untracked = Untracked::begin();
        let mut tables = TABLES.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.registered.load(Ordering::Relaxed) {
            tables.push(self);
            let number = u32::try_from(tables.len()).unwrap_or(u32::MAX);
            self.function.set_number(number);
            exit::register(self, &self.registered);
        }
    }

    /// Counters that no other thread writes while they are taken, as long as there are any.
    #[inline]
    pub(super) fn take(&'static self) -> TakenBlock {
        let first = slot::number() as usize;
        for step in 0..BLOCKS {
            let block = &self.blocks[(first + step) % BLOCKS];
            if block.try_take() {
                return TakenBlock {
                    block,
                    is_shared: false,
                };
            }
        }
        TakenBlock {
            block: &self.shared,
            is_shared: true,
        }
    }

    #[inline]
    pub(super) fn reports_each_call(&self) -> bool {
        self.function.about.each_call
    }

    /// A call begins, with so much heap in use.
    #[inline]
    pub(super) fn called(&self, heap: i64) {
        if self.baseline.load(Ordering::Relaxed) == i64::MIN {
            let _ = self.baseline.compare_exchange(
                i64::MIN,
                heap,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
        }
    }

    /// Prints what one call did that began with so much heap in use, and forgets it. A call that
    /// shares its counters waits for the end of the program.
    pub(super) fn report_call(&'static self, own: TakenBlock, heap: i64) {
        if own.is_shared {
            if let Some(recorder) = session::current().filter(|recorder| recorder.is_ours()) {
                recorder.lost_call();
            }
            return;
        }
        let _untracked = Untracked::begin();
        let lines = own.block.lines(&self.function);
        let sums = sums_of(self.function.about.lines.len(), &[lines]);
        lines.iter().for_each(block::clear);
        drop(own);
        self.add_to_recording(&sums);
        output::send(&Report::Profile(report_of(&self.function, &sums, heap)));
    }

    /// A call begins that is counted apart: the file of a recording is told when the first one did.
    #[cold]
    pub(super) fn announce(&'static self) {
        if let Some(recorder) = session::current().filter(|recorder| recorder.is_ours()) {
            let _untracked = Untracked::begin();
            recorder.announce(&self.function.profiled());
        }
    }

    /// What the file of a recording is told of a call that was counted apart.
    fn add_to_recording(&'static self, sums: &[LineSum]) {
        let taken = self.take();
        let place = taken.block.place(&self.function, taken.is_shared);
        if !place.is_recorded {
            return;
        }
        for (line, sum) in place.counters.lines.iter().zip(sums) {
            line.runs.fetch_add(sum.runs, Ordering::Relaxed);
            line.alloc_bytes.fetch_add(sum.allocated, Ordering::Relaxed);
            line.freed_bytes.fetch_add(sum.freed, Ordering::Relaxed);
            let higher = |mark| ((mark as i64) < sum.mem_usage).then_some(sum.mem_usage as u64);
            let _ = (line.mem_usage).fetch_update(Ordering::Relaxed, Ordering::Relaxed, higher);
        }
        if let Some(recorder) = session::current() {
            recorder.left(place.counters.share);
        }
    }

    /// What all calls so far did.
    pub(super) fn report(&'static self) -> ProfileReport {
        let blocks = self.blocks.iter().chain([&self.shared]);
        let mut shares: Vec<&[LineCells]> = blocks.filter_map(CounterBlock::known_lines).collect();
        // Calls of an `each_call` function that are in a file were reported.
        if !self.function.about.each_call {
            let number = self.function.number();
            let mut recorder = session::latest();
            while let Some(each) = recorder {
                each.for_each_share(number, |lines| shares.push(lines));
                recorder = each.previous;
            }
        }
        let sums = sums_of(self.function.about.lines.len(), &shares);
        report_of(&self.function, &sums, self.baseline.load(Ordering::Relaxed))
    }
}

impl ExitHook for Table {
    fn on_exit(&self) {
        let _untracked = Untracked::begin();
        let this = all().into_iter().find(|table| core::ptr::eq(*table, self));
        let Some(report) = this.map(Table::report) else {
            return;
        };
        if self.printed.swap(report.calls, Ordering::Relaxed) != report.calls {
            output::send(&Report::Profile(report));
        }
    }
}
