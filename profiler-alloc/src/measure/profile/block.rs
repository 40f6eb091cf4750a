//! A block of counters: belongs to one thread while that is in the function. The counters are in
//! the profile file while a recording is active, in private memory otherwise.
//!
//! ```text
//! block ──▶ no recording ──▶ lines of its own
//!   └─────▶ recording n  ──▶ share number s of that recording's file
//! ```
//! A probe asks one word whether its counters are still the right ones: it changes when a recording
//! starts, when it ends, and in a forked child, which must not write its parent's file.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::OnceLock;

use profiler_alloc_format::{LineCells, NEVER, ShareCells};

use super::function::Function;
use crate::counters::own_work;
use crate::counters::slot;
use crate::counters::thread_counts::Untracked;
use crate::session::line_tables::Counters;
use crate::session::threads;
use crate::session::{self, Recorder};
use crate::slow_path;

static UNCHANGING: AtomicU64 = AtomicU64::new(0);

#[derive(Debug)]
pub struct CounterBlock {
    is_taken: AtomicBool,
    share: ShareCells,
    lines: OnceLock<Box<[LineCells]>>,
    /// The recording that it has a share of, in the upper half, and the number of the share.
    recorded: AtomicU64,
}

/// Where a thread counts.
#[derive(Clone, Copy, Debug)]
pub struct CounterPlace {
    pub counters: Counters,
    /// As long as the word says this, the place is the right one.
    pub valid: (&'static AtomicU64, u64),
    /// Whether the counters are in the file of a recording.
    pub is_recorded: bool,
    /// Number of the thread's record in the file, in the upper half; 0 if the counters are not in
    /// the file or not the thread's own.
    pub thread: u64,
}

impl CounterBlock {
    pub const fn new() -> CounterBlock {
        CounterBlock {
            is_taken: AtomicBool::new(false),
            share: ShareCells::empty(),
            lines: OnceLock::new(),
            recorded: AtomicU64::new(0),
        }
    }

    /// Takes the block, if nobody has.
    #[inline]
    pub fn try_take(&self) -> bool {
        !self.is_taken.load(Ordering::Relaxed) && !self.is_taken.swap(true, Ordering::Acquire)
    }

    #[inline]
    pub fn release(&self) {
        self.is_taken.store(false, Ordering::Release);
    }

    /// The private lines, if there are any.
    pub fn known_lines(&self) -> Option<&[LineCells]> {
        self.lines.get().map(|lines| &**lines)
    }

    /// The private lines.
    #[inline]
    pub fn lines(&'static self, function: &'static Function) -> &'static [LineCells] {
        match self.lines.get() {
            Some(lines) => lines,
            None => self.make_lines(function),
        }
    }

    #[cold]
    fn make_lines(&'static self, function: &'static Function) -> &'static [LineCells] {
        let _untracked = Untracked::begin();
        self.lines.get_or_init(|| {
            let lines = function.about.lines.iter();
            let lines: Box<[LineCells]> = lines.map(|_| LineCells::empty()).collect();
            lines.iter().for_each(clear);
            lines
        })
    }

    /// In private memory, whatever is recorded.
    pub fn private_place(&'static self, function: &'static Function) -> CounterPlace {
        CounterPlace {
            counters: Counters {
                share: &self.share,
                lines: self.lines(function),
            },
            valid: (&UNCHANGING, 0),
            is_recorded: false,
            thread: 0,
        }
    }

    /// In private memory until the next probe, which is to ask again.
    pub fn passing_place(&'static self, function: &'static Function) -> CounterPlace {
        CounterPlace {
            valid: (&UNCHANGING, 1),
            ..self.private_place(function)
        }
    }

    /// The place that is right now, for the calling thread. `is_shared` if other threads count
    /// there too.
    #[inline]
    pub fn place(&'static self, function: &'static Function, is_shared: bool) -> CounterPlace {
        let started = session::started();
        let before = started.load(Ordering::Acquire);
        if let Some(recorder) = session::current().filter(|recorder| recorder.is_ours())
            && let Some(place) = self.recorded_place(recorder, function, is_shared)
        {
            return place;
        }
        CounterPlace {
            valid: (started, before),
            ..self.private_place(function)
        }
    }

    #[inline]
    fn recorded_place(
        &'static self,
        recorder: &'static Recorder,
        function: &'static Function,
        is_shared: bool,
    ) -> Option<CounterPlace> {
        let recorded = self.recorded.load(Ordering::Acquire);
        let number = match recorded >> 32 == recorder.generation {
            true => recorded as u32,
            false => self.make_share(recorder, function)?,
        };
        let thread = match is_shared {
            true => 0,
            false if threads::has_joined(own_work::of_program(), Some(recorder)) => slot::number(),
            false => slow_path::join(recorder),
        };
        Some(CounterPlace {
            counters: recorder.share(number)?,
            valid: recorder.active_word(),
            is_recorded: true,
            thread: u64::from(thread) << 32,
        })
    }

    #[cold]
    fn make_share(&self, recorder: &'static Recorder, function: &'static Function) -> Option<u32> {
        let _untracked = Untracked::begin();
        // Threads that share a block may come here at once: each then has a share of its own until
        // the next call.
        let number = recorder.make_share(&function.profiled())?;
        let recorded = recorder.generation << 32 | u64::from(number);
        self.recorded.store(recorded, Ordering::Release);
        Some(number)
    }
}

/// As before the first run.
pub fn clear(line: &LineCells) {
    line.runs.store(0, Ordering::Relaxed);
    line.alloc_bytes.store(0, Ordering::Relaxed);
    line.freed_bytes.store(0, Ordering::Relaxed);
    line.mem_usage.store(NEVER, Ordering::Relaxed);
}
