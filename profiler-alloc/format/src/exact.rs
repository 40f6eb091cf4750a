//! The records of the exact tables: functions with `#[profile]`, and the counters of their lines.
//!
//! ```text
//! Function ◀── Share ──▶ Line Line Line …     one for each line of the function, in one row
//!    ▲         Share ──▶ Line Line Line …     what another thread did in it at the same time
//!    └───────── ┘
//! ```

use crate::records::{Field, record};

/// [`Line::mem_usage`] of a line that never ran. *Signed.*
pub const NEVER: u64 = i64::MIN as u64;

record! {
    /// A function with `#[profile]`. Records with the same `number` are one function.
    Function, FunctionCells, 80 {
        /// Number of the function in the process, from 1. 0 while the record is being made.
        number: u32,
        /// Line of the `fn`.
        first_line: u32,
        /// Line of the closing brace.
        last_line: u32,
        /// Not used.
        flags: u32,
        /// Offset of its path (`app::module::name`) in [`Table::Strings`](crate::Table::Strings).
        name_at: u32,
        /// Bytes of it.
        name_len: u32,
        /// Offset of the path of its file, as the compiler wrote it.
        file_at: u32,
        /// Bytes of it.
        file_len: u32,
        /// Offset of the folder of its package when it was built; the file's path is relative to it
        /// or to one around it.
        folder_at: u32,
        /// Bytes of it; 0 if unknown.
        folder_len: u32,
        /// Offset of its text, each line with a line end.
        source_at: u32,
        /// Bytes of it; 0 if it was not embedded.
        source_len: u32,
        /// [`source_hash`] of its lines when it was built; 0 if unknown.
        source_hash: u64,
        /// Heap in use in the whole process when it was first called in this recording, in bytes.
        /// *Signed.*
        baseline: u64,
        /// Time of its first call in this recording, nanoseconds since the start, plus 1; 0 if not
        /// known.
        first_ns: u64,
        /// Not used.
        reserved: u64,
    }
}

record! {
    /// What one thread at a time did in one function; the shares of a function add up to its table.
    Share, ShareCells, 48 {
        /// Number of the [`Function`] record plus 1. 0 while the record is being made.
        function: u32,
        /// Number of the first of its [`Line`] records.
        lines_at: u32,
        /// How many they are.
        line_count: u32,
        /// Not used.
        flags: u32,
        /// Where a thread is in it now: number of the [`Thread`](crate::Thread) record in the upper
        /// half, number of the line in this share plus 1 in the lower half. 0 in either half:
        /// nowhere, or not known.
        open: u64,
        /// The thread's own count of bytes allocated when it came to that line.
        since_alloc_bytes: u64,
        /// The same of bytes freed.
        since_freed_bytes: u64,
        /// Time at which the last outermost call here ended or, if it is async, gave way,
        /// nanoseconds since the start, plus 1; 0 if none did.
        last_ns: u64,
    }
}

record! {
    /// Counters of one line, of the runs that are over.
    Line, LineCells, 64 {
        /// Line of the file, from 1.
        number: u32,
        /// 1 while an outer call of a recursion waits here for an inner one. What happens until
        /// then is this line's, once, and no run of it inside is counted apart.
        suspended: u32,
        /// Runs begun.
        runs: u64,
        /// Bytes allocated while it ran, callees included.
        alloc_bytes: u64,
        /// Bytes freed while it ran, callees included.
        freed_bytes: u64,
        /// Highest heap in use in the whole process after a run, in bytes; [`NEVER`] before the
        /// first. *Signed.*
        mem_usage: u64,
        /// If suspended: the thread's own count of bytes allocated when it came here.
        since_alloc_bytes: u64,
        /// The same of bytes freed.
        since_freed_bytes: u64,
        /// Not used.
        reserved: u64,
    }
}

/// FNV-1a hash of lines of source, each with a line end: tells whether a file was changed since a
/// function was built. Never 0. The macro `#[profile]` writes the same.
pub fn source_hash<'a>(lines: impl Iterator<Item = &'a str>) -> u64 {
    let bytes = lines.flat_map(|line| line.bytes().chain([b'\n']));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.max(1)
}
