//! The record of memprof's own work: counted apart from every pool, so in none of the program's
//! figures.
//!
//! While a thread does such work, the program's record waits, and may be changed there for that of
//! a recording. The own record is one for all threads: its thresholds send every operation down the
//! slow path, which adds atomically.

use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering};

use profiler_alloc_format::ThreadCells;

use crate::counters::slot::{self, current, set_current};

static OWN: ThreadCells = {
    let mut cells = ThreadCells::empty();
    cells.generation = AtomicU64::new(slot::NO_SLOT_GENERATION);
    cells
};

thread_local! {
    /// The program's record, while the thread does memprof's own work.
    static WAITING: Cell<Option<&'static ThreadCells>> = const { Cell::new(None) };
}

/// The record.
pub fn cells() -> &'static ThreadCells {
    &OWN
}

/// True for the record of memprof's own work.
#[inline]
pub fn is_own(cells: &ThreadCells) -> bool {
    core::ptr::eq(cells, &OWN)
}

/// The record in which the calling thread counts what the program does, whoever runs now.
#[inline]
pub fn of_program() -> &'static ThreadCells {
    let waiting = WAITING.try_with(Cell::get).ok().flatten();
    waiting.unwrap_or_else(current)
}

/// True while the calling thread does memprof's own work, or the program's on its behalf.
#[inline]
pub fn is_program_waiting() -> bool {
    matches!(WAITING.try_with(Cell::get), Ok(Some(_)))
}

/// Memprof's own work begins: the program's record waits. False if it has begun already.
pub fn begin() -> bool {
    let begins = !is_program_waiting();
    if begins {
        wait_in(Some(current()));
        set_current(&OWN);
    }
    begins
}

/// Memprof's own work is over.
pub fn end() {
    if let Some(cells) = WAITING.try_with(Cell::take).ok().flatten() {
        set_current(cells);
    }
}

/// In the midst of memprof's own work, the program's code runs, which counts in its own record.
/// False if it runs already.
pub fn lend() -> bool {
    let is_lent = is_own(current());
    if is_lent {
        set_current(of_program());
    }
    is_lent
}

/// Memprof's own work goes on.
pub fn go_on() {
    set_current(&OWN);
}

/// The program's record is another one from now on.
pub fn change_program_to(cells: &'static ThreadCells) {
    if is_program_waiting() {
        wait_in(Some(cells));
    }
    if !is_own(current()) {
        set_current(cells);
    }
}

fn wait_in(cells: Option<&'static ThreadCells>) {
    let _ = WAITING.try_with(|waiting| waiting.set(cells));
}

/// Heap that memprof itself has in use, beside what the recorder maps. *Bytes.*
pub fn heap() -> u64 {
    let allocated = OWN.alloc_bytes.load(Ordering::Relaxed);
    allocated.saturating_sub(OWN.freed_bytes.load(Ordering::Relaxed))
}
