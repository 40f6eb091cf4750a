//! The table of one function: blocks of counters, one for each thread that is in it at the same
//! time.

use core::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use profiler_alloc_format::LineCells;

use super::block::{self, Block, Place};
use super::report::ProfileReport;
use crate::counters::heap;
use crate::counters::slot;
use crate::counters::thread_counts::Excused;
use crate::measure::exit::{self, Ending};
use crate::measure::limits::LineUse;
use crate::measure::output;
use crate::measure::report::Report;
use crate::session;
use crate::session::line_tables::Profiled;

/// Threads that can be in the function at once, each with counters of its own; more share a block.
const BLOCKS: usize = 32;

/// What the macro knows of a function.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// Path of the function: `app::module::name`.
    pub function: &'static str,
    /// What the compiler calls an item inside the table's static, whose path has the function's
    /// type too: `app::module::Type::name::__MEMPROF_TABLE::here`.
    pub here: Option<fn() -> &'static str>,
    /// As `file!()` gives it.
    pub file: &'static str,
    /// Folder of the package's Cargo.toml when it was built.
    pub manifest_dir: Option<&'static str>,
    /// First and last line of the function.
    pub span: (u32, u32),
    /// The line of each slot; that of slot 0 is the `fn`.
    pub lines: &'static [u32],
    /// The function's text, if embedded.
    pub source: Option<&'static str>,
    /// FNV-1a hash of the function's lines when it was built; 0 if unknown.
    pub source_hash: u64,
    /// Columns beside mem usage and increment.
    pub columns: Columns,
    /// Decimal places of bytes.
    pub precision: usize,
    /// A table after each call, instead of one at the end.
    pub each_call: bool,
}

impl About {
    /// Path of the function, with its type if it is a method.
    pub(super) fn name(&self) -> &'static str {
        let whole = self
            .here
            .and_then(|here| here().strip_suffix("::__MEMPROF_TABLE::here"));
        // The body of an `async fn` is a closure to the compiler.
        whole.map_or(self.function, |whole| {
            whole.trim_end_matches("::{{closure}}")
        })
    }
}

/// Columns beside mem usage and increment.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Columns {
    /// Runs of the line.
    pub occurrences: bool,
    /// Bytes allocated.
    pub allocated: bool,
    /// Bytes freed.
    pub freed: bool,
}

/// The table of one function, of all its calls in all threads.
#[derive(Debug)]
pub struct Table {
    pub(super) about: About,
    registered: AtomicBool,
    /// Number of the function in the process, from 1.
    number: AtomicU32,
    /// Heap in use when the function was first called; `i64::MIN` before.
    baseline: AtomicI64,
    /// Calls when the table was last printed.
    printed: AtomicU64,
    blocks: [Block; BLOCKS],
    shared: Block,
}

/// A block that belongs to a thread, or the one that is shared.
#[derive(Debug)]
pub struct Taken {
    block: &'static Block,
    is_shared: bool,
}

impl Taken {
    pub fn block(&self) -> &'static Block {
        self.block
    }

    #[inline]
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Where its counters are now. Those of one call alone, which is to be reported when it ends,
    /// are not in the file.
    #[inline]
    pub fn place(&self, table: &'static Table) -> Place {
        match table.about.each_call {
            true => self.block.private_place(table),
            false => self.block.place(table, self.is_shared),
        }
    }
}

impl Drop for Taken {
    #[inline]
    fn drop(&mut self) {
        if !self.is_shared {
            self.block.release();
        }
    }
}

