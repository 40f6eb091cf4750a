//! What the program maps itself, for the preload library: `mmap` and its like are told here.
//!
//! ```text
//! mmap      the system ──▶ mapped: into the table, counted, perhaps sampled
//! munmap    unmapping: out of the table ──▶ the system ──▶ counted; put back if it refused
//! mprotect  reserved address space becomes accessible, and the other way
//! ```
//! A range leaves the table before the system takes it away: from then on it may be given to
//! another thread, which adds it anew.

use core::sync::atomic::Ordering;

use profiler_alloc_format::HeapCells;

use crate::counters::heaps as counts;
use crate::counters::heaps::MAPPED;
use crate::counters::slot::{self, Operation};
use crate::heaps::{count_loss, home, inside};
use crate::sampling::mappings::{MAPPINGS, OpenMappings, Range, Refused, Which};
use crate::session::Recorder;
use crate::session::mapped::Unmapped;
use crate::session::threads;
use crate::unwinder::registers::Registers;

/// Ranges that one call takes out of the table and may have to put back.
const MOST: usize = 8;

/// Where operations are counted, and the recording, if there is one.
#[derive(Clone, Copy)]
struct Home {
    recorder: Option<&'static Recorder>,
    cells: &'static HeapCells,
}

impl Home {
    fn now() -> Home {
        match home(MAPPED) {
            Some((recorder, cells)) => Home {
                recorder: Some(recorder),
                cells,
            },
            None => Home {
                recorder: None,
                cells: counts::private(MAPPED),
            },
        }
    }

    fn table(self) -> Result<OpenMappings<'static>, Refused> {
        MAPPINGS.open(self.recorder.map_or(0, |recorder| recorder.generation))
    }

    /// Something could not be done to the table.
    #[cold]
    fn lose(self) {
        self.cells.lost_mappings.fetch_add(1, Ordering::Relaxed);
    }

    /// Changes the table, and counts the loss if it cannot be had.
    fn with<T>(
        self,
        change: impl FnOnce(&mut OpenMappings<'_>) -> Result<T, Refused>,
    ) -> Option<T> {
        let changed = self.table().and_then(|mut table| change(&mut table));
        changed.inspect_err(|_| self.lose()).ok()
    }

    /// Takes all that is in `start..end` out of the table, and counts it as freed.
    fn clear(self, at: Registers, start: usize, end: usize, which: Which) {
        let taken = self.take_all(start, end, which);
        self.count_taken(at, &taken);
    }

    fn take_all(self, start: usize, end: usize, which: Which) -> Unmapped {
        let mut taken = Unmapped::NOTHING;
        while let Some(Some(part)) = self.with(|table| table.take(start, end, which)) {
            self.take(part, &mut taken);
        }
        taken
    }

    /// A part is out of the table.
    fn take(self, part: Range, taken: &mut Unmapped) {
        if part.is_reserved() {
            return;
        }
        match self.recorder {
            Some(recorder) => recorder.take_mapping(self.cells, part, taken),
            None => taken.bytes = taken.bytes.saturating_add(part.len()),
        }
    }

    fn count_taken(self, at: Registers, taken: &Unmapped) {
        if taken.bytes == 0 {
            return;
        }
        let operation = Operation::Free { size: taken.bytes };
        let counted = counts::count(MAPPED, self.cells, operation);
        let in_use = counted.unwrap_or_else(|| counts::in_use(MAPPED));
        if let Some(recorder) = self.recorder
            && recorder.is_taking_attributed(self.cells, taken)
        {
            let is_recorded = inside(recorder, |cells| {
                recorder.unmapped(cells, at, self.cells, taken, in_use);
            });
            count_loss(recorder, is_recorded);
        }
    }

    /// Adds an accessible range, counts it, and samples it if that is due. `taken` is what it was
    /// before, if it was moved or resized.
    fn add(self, at: Registers, start: usize, len: usize, taken: Option<&Unmapped>) {
        if self
            .with(|table| table.add(Range::accessible(start, len)))
            .is_none()
        {
            // What is not in the table is never taken off again.
            if let Some(taken) = taken {
                self.count_taken(at, taken);
            }
            return;
        }
        let len = len as u64;
        let operation = match taken {
            Some(taken) => Operation::Realloc {
                old: taken.bytes,
                new: len,
            },
            None => Operation::Alloc { size: len },
        };
        let counted = counts::count(MAPPED, self.cells, operation);
        let in_use = counted.unwrap_or_else(|| counts::in_use(MAPPED));
        let Some(recorder) = self.recorder else {
            return;
        };
        let cells = slot::current();
        let has_joined = threads::has_joined(cells, Some(recorder));
        let is_due = has_joined && recorder.is_heap_sample_due(cells, len);
        let is_attributed =
            taken.is_some_and(|taken| recorder.is_taking_attributed(self.cells, taken));
        if is_due || !has_joined || is_attributed {
            let mut sample = None;
            let is_recorded = inside(recorder, |cells| {
                let is_due = is_due || (!has_joined && recorder.is_heap_sample_due(cells, len));
                if is_due || is_attributed {
                    let what = (len, is_due);
                    sample = recorder.sample_mapping(cells, at, self.cells, what, taken, in_use);
                }
            });
            count_loss(recorder, is_recorded);
            if let Some(sample) = sample {
                let is_noted = self.with(|table| Ok(table.note_sample(start, sample)));
                if is_noted != Some(true) {
                    recorder.lose_mapping(self.cells, sample);
                }
            }
        }
        recorder.note_heap_peak(self.cells, in_use);
    }

    /// Adds address space that is not accessible.
    fn reserve(self, start: usize, len: usize) {
        self.with(|table| table.add(Range::reserved(start, len)));
    }
}

