//! The table of one function: blocks of counters, one for each thread that is in it at the same time.

use core::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::report::ProfileReport;
use crate::counters;
use crate::own_counts::Excused;
use crate::wrappers::budget::LineUse;
use crate::wrappers::ending::{self, Ending};
use crate::wrappers::output;
use crate::wrappers::report::Report;

/// Threads that can be in the function at once, each with counters of its own; more share a block.
const BLOCKS: usize = 32;

/// What the macro knows of a function.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// Path of the function: `app::module::name`.
    pub function: &'static str,
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

/// Counters of one line.
#[derive(Debug)]
pub struct LineCells {
    pub runs: AtomicU64,
    pub allocated: AtomicU64,
    pub freed: AtomicU64,
    /// Highest heap in use after a run; `i64::MIN` before the first.
    pub mem_usage: AtomicI64,
    table: &'static Table,
}

impl LineCells {
    /// The table, if a budget of the calling thread wants to know which lines use most.
    #[inline]
    pub fn watched_by(&self) -> Option<&'static Table> {
        crate::wrappers::budget::is_watching().then_some(self.table)
    }

    fn clear(&self) {
        self.runs.store(0, Ordering::Relaxed);
        self.allocated.store(0, Ordering::Relaxed);
        self.freed.store(0, Ordering::Relaxed);
        self.mem_usage.store(i64::MIN, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Block {
    is_taken: AtomicBool,
    lines: OnceLock<Box<[LineCells]>>,
}

impl Block {
    const fn new() -> Block {
        Block {
            is_taken: AtomicBool::new(false),
            lines: OnceLock::new(),
        }
    }

    #[inline]
    fn lines(&'static self, table: &'static Table) -> &'static [LineCells] {
        match self.lines.get() {
            Some(lines) => lines,
            None => self.make_lines(table),
        }
    }

    #[cold]
    fn make_lines(&'static self, table: &'static Table) -> &'static [LineCells] {
        let _excused = Excused::begin();
        self.lines.get_or_init(|| {
            let line = |_: &u32| LineCells {
                runs: AtomicU64::new(0),
                allocated: AtomicU64::new(0),
                freed: AtomicU64::new(0),
                mem_usage: AtomicI64::new(i64::MIN),
                table,
            };
            table.about.lines.iter().map(line).collect()
        })
    }
}

/// The table of one function, of all its calls in all threads.
#[derive(Debug)]
pub struct Table {
    pub(super) about: About,
    registered: AtomicBool,
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
    lines: &'static [LineCells],
    is_shared: bool,
}

impl Taken {
    #[inline]
    pub fn lines(&self) -> &'static [LineCells] {
        self.lines
    }

    #[inline]
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }
}

impl Drop for Taken {
    #[inline]
    fn drop(&mut self) {
        if !self.is_shared {
            self.block.is_taken.store(false, Ordering::Release);
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
            ending::register(self, &self.registered);
        }
    }

    /// Counters that no other thread writes while they are taken, as long as there are any.
    #[inline]
    pub(super) fn take(&'static self) -> Taken {
        let first = counters::number() as usize;
        for step in 0..BLOCKS {
            let block = &self.blocks[(first + step) % BLOCKS];
            let is_ours = !block.is_taken.load(Ordering::Relaxed)
                && !block.is_taken.swap(true, Ordering::Acquire);
            if is_ours {
                let lines = block.lines(self);
                return Taken {
                    block,
                    lines,
                    is_shared: false,
                };
            }
        }
        Taken {
            block: &self.shared,
            lines: self.shared.lines(self),
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

    /// Prints what one call did, and forgets it. A call that shares its counters waits for the end of the program.
    pub(super) fn report_call(&'static self, own: Taken) {
        if own.is_shared {
            return;
        }
        let _excused = Excused::begin();
        let sums: Vec<LineSum> = sums_of(self.about.lines.len(), [own.lines].into_iter());
        own.lines.iter().for_each(LineCells::clear);
        drop(own);
        let baseline = sums.first().map_or(0, |line| line.mem_usage);
        output::send(&Report::Profile(ProfileReport::new(self, &sums, baseline)));
    }

    /// What the line of a slot used, by name.
    pub(in crate::wrappers) fn line_use(&self, slot: u32, bytes: i64) -> LineUse {
        LineUse {
            function: self.about.function,
            file: self.about.file,
            line: self.about.lines.get(slot as usize).copied().unwrap_or(0),
            bytes,
        }
    }

    /// What all calls so far did.
    pub(super) fn report(&'static self) -> ProfileReport {
        let blocks = self.blocks.iter().chain([&self.shared]);
        let lines = blocks.filter_map(|block| block.lines.get().map(|lines| &**lines));
        let sums = sums_of(self.about.lines.len(), lines);
        ProfileReport::new(self, &sums, self.baseline.load(Ordering::Relaxed))
    }
}

fn sums_of<'a>(count: usize, blocks: impl Iterator<Item = &'a [LineCells]>) -> Vec<LineSum> {
    let nothing = LineSum {
        runs: 0,
        allocated: 0,
        freed: 0,
        mem_usage: i64::MIN,
    };
    let mut sums = vec![nothing; count];
    for block in blocks {
        for (sum, line) in sums.iter_mut().zip(block) {
            sum.runs += line.runs.load(Ordering::Relaxed);
            sum.allocated = (sum.allocated).wrapping_add(line.allocated.load(Ordering::Relaxed));
            sum.freed = sum.freed.wrapping_add(line.freed.load(Ordering::Relaxed));
            sum.mem_usage = sum.mem_usage.max(line.mem_usage.load(Ordering::Relaxed));
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