/// Sums of one line.
#[derive(Clone, Copy, Debug)]
pub(super) struct LineSum {
    pub runs: u64,
    pub allocated: u64,
    pub freed: u64,
    pub mem_usage: i64,
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
    /// Without any calls.
    pub const fn new(about: About) -> Table {
        Table {
            about,
            registered: AtomicBool::new(false),
            number: AtomicU32::new(0),
            baseline: AtomicI64::new(i64::MIN),
            printed: AtomicU64::new(0),
            blocks: [const { Block::new() }; BLOCKS],
            shared: Block::new(),
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
        let _excused = Excused::begin();
        let mut tables = TABLES.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.registered.load(Ordering::Relaxed) {
            tables.push(self);
            let number = u32::try_from(tables.len()).unwrap_or(u32::MAX);
            self.number.store(number, Ordering::Relaxed);
            exit::register(self, &self.registered);
        }
    }

    /// Counters that no other thread writes while they are taken, as long as there are any.
    #[inline]
    pub(super) fn take(&'static self) -> Taken {
        let first = slot::number() as usize;
        for step in 0..BLOCKS {
            let block = &self.blocks[(first + step) % BLOCKS];
            if block.try_take() {
                return Taken {
                    block,
                    is_shared: false,
                };
            }
        }
        Taken {
            block: &self.shared,
            is_shared: true,
        }
    }

    #[inline]
    pub(super) fn reports_each_call(&self) -> bool {
        self.about.each_call
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
    pub(super) fn report_call(&'static self, own: Taken, heap: i64) {
        if own.is_shared {
            if let Some(recorder) = session::current().filter(|recorder| recorder.is_ours()) {
                recorder.lost_call();
            }
            return;
        }
        let _excused = Excused::begin();
        let lines = own.block.lines(self);
        let sums = sums_of(self.about.lines.len(), &[lines]);
        lines.iter().for_each(block::clear);
        drop(own);
        self.add_to_recording(&sums);
        output::send(&Report::Profile(ProfileReport::new(self, &sums, heap)));
    }

    /// A call begins that is counted apart: the file of a recording is told when the first one did.
    #[cold]
    pub(super) fn announce(&'static self) {
        if let Some(recorder) = session::current().filter(|recorder| recorder.is_ours()) {
            let _excused = Excused::begin();
            recorder.announce(&self.profiled());
        }
    }

    /// What the file of a recording is told of a call that was counted apart.
    fn add_to_recording(&'static self, sums: &[LineSum]) {
        let taken = self.take();
        let place = taken.block.place(self, taken.is_shared);
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

    /// What a recording's file says of the function.
    pub(super) fn profiled(&self) -> Profiled {
        let about = &self.about;
        Profiled {
            number: self.number.load(Ordering::Relaxed),
            name: about.name(),
            file: about.file,
            folder: about.manifest_dir.unwrap_or_default(),
            source: about.source.unwrap_or_default(),
            source_hash: about.source_hash,
            span: about.span,
            lines: about.lines,
            heap: heap::heap(),
        }
    }

    /// What the line of a slot used, by name.
    pub(in crate::measure) fn line_use(&self, slot: u32, bytes: i64) -> LineUse {
        LineUse {
            function: self.about.name(),
            file: self.about.file,
            line: self.about.lines.get(slot as usize).copied().unwrap_or(0),
            bytes,
        }
    }

    /// What all calls so far did.
    pub(super) fn report(&'static self) -> ProfileReport {
        let blocks = self.blocks.iter().chain([&self.shared]);
        let mut shares: Vec<&[LineCells]> = blocks.filter_map(Block::known_lines).collect();
        // Calls of an `each_call` function that are in a file were reported.
        if !self.about.each_call {
            let number = self.number.load(Ordering::Relaxed);
            let mut recorder = session::latest();
            while let Some(each) = recorder {
                each.for_each_share(number, |lines| shares.push(lines));
                recorder = each.previous;
            }
        }
        let sums = sums_of(self.about.lines.len(), &shares);
        ProfileReport::new(self, &sums, self.baseline.load(Ordering::Relaxed))
    }
}

fn sums_of(count: usize, shares: &[&[LineCells]]) -> Vec<LineSum> {
    let nothing = LineSum {
        runs: 0,
        allocated: 0,
        freed: 0,
        mem_usage: i64::MIN,
    };
    let mut sums = vec![nothing; count];
    for share in shares {
        for (sum, line) in sums.iter_mut().zip(*share) {
            sum.runs += line.runs.load(Ordering::Relaxed);
            sum.allocated = (sum.allocated).wrapping_add(line.alloc_bytes.load(Ordering::Relaxed));
            sum.freed = (sum.freed).wrapping_add(line.freed_bytes.load(Ordering::Relaxed));
            sum.mem_usage = (sum.mem_usage).max(line.mem_usage.load(Ordering::Relaxed) as i64);
        }
    }
    sums
}

impl Ending for Table {
    fn at_end(&self) {
        let _excused = Excused::begin();
        let this = all().into_iter().find(|table| core::ptr::eq(*table, self));
        let Some(report) = this.map(Table::report) else {
            return;
        };
        if self.printed.swap(report.calls, Ordering::Relaxed) != report.calls {
            output::send(&Report::Profile(report));
        }
    }
}
