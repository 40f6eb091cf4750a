//! The control page: how `memprof attach` asks a program that only counts to record itself.
//!
//! The page is a static of the recorder, at the beginning of a page of the program's data, where
//! the analyst finds it by its first 16 bytes. It is read and written through `/proc/PID/mem`, so
//! the system decides who may: the program needs no thread, socket, signal or open file for it.
//!
//! ```text
//! memprof attach                        a thread of the program, on its slow path
//! ──────────────                        ─────────────────────────────────────────
//! text, request, asked_of, answer = NONE
//! asked = next(asked)
//! thresholds of all threads = 0         takes the slow path with its next operation
//!                                       asked is not answered: begins or ends a recording
//!                                       text, answer, error
//! waits for answered to be asked        answered = asked
//! ```
//! A thread stores its thresholds before it looks at `asked`, and `asked` is written before the
//! thresholds: so a program that allocates or frees once more sees the request then.
//!
//! The kernel may copy byte by byte. Requests are numbered from 1 to 255, so only one byte changes;
//! and a threshold that is half zero is lower than it was, which does no harm.
//!
//! ```
//! use profiler_alloc_format::control::{ControlCells, TEXT_LEN, next};
//!
//! let cells = ControlCells::at_rest();
//! assert!(cells.put_text(b"MEMPROF_SAMPLE=all\0"));
//! let mut text = [0; TEXT_LEN];
//! cells.copy_text(&mut text);
//! assert!(text.starts_with(b"MEMPROF_SAMPLE=all\0\0"));
//! assert!(!cells.put_text(&[b'x'; TEXT_LEN]), "a zero has to end it");
//! assert_eq!((next(0), next(254), next(255)), (1, 255, 1));
//! ```

use core::mem::offset_of;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::records::{Field, Thread, ThreadCells, record};

/// First 16 bytes of a control page.
pub const MAGIC: [u64; 2] = [
    u64::from_le_bytes(*b"memprof\x01"),
    u64::from_le_bytes(*b"control\x9d"),
];
/// Version of the page. An analyst asks no other.
pub const VERSION: u32 = 1;
/// Where a page begins, and how long it is.
pub const PAGE_LEN: usize = 4096;
/// Bytes of the text, the zero at its end included.
pub const TEXT_LEN: usize = 8 * TEXT_WORDS;
const TEXT_WORDS: usize = 496;

/// Where the text stands in the page.
pub const TEXT_AT: usize = offset_of!(ControlCells, text);
/// Where `request`, `asked_of`, `answer` and `error` stand, side by side.
pub const REQUEST_AT: usize = offset_of!(ControlCells, request);
/// Where it stands of whom the request is; 0 takes the request back.
pub const ASKED_OF_AT: usize = offset_of!(ControlCells, asked_of);
/// Where the number of the request stands, which is written last.
pub const ASKED_AT: usize = offset_of!(ControlCells, asked);
/// Bytes from one thread's record to the next.
pub const THREAD_LEN: usize = Thread::LEN;
/// Where a thread's record has thresholds, to be set to zero.
pub const THRESHOLDS_AT: [usize; 3] = [
    offset_of!(ThreadCells, alloc_next),
    offset_of!(ThreadCells, free_next),
    offset_of!(ThreadCells, publish_frees_at),
];

/// Request: begin to record, as the text says: `NAME=value` for each of the variables of
/// [`env`](crate::env), each ended by a zero.
pub const BEGIN: u32 = 1;
/// Request: end the recording that was begun in this way.
pub const END: u32 = 2;
/// Request: keep the heap as it is then, as a mark of the recording that is under way. The text is
/// its name, ended by a zero.
pub const MARK: u32 = 3;

/// No answer: the request was made of another process, or taken back.
pub const NONE: u32 = 0;
/// Answer: done. The text is the profile's path, from the program's root.
pub const DONE: u32 = 1;
/// Answer: a recording is under way, begun by the program, by `memprof run` or by another request.
/// The text is its path.
pub const RECORDING_ALREADY: u32 = 2;
/// Answer: no recording is under way that a request began.
pub const NOT_ATTACHED: u32 = 3;
/// Answer: the program runs with more rights than its caller.
pub const PRIVILEGED: u32 = 4;
/// Answer: the profile could not be made; `error` is the system's number, or 0 if the name or all
/// names beside it are taken.
pub const NO_FILE: u32 = 5;
/// Answer: the system refuses memory.
pub const NO_MEMORY: u32 = 6;
/// Answer: the request makes no sense to this recorder.
pub const UNKNOWN: u32 = 7;
/// Answer: no recording is under way that a mark could be kept in.
pub const NOT_RECORDING: u32 = 8;
/// Answer: there are as many marks as a recording keeps.
pub const NO_MORE_MARKS: u32 = 9;

/// The number of the request after the one numbered `answered`.
pub const fn next(answered: u64) -> u64 {
    answered % 255 + 1
}

record! {
    /// The control page, as the analyst reads it.
    Control, ControlCells, 4096 {
        /// [`MAGIC`].
        magic: [u64; 2],
        /// [`VERSION`].
        version: u32,
        /// Not used.
        reserved: u32,
        /// Number of the latest request.
        asked: u64,
        /// Number of the latest request that was answered. The same as `asked` at rest.
        answered: u64,
        /// [`BEGIN`], [`END`] or [`MARK`].
        request: u32,
        /// Whom it is asked of: the process's number as the process itself knows it. A child that
        /// was forked meanwhile has a copy of the request.
        asked_of: u32,
        /// One of the answers.
        answer: u32,
        /// With it, a number of the system's.
        error: u32,
        /// Address of the heap in use, in bytes, a signed word. 0 before the program's first
        /// allocation.
        heap_at: u64,
        /// Address of the [`Thread`] records that threads count in.
        threads_at: u64,
        /// Address of the number of those records.
        thread_count_at: u64,
        /// Of the request, then of the answer.
        text: [u64; 496],
        /// Not used.
        reserved_words: [u64; 6],
    }
}

impl ControlCells {
    /// The page of a program of which nothing was asked yet.
    pub const fn at_rest() -> ControlCells {
        let mut cells = ControlCells::empty();
        cells.magic = [AtomicU64::new(MAGIC[0]), AtomicU64::new(MAGIC[1])];
        cells.version = AtomicU32::new(VERSION);
        cells
    }

    /// Puts text and zeros. False if it is too long.
    pub fn put_text(&self, text: &[u8]) -> bool {
        if text.len() >= TEXT_LEN {
            return false;
        }
        let mut rest = text;
        for cell in &self.text {
            let (part, after) = rest.split_at(rest.len().min(8));
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            cell.store(u64::from_le_bytes(word), Ordering::Relaxed);
            rest = after;
        }
        true
    }

    /// Copies the text, with the zeros behind it.
    pub fn copy_text(&self, into: &mut [u8]) {
        for (part, cell) in into.chunks_mut(8).zip(&self.text) {
            let word = cell.load(Ordering::Relaxed).to_le_bytes();
            part.copy_from_slice(&word[..part.len()]);
        }
    }
}

impl Control {
    /// True of a page that a recorder of this version left.
    pub fn is_valid(&self) -> bool {
        (self.magic, self.version) == (MAGIC, VERSION)
    }
}
