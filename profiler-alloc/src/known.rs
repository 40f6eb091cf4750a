//! The stack of a thread's last walk: the next one goes only as far as the two differ.
//!
//! Where a walk goes on from a frame depends on the frame's site, on its place, on the frame pointer there, and on the words
//! of the stack that are read further out; on nothing else, as long as the code stays. So where a frame is one of the last
//! walk's, and all those words still hold what they held, the rest of the walk is the same.
//!
//! ```text
//! last walk    │ innermost … ║ … outermost │   entries are aligned to the outer end,
//! next walk      innermost … ║ (verified)  │   so that a join changes the inner ones only
//! ```

use core::sync::atomic::{AtomicU64, Ordering};

use crate::modules::Site;
use crate::stack_memory::StackMemory;
use crate::unwind::{Fingerprint, Found};

/// Words of one frame: place, site, place of the saved frame pointer, frame pointer.
pub const ENTRY: usize = 4;

/// A frame as it is remembered.
pub type Entry = [AtomicU64; ENTRY];

pub fn write(entry: &Entry, frame: &Found) {
    let words = [
        frame.place as u64,
        frame.site.to_bits(),
        frame.fp_at as u64,
        frame.fp as u64,
    ];
    for (cell, word) in entry.iter().zip(words) {
        cell.store(word, Ordering::Relaxed);
    }
}

pub fn read(entry: &Entry) -> Found {
    let word = |at: usize| entry[at].load(Ordering::Relaxed);
    Found {
        place: word(0) as usize,
        site: Site::from_bits(word(1)),
        fp_at: word(2) as usize,
        fp: word(3) as usize,
    }
}

pub struct KnownStack {
    entries: &'static [Entry],
    /// The innermost entry; the number of entries if there is none.
    start: usize,
    /// Number of the thread's record.
    thread: u32,
}

impl KnownStack {
    pub fn new(entries: &'static [Entry]) -> KnownStack {
        KnownStack {
            entries,
            start: entries.len(),
            thread: 0,
        }
    }

    /// Where to begin with a walk of this thread.
    pub fn begin(&self, thread: u32) -> usize {
        match self.thread == thread {
            true => self.start,
            false => self.entries.len(),
        }
    }

    /// The first entry from `at` outwards that is not further in than `place`.
    #[inline]
    pub fn seek(&self, mut at: usize, place: usize) -> usize {
        while let Some(entry) = self.entries.get(at)
            && entry[0].load(Ordering::Relaxed) < place as u64
        {
            at += 1;
        }
        at
    }

    /// True if entry `at` is `frame`.
    #[inline]
    pub fn is(&self, at: usize, frame: &Found) -> bool {
        let is_it = |entry| {
            let known = read(entry);
            known.place == frame.place && known.site == frame.site && known.fp == frame.fp
        };
        self.entries.get(at).is_some_and(is_it)
    }

    /// The fingerprint with all frames outwards from entry `at`, if they are still what they were; else the first that is not.
    #[inline]
    pub fn verify(
        &self,
        at: usize,
        mut fingerprint: Fingerprint,
        memory: &mut StackMemory,
    ) -> Result<Fingerprint, usize> {
        for (at, entry) in self.entries.iter().enumerate().skip(at) {
            let known = read(entry);
            let is_same = memory.read(known.place) == Some(known.site.address())
                && (known.fp_at == 0 || memory.read(known.fp_at) == Some(known.fp));
            if !is_same {
                return Err(at);
            }
            fingerprint.push(known.site);
        }
        Ok(fingerprint)
    }

    /// The sites from the outermost to entry `at`.
    pub fn outermost_first(&self, at: usize) -> impl Iterator<Item = Site> {
        let entries = self.entries.get(at..).unwrap_or_default();
        entries.iter().rev().map(|entry| read(entry).site)
    }

    /// Remembers a walk of thread `thread` that went through `inner`, innermost first, and then on from entry `at`.
    pub fn remember(&mut self, thread: u32, inner: &[Entry], at: usize) {
        self.thread = thread;
        self.start = self.entries.len();
        let Some(start) = at.checked_sub(inner.len()) else {
            return;
        };
        for (to, from) in self.entries[start..at].iter().zip(inner) {
            let frame = read(from);
            // What may be unloaded may change its rules.
            if !frame.site.stays() {
                return;
            }
            write(to, &frame);
        }
        self.start = start;
    }

    /// Number of entries there is room for, which is also the number behind the outermost.
    pub fn end(&self) -> usize {
        self.entries.len()
    }
}
