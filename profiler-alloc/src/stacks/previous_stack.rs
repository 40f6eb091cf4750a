//! The stack of a thread's last walk: the next walk goes only as far as the two differ.
//!
//! How a walk goes on from a frame depends on four things: the frame's code address, its stack
//! pointer, the words of the stack that are read further out, and the frame pointer, if it is used
//! before it is read again. So where a frame is one of the last walk's, and all those words are
//! unchanged, the rest of the walk is unchanged.
//!
//! ```text
//! last walk    │ innermost … ║ … outermost │   entries are aligned to the outer end, so that
//! next walk      innermost … ║ (verified)  │   a common suffix changes only the inner ones
//! ```
//! Example: `main` calls `load`, which calls `parse` twice.
//!
//! ```text
//!            place   last walk, in the first call   next walk, in the second call
//! parse      7f..10  returns to load+0x40           load+0x58: differs, walk on
//! load       7f..50  returns to main+0x21           the same place and word: stop
//! main       7f..90  returns to _start+0x2a         not walked
//! ```

use core::sync::atomic::{AtomicU64, Ordering};

use crate::unwinder::arch;
use crate::unwinder::frame::{Fingerprint, WalkedFrame};
use crate::unwinder::modules::CodeAddress;
use crate::unwinder::stack_memory::StackMemory;
use crate::unwinder::stack_words::StackWords;

/// Words of one frame: place, site, place of the saved frame pointer with the marks below, frame
/// pointer, fingerprint of the frames from the outermost to this one; and the stack pointer, unless
/// the place tells it.
pub const ENTRY: usize = match arch::RETURN_AT {
    Some(_) => SP,
    None => SP + 1,
};
const SP: usize = 5;

/// The frame pointer of the frame further in led here.
const BY_FP: u64 = 1;
/// This frame's own frame pointer leads further out, unless it is read anew before.
const NEEDS_FP: u64 = 2;
/// See [`WalkedFrame::by_more`].
const BY_MORE: u64 = 4;
const MARKS: u64 = BY_FP | NEEDS_FP | BY_MORE;

/// A frame as it is remembered.
pub type Entry = [AtomicU64; ENTRY];

pub fn write(entry: &Entry, frame: &WalkedFrame) {
    // Places of words are multiples of 8, which leaves room for the marks.
    let mark = |is_set: bool, mark: u64| if is_set { mark } else { 0 };
    let marks = mark(frame.by_fp, BY_FP) | mark(frame.by_more, BY_MORE);
    let fp_at = frame.fp_at as u64 | marks;
    let words = [
        frame.place as u64,
        frame.site.to_bits(),
        fp_at,
        frame.fp as u64,
    ];
    for (cell, word) in entry.iter().zip(words) {
        cell.store(word, Ordering::Relaxed);
    }
    if let Some(cell) = entry.get(SP) {
        cell.store(frame.sp as u64, Ordering::Relaxed);
    }
}

pub fn read(entry: &Entry) -> WalkedFrame {
    WalkedFrame {
        sp: sp(entry),
        place: word(entry, 0) as usize,
        site: CodeAddress::from_bits(word(entry, 1)),
        fp_at: fp_at(entry),
        by_fp: word(entry, 2) & BY_FP != 0,
        by_more: word(entry, 2) & BY_MORE != 0,
        fp: word(entry, 3) as usize,
    }
}

fn word(entry: &Entry, at: usize) -> u64 {
    entry[at].load(Ordering::Relaxed)
}

fn sp(entry: &Entry) -> usize {
    (entry.get(SP)).map_or(0, |sp| sp.load(Ordering::Relaxed) as usize)
}

fn needs_fp(entry: &Entry) -> bool {
    word(entry, 2) & NEEDS_FP != 0
}

/// Whether the walk depends on the saved frame pointer that it found on its way to this frame.
fn reads_fp(entry: &Entry) -> bool {
    needs_fp(entry) && fp_at(entry) != 0
}

fn fp_at(entry: &Entry) -> usize {
    (word(entry, 2) & !MARKS) as usize
}

pub struct PreviousStack {
    entries: &'static [Entry],
    /// The innermost entry; the number of entries if there is none.
    start: usize,
    /// Number of the thread's record.
    thread: u32,
    /// Whether the walk used the frame pointer that it began with.
    needs_fp: bool,
    /// All frames of the walk are among the entries.
    is_whole: bool,
}

