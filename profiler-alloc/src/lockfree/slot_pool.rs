//! Counter records whose thread has ended, to be taken over by later threads.
//!
//! A record has one owner at a time, whose counters run on from where the last owner left them:
//! whoever takes it over sees all that was counted in it.

use profiler_alloc_format::{THREAD_FREE as FREE, THREAD_TAKEN as TAKEN, ThreadCells};

use crate::lockfree::atomic::{AtomicUsize, Ordering};

/// How many records of a pool are free, and where to look first.
pub struct SlotPool {
    count: AtomicUsize,
    hint: AtomicUsize,
}

impl SlotPool {
    pub const fn new() -> SlotPool {
        SlotPool {
            count: AtomicUsize::new(0),
            hint: AtomicUsize::new(1),
        }
    }

    /// Takes over a free record numbered 1 to `count - 1`; gives its number too.
    pub fn take(
        &self,
        count: usize,
        get: impl Fn(usize) -> Option<&'static ThreadCells>,
    ) -> Option<(u32, &'static ThreadCells)> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let hint = self.hint.load(Ordering::Relaxed).clamp(1, count.max(1));
        (hint..count).chain(1..hint).find_map(|at| {
            let cells = get(at)?;
            let taken = cells.state.load(Ordering::Relaxed) == FREE
                && cells
                    .state
                    .compare_exchange(FREE, TAKEN, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok();
            if taken {
                self.count.fetch_sub(1, Ordering::Relaxed);
            }
            taken.then_some((at as u32, cells))
        })
    }

    /// Gives back record `number`, which the caller counts in no more.
    pub fn give_back(&self, cells: &ThreadCells, number: usize) {
        cells.state.store(FREE, Ordering::Release);
        self.hint.store(number, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Release);
    }
}

/// The caller counts in a record that nobody had before.
pub fn claim(cells: &ThreadCells) {
    cells.state.store(TAKEN, Ordering::Relaxed);
}