/// Mappings are not told from now on: what was told so far is forgotten. To be called before a
/// recording begins.
pub fn forget() {
    if let Ok(mut table) = MAPPINGS.open(0) {
        table.clear();
    }
    counts::forget(MAPPED);
}

/// The program has mapped `len` bytes at `start`, which it can read or write.
#[inline(never)]
pub fn mapped(start: usize, len: usize) {
    let at = Registers::capture();
    let home = Home::now();
    // What the table has there is gone: its end was not seen.
    home.clear(at, start, start.saturating_add(len), Which::All);
    home.add(at, start, len, None);
}

/// The program has reserved `len` bytes of address space at `start`.
#[inline(never)]
pub fn reserved(start: usize, len: usize) {
    let at = Registers::capture();
    let home = Home::now();
    home.clear(at, start, start.saturating_add(len), Which::All);
    home.reserve(start, len);
}

/// The program has made `len` bytes at `start` accessible, or no longer so.
#[inline(never)]
pub fn protected(start: usize, len: usize, is_accessible: bool) {
    let at = Registers::capture();
    let home = Home::now();
    let end = start.saturating_add(len);
    let changing = match is_accessible {
        true => Which::Reserved,
        false => Which::Accessible,
    };
    while let Some(Some(part)) = home.with(|table| table.take(start, end, changing)) {
        let len = part.end - part.start;
        if is_accessible {
            home.add(at, part.start, len, None);
        } else {
            let mut taken = Unmapped::NOTHING;
            home.take(part, &mut taken);
            home.reserve(part.start, len);
            home.count_taken(at, &taken);
        }
    }
}

/// Ranges that are out of the table while the system is asked to take them away.
struct Waiting {
    parts: [Option<Range>; MOST],
    /// Of those that are more.
    taken: Unmapped,
}

impl Waiting {
    fn new(home: Home, start: usize, end: usize) -> Waiting {
        let mut waiting = Waiting {
            parts: [None; MOST],
            taken: Unmapped::NOTHING,
        };
        for place in &mut waiting.parts {
            let part = home
                .with(|table| table.take(start, end, Which::All))
                .flatten();
            if part.is_none() {
                return waiting;
            }
            *place = part;
        }
        waiting.taken = home.take_all(start, end, Which::All);
        waiting
    }

    fn parts(&self) -> impl Iterator<Item = Range> {
        self.parts.into_iter().flatten()
    }

    /// The system has taken them away.
    fn all_taken(&self, home: Home) -> Unmapped {
        let mut taken = self.taken;
        self.parts().for_each(|part| home.take(part, &mut taken));
        taken
    }

    /// The system has left them.
    fn put_back(&self, at: Registers, home: Home) {
        for part in self.parts() {
            home.with(|table| table.add(part));
        }
        home.count_taken(at, &self.taken);
    }
}

/// The program is about to unmap `len` bytes at `start`.
pub struct Unmapping {
    waiting: Waiting,
    home: Home,
}

/// To be called before the system is asked.
pub fn unmapping(start: usize, len: usize) -> Unmapping {
    let home = Home::now();
    let waiting = Waiting::new(home, start, start.saturating_add(len));
    Unmapping { waiting, home }
}

impl Unmapping {
    /// The system has answered.
    #[inline(never)]
    pub fn done(self, is_unmapped: bool) {
        let at = Registers::capture();
        match is_unmapped {
            true => {
                let taken = self.waiting.all_taken(self.home);
                self.home.count_taken(at, &taken);
            }
            false => self.waiting.put_back(at, self.home),
        }
    }
}

/// The program is about to move or resize what it has mapped.
pub struct Remapping {
    waiting: Waiting,
    home: Home,
}

/// To be called before the system is asked.
pub fn remapping(start: usize, len: usize) -> Remapping {
    let home = Home::now();
    let waiting = Waiting::new(home, start, start.saturating_add(len));
    Remapping { waiting, home }
}

impl Remapping {
    /// The system has answered: `len` bytes are at `start` now; `None` if it refused.
    #[inline(never)]
    pub fn done(self, new: Option<(usize, usize)>) {
        let at = Registers::capture();
        let Some((start, len)) = new else {
            return self.waiting.put_back(at, self.home);
        };
        let home = self.home;
        // What was there, if it was told where to be.
        home.clear(at, start, start.saturating_add(len), Which::All);
        let is_reserved = self.waiting.parts().any(|part| part.is_reserved());
        let taken = self.waiting.all_taken(home);
        if taken.bytes > 0 {
            home.add(at, start, len, Some(&taken));
        } else if is_reserved {
            home.reserve(start, len);
        }
    }
}
