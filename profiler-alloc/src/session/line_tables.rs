//! The exact tables of a recording: makes the records that the probes of `#[profile]` then write themselves.
//!
//! What is made here is made once for a function and for each thread that is in it at the same time. The callers are the
//! wrappers, not the allocator: they may wait.

use std::sync::{Mutex, PoisonError};

use core::sync::atomic::{AtomicU64, Ordering};

use profiler_alloc_format::{LineCells, NEVER, ShareCells};

use crate::ffi::memory::Zeroed;
use crate::profile_file::store::Records;
use crate::session::Recorder;

/// One maker at a time, so that no function gets two records.
static MAKING: Mutex<()> = Mutex::new(());

/// How often to try again while another thread grows the file.
const TRIES: usize = 1000;

/// What the file says of a function.
#[derive(Clone, Copy, Debug)]
pub struct Profiled {
    /// Its number in the process, from 1.
    pub number: u32,
    /// Its path.
    pub name: &'static str,
    pub file: &'static str,
    pub folder: &'static str,
    /// Its text; empty if not embedded.
    pub source: &'static str,
    pub source_hash: u64,
    /// First and last line.
    pub span: (u32, u32),
    /// The line of each counter.
    pub lines: &'static [u32],
    /// Heap in use now, in bytes.
    pub heap: i64,
}

/// The counters of one share.
#[derive(Clone, Copy, Debug)]
pub struct Counters {
    pub share: &'static ShareCells,
    pub lines: &'static [LineCells],
}

impl Recorder {
    /// The counters of share number `share`.
    #[inline]
    pub fn share(&self, share: u32) -> Option<Counters> {
        let share = self.store.shares.get(share as usize)?;
        let lines_at = share.lines_at.load(Ordering::Relaxed) as usize;
        let count = share.line_count.load(Ordering::Relaxed) as usize;
        let lines = self.store.lines.get_many(lines_at, count)?;
        Some(Counters { share, lines })
    }

    /// Makes a share of `function` and gives its number. `None`, which is counted as a loss, if the file has no room.
    #[cold]
    pub fn make_share(&self, function: &Profiled) -> Option<u32> {
        let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        let made = self
            .function(function)
            .and_then(|number| self.make_lines(number, function.lines));
        if made.is_none() {
            self.lost_call();
        }
        made
    }

    /// A call of a function begins that is added when it ends: the file is told when the first one began.
    #[cold]
    pub fn announce(&self, function: &Profiled) {
        let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        self.function(function);
    }

    /// The last call so far in a share has ended, or gives way.
    pub fn left(&self, share: &ShareCells) {
        let last_ns = self.clock.now().wrapping_add(1);
        share.last_ns.store(last_ns, Ordering::Relaxed);
    }

    /// A call is not in the file.
    pub fn lost_call(&self) {
        let lost = &self.store.header().lost_calls;
        lost.fetch_add(1, Ordering::Relaxed);
    }

    /// The lines of all shares of the function numbered `number` in the process.
    pub fn for_each_share(&self, number: u32, mut visit: impl FnMut(&'static [LineCells])) {
        let count = self.store.header().share_count.load(Ordering::Acquire) as u32;
        for at in 0..count {
            let Some(counters) = self.share(at) else {
                continue;
            };
            // One being made has no function yet.
            let function = counters.share.function.load(Ordering::Acquire) as usize;
            let record = function
                .checked_sub(1)
                .and_then(|function| self.store.functions.get(function));
            if record.is_some_and(|record| record.number.load(Ordering::Relaxed) == number) {
                visit(counters.lines);
            }
        }
    }

    /// Number of the function's record in the file, made if need be.
    fn function(&self, function: &Profiled) -> Option<u32> {
        let header = self.store.header();
        let count = header.function_count.load(Ordering::Acquire) as usize;
        let known = (0..count).find(|&at| {
            let record = self.store.functions.get(at);
            record.is_some_and(|record| record.number.load(Ordering::Relaxed) == function.number)
        });
        if let Some(known) = known {
            return Some(known as u32);
        }
        let name = self.add_string(function.name)?;
        let file = self.add_string(function.file)?;
        let folder = self.add_string(function.folder)?;
        // Without room for its text, it is looked for as any other.
        let source = self.add_string(function.source);
        let source = source.unwrap_or_default();
        let at = self.take(&self.store.functions, &header.function_count, 1)?;
        let record = self.store.functions.get(at)?;
        for (cell, value) in [
            (&record.first_line, function.span.0),
            (&record.last_line, function.span.1),
            (&record.name_at, name.0),
            (&record.name_len, name.1),
            (&record.file_at, file.0),
            (&record.file_len, file.1),
            (&record.folder_at, folder.0),
            (&record.folder_len, folder.1),
            (&record.source_at, source.0),
            (&record.source_len, source.1),
        ] {
            cell.store(value, Ordering::Relaxed);
        }
        let hash = function.source_hash;
        record.source_hash.store(hash, Ordering::Relaxed);
        let heap = function.heap as u64;
        record.baseline.store(heap, Ordering::Relaxed);
        let first_ns = self.clock.now().wrapping_add(1);
        record.first_ns.store(first_ns, Ordering::Relaxed);
        record.number.store(function.number, Ordering::Release);
        Some(at as u32)
    }

    fn make_lines(&self, function: u32, lines: &[u32]) -> Option<u32> {
        let header = self.store.header();
        let lines_at = self.take(&self.store.lines, &header.line_count, lines.len())?;
        let at = self.take(&self.store.shares, &header.share_count, 1)?;
        let share = self.store.shares.get(at)?;
        let cells = self.store.lines.get_many(lines_at, lines.len())?;
        for (cell, &number) in cells.iter().zip(lines) {
            cell.mem_usage.store(NEVER, Ordering::Relaxed);
            cell.number.store(number, Ordering::Relaxed);
        }
        share.lines_at.store(lines_at as u32, Ordering::Relaxed);
        share
            .line_count
            .store(lines.len() as u32, Ordering::Relaxed);
        share.function.store(function + 1, Ordering::Release);
        Some(at as u32)
    }

    fn take<T: Zeroed>(
        &self,
        records: &Records<T>,
        count: &AtomicU64,
        many: usize,
    ) -> Option<usize> {
        self.patiently(records, || self.store.take_many(records, count, many))
    }

    fn add_string(&self, text: &str) -> Option<(u32, u32)> {
        let add = || self.store.add_string(text.as_bytes());
        self.patiently(&self.store.strings, add)
    }

    /// Tries again while another thread is growing the file.
    fn patiently<T: Zeroed, R>(
        &self,
        records: &Records<T>,
        attempt: impl Fn() -> Option<R>,
    ) -> Option<R> {
        for _ in 0..TRIES {
            let result = attempt();
            if result.is_some() || self.store.is_refused() || records.is_full() {
                return result;
            }
            std::thread::yield_now();
        }
        None
    }
}
