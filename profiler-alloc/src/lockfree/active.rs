//! Which recording is active, and how every thread comes to know of it: its next operation takes the slow path.
//!
//! ```text
//! the starter              a thread that sets its thresholds
//! ───────────              ─────────────────────────────────
//! calls all threads        stores thresholds
//! ── full fence ──         ── full fence ──
//! sets all thresholds to 0 was it called? thresholds to 0
//! activates the recording
//! ```
//! With a full fence between the two steps on either side, one of them sees the other. Threads are called before the
//! recording is active: no block is sampled in it that another thread could free unseen.

use profiler_alloc_format::ThreadCells;

use crate::lockfree::atomic::{AtomicBool, AtomicPtr, Ordering, fence};

pub struct Active<T: 'static> {
    /// True while every operation of a thread that only counts is to take the slow path, as there is a recording to join.
    called: AtomicBool,
    current: AtomicPtr<T>,
    latest: AtomicPtr<T>,
}

impl<T: Sync + 'static> Active<T> {
    pub const fn new() -> Active<T> {
        Active {
            called: AtomicBool::new(false),
            current: AtomicPtr::new(core::ptr::null_mut()),
            latest: AtomicPtr::new(core::ptr::null_mut()),
        }
    }

    /// The active recording.
    #[inline]
    pub fn current(&self) -> Option<&'static T> {
        at(&self.current)
    }

    /// The recording started last, active or not.
    pub fn latest(&self) -> Option<&'static T> {
        at(&self.latest)
    }

    /// Activates a recording. `call` has [`force_slow_path`] done to every record of a thread that only counts.
    pub fn activate(&self, recording: &'static T, call: impl FnOnce()) {
        self.called.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        call();
        let pointer = core::ptr::from_ref(recording).cast_mut();
        self.latest.store(pointer, Ordering::Release);
        self.current.store(pointer, Ordering::Release);
    }

    /// Leaves no recording active.
    pub fn deactivate(&self) {
        self.called.store(false, Ordering::Relaxed);
        self.current.store(core::ptr::null_mut(), Ordering::Release);
    }

    /// Sets the thresholds of a thread that only counts.
    pub fn set_thresholds(&self, cells: &ThreadCells, alloc_next: u64, free_next: u64) {
        cells.alloc_next.store(alloc_next, Ordering::Relaxed);
        cells.free_next.store(free_next, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.called.load(Ordering::Relaxed) {
            force_slow_path(cells);
        }
    }
}

/// The thread of this record takes the slow path next.
pub fn force_slow_path(cells: &ThreadCells) {
    cells.alloc_next.store(0, Ordering::Relaxed);
    cells.free_next.store(0, Ordering::Relaxed);
}

fn at<T: Sync + 'static>(place: &AtomicPtr<T>) -> Option<&'static T> {
    // SAFETY: only `activate` stores a pointer here, made of a reference that lives until the process ends.
    unsafe { place.load(Ordering::Acquire).as_ref() }
}