impl PreviousStack {
    pub fn new(entries: &'static [Entry]) -> PreviousStack {
        PreviousStack {
            entries,
            start: entries.len(),
            thread: 0,
            needs_fp: false,
            is_whole: false,
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
            && word(entry, 0) < place as u64
        {
            at += 1;
        }
        at
    }

    /// True if a walk goes on from entry `at` as from `frame`.
    #[inline]
    pub fn is(&self, at: usize, frame: &WalkedFrame) -> bool {
        self.entries.get(at).is_some_and(|entry| {
            word(entry, 0) == frame.place as u64
                && word(entry, 1) == frame.site.to_bits()
                && (ENTRY == SP || sp(entry) == frame.sp)
                && (word(entry, 3) == frame.fp as u64 || !needs_fp(entry))
        })
    }

    /// Ok if all frames outwards from entry `at` are still what they were; else the first that is
    /// not.
    #[inline]
    pub fn verify(&self, at: usize, memory: &mut StackMemory) -> Result<(), usize> {
        let entries = self.entries.get(at..).unwrap_or_default();
        let Some(outermost) = entries.last() else {
            return Ok(());
        };
        // All that is asked of the system is asked here.
        memory.read(word(outermost, 0) as usize);
        let memory = &*memory;
        let is_changed = |entry: &Entry| {
            let site = CodeAddress::from_bits(word(entry, 1));
            let there = memory.peek(word(entry, 0) as usize);
            there.map(arch::address_in) != Some(site.address())
                || (reads_fp(entry) && memory.peek(fp_at(entry)) != Some(word(entry, 3) as usize))
        };
        match entries.iter().position(is_changed) {
            Some(changed) => Err(at + changed),
            None => Ok(()),
        }
    }

    /// Copies everything that the last walk depended on, if it is known whole and there is room. If
    /// that fails on the way, nothing is left there.
    pub fn copy_words(&self, memory: &StackMemory, to: &mut StackWords<'_>) -> bool {
        let entries = &self.entries[self.start..];
        if !self.is_whole || entries.is_empty() || entries.len() > to.room() {
            return false;
        }
        to.clear();
        for entry in entries {
            let known = read(entry);
            // Of a return address, what stands there, which may be signed.
            let is_copied = (!reads_fp(entry) || to.push(known.fp_at, known.fp))
                && (memory.peek(known.place)).is_some_and(|word| to.push(known.place, word));
            if !is_copied {
                to.clear();
                return false;
            }
        }
        true
    }

    /// Whether the last walk depended on the frame pointer that it began with.
    pub fn needs_fp(&self) -> bool {
        self.needs_fp
    }

    /// The sites from the outermost to entry `at`.
    pub fn outermost_first(&self, at: usize) -> impl Iterator<Item = CodeAddress> {
        let entries = self.entries.get(at..).unwrap_or_default();
        entries.iter().rev().map(|entry| read(entry).site)
    }

    /// Remembers a walk of thread `thread` that went through `inner`, innermost first, and then on
    /// from entry `at`. Gives the fingerprint of the whole, outermost first.
    pub fn remember(&mut self, thread: u32, inner: &[Entry], at: usize) -> Fingerprint {
        let outer = self.entries.get(at);
        let mut fingerprint = outer.map_or(Fingerprint::EMPTY, |entry| {
            Fingerprint::from_bits(word(entry, 4))
        });
        let mut needs = outer.is_some_and(|entry| leads_from_within(entry, needs_fp(entry)));
        let start = at.saturating_sub(inner.len());
        let mut stays = inner.len() <= at;
        // Frames from the outermost of these on, and how many of them may be met again.
        let (mut steps, mut cut) = (0, usize::MAX);
        for (to, from) in self.entries[start..at].iter().zip(inner).rev() {
            let frame = read(from);
            fingerprint.push(frame.site);
            // What may be unloaded may change its rules.
            stays &= frame.site.stays();
            // Further in, more would have to be the same than is known here.
            if frame.by_more {
                cut = cut.min(steps);
            }
            steps += 1;
            write(to, &frame);
            if needs {
                to[2].store(word(to, 2) | NEEDS_FP, Ordering::Relaxed);
            }
            to[4].store(fingerprint.to_bits(), Ordering::Relaxed);
            needs = leads_from_within(to, needs);
        }
        self.thread = thread;
        self.is_whole = stays && cut == usize::MAX;
        self.start = match stays {
            true if self.is_whole => start,
            true => at - cut,
            false => self.entries.len(),
        };
        self.needs_fp = needs;
        fingerprint
    }

    /// Number of entries there is room for, which is also the number behind the outermost.
    pub fn end(&self) -> usize {
        self.entries.len()
    }
}

/// Whether the frame pointer of the frame further in leads to this one, or through it further out.
fn leads_from_within(entry: &Entry, needs: bool) -> bool {
    let frame = read(entry);
    frame.by_fp || (needs && frame.fp_at == 0)
}
