//! The probes, and what one thread knows of the calls of one function that it is in.

use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering, compiler_fence};
use std::thread::LocalKey;

use profiler_alloc_format::{LineCells, ShareCells};

use super::block::{CounterBlock, CounterPlace};
use super::function::Function;
use super::line_uses;
use super::table::{Table, TakenBlock};
use crate::counters::heap;
use crate::counters::slot::{self, bump};
use crate::counters::thread_counts;
use crate::measure::rss;
use crate::session;

/// Stands for the counters of a thread that has never been in the function.
static NO_SHARE: ShareCells = ShareCells::empty();
static UNCHANGING: AtomicU64 = AtomicU64::new(0);

/// State of one function in one thread. `W` words have a bit for each of its lines.
#[derive(Debug)]
pub struct Local<const W: usize> {
    /// Calls that the thread is in, one inside the other; closures of the function count as calls.
    depth: Cell<u32>,
    suspensions: Cell<u32>,
    /// Whether probes do anything: in a call, and not suspended.
    is_active: Cell<bool>,
    /// No allocator tells; what is read is the resident set size.
    is_rss: Cell<bool>,
    /// The counters are written by other threads too.
    is_shared: Cell<bool>,
    /// The counters are in the file of a recording.
    is_recorded: Cell<bool>,
    /// The thread's record in the profile file, as [`CounterPlace::thread`].
    thread: Cell<u64>,
    slot: Cell<u32>,
    /// The reading when the present line began.
    allocated: Cell<u64>,
    freed: Cell<u64>,
    lines: Cell<&'static [LineCells]>,
    share: Cell<&'static ShareCells>,
    /// The counters are the right ones as long as the word says this.
    valid: Cell<&'static AtomicU64>,
    expected: Cell<u64>,
    owner: Cell<Option<(&'static Function, &'static CounterBlock)>>,
    /// Lines at which outer calls wait for inner ones. What happens inside is theirs once, when
    /// they go on.
    suspended: [Cell<u64>; W],
}

pub(super) type Key<const W: usize> = &'static LocalKey<Local<W>>;

/// What an inner call has to put back.
#[derive(Debug)]
pub(super) struct Outer {
    slot: u32,
    allocated: u64,
    freed: u64,
    /// The inner call has marked the line as suspended.
    is_marked: bool,
}

impl<const W: usize> Local<W> {
    /// In no call.
    #[expect(clippy::new_without_default, reason = "const, for a thread-local")]
    pub const fn new() -> Local<W> {
        Local {
            depth: Cell::new(0),
            suspensions: Cell::new(0),
            is_active: Cell::new(false),
            is_rss: Cell::new(false),
            is_shared: Cell::new(false),
            is_recorded: Cell::new(false),
            thread: Cell::new(0),
            slot: Cell::new(0),
            allocated: Cell::new(0),
            freed: Cell::new(0),
            lines: Cell::new(&[]),
            share: Cell::new(&NO_SHARE),
            valid: Cell::new(&UNCHANGING),
            expected: Cell::new(0),
            owner: Cell::new(None),
            suspended: [const { Cell::new(0) }; W],
        }
    }

    #[inline]
    fn read(&self) -> (u64, u64, i64) {
        if self.is_rss.get() {
            let rss = rss::of_process();
            return (rss, 0, rss as i64);
        }
        let cells = slot::current();
        let (allocated, freed) = thread_counts::bytes_with(cells);
        (allocated, freed, heap::heap_with(cells))
    }

    /// Looks whether the counters are still the right ones, and takes others if not.
    #[inline]
    fn check_place(&self) {
        if self.valid.get().load(Ordering::Relaxed) != self.expected.get() {
            self.change_place();
        }
    }

    /// A recording has started or ended, or this is a forked child.
    #[cold]
    fn change_place(&self) {
        let Some((function, block)) = self.owner.get() else {
            return;
        };
        let new = block.place(function, self.is_shared.get());
        if !new.is_recorded {
            return self.set_place(new);
        }
        // What runs now began before this recording: it is not counted there, nor are the outer
        // calls of a recursion.
        self.set_place(block.passing_place(function));
        if self.depth.get() <= 1 {
            self.charge_present();
            self.set_place(new);
        }
    }

    fn set_place(&self, place: CounterPlace) {
        self.lines.set(place.counters.lines);
        self.share.set(place.counters.share);
        self.valid.set(place.valid.0);
        self.expected.set(place.valid.1);
        self.thread.set(place.thread);
        self.is_recorded.set(place.is_recorded);
    }

    /// Charges the line that ran until now, and goes on at another. No call counts as a run of
    /// that.
    #[inline]
    fn switch(&self, slot: u32) {
        self.check_place();
        self.charge_present();
        self.go_on_at(slot);
    }

    /// Charges the line that runs, up to now.
    #[inline]
    fn charge_present(&self) {
        let (allocated, freed, heap) = self.read();
        if let Some(line) = self.lines.get().get(self.slot.get() as usize) {
            let more = allocated.wrapping_sub(self.allocated.get());
            let less = freed.wrapping_sub(self.freed.get());
            if more | less != 0 {
                self.charge(line, more, less);
            }
            if heap > line.mem_usage.load(Ordering::Relaxed) as i64 {
                self.raise(&line.mem_usage, heap);
            }
        }
        self.allocated.set(allocated);
        self.freed.set(freed);
    }

    /// The line of `slot` runs, since the reading taken last.
    #[inline]
    fn go_on_at(&self, slot: u32) {
        self.slot.set(slot);
        let share = self.share.get();
        let allocated = self.allocated.get();
        share.since_alloc_bytes.store(allocated, Ordering::Relaxed);
        let freed = self.freed.get();
        share.since_freed_bytes.store(freed, Ordering::Relaxed);
        compiler_fence(Ordering::Release);
        let open = self.thread.get() | (u64::from(slot) + 1);
        share.open.store(open, Ordering::Relaxed);
    }

    /// Nobody is in the share, as far as readers of the file can see: its counters are about to
    /// change.
    #[inline]
    fn close(&self) {
        self.share.get().open.store(0, Ordering::Relaxed);
        compiler_fence(Ordering::Release);
    }

    /// A run of the present line begins.
    #[inline]
    fn count_run(&self) {
        if let Some(line) = self.lines.get().get(self.slot.get() as usize) {
            self.add(&line.runs, 1);
        }
    }

    #[inline(never)]
    fn charge(&self, line: &LineCells, more: u64, less: u64) {
        let (word, bit) = place(self.slot.get());
        let is_suspended = self
            .suspended
            .get(word)
            .is_some_and(|bits| bits.get() & bit != 0);
        if is_suspended {
            return;
        }
        self.close();
        self.add(&line.alloc_bytes, more);
        self.add(&line.freed_bytes, less);
        if line_uses::is_watched()
            && let Some((function, _)) = self.owner.get()
        {
            let net = more.wrapping_sub(less) as i64;
            line_uses::used(function, self.slot.get(), net);
        }
    }

    #[inline]
    fn add(&self, counter: &AtomicU64, by: u64) {
        if self.is_shared.get() {
            counter.fetch_add(by, Ordering::Relaxed);
        } else {
            bump(counter, by);
        }
    }

    #[inline]
    fn raise(&self, mark: &AtomicU64, to: i64) {
        if self.is_shared.get() {
            let higher = |mark| (mark < to).then_some(to);
            let _ = mark.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |mark| {
                higher(mark as i64).map(|to| to as u64)
            });
        } else {
            mark.store(to as u64, Ordering::Relaxed);
        }
    }

    pub(super) fn is_active(&self) -> bool {
        self.is_active.get()
    }

    /// Probes do nothing until it is undone by the opposite.
    pub(super) fn suspend_probes(&self, change: i32) {
        let suspensions = self.suspensions.get().saturating_add_signed(change);
        self.suspensions.set(suspensions);
        self.update_active();
    }

    pub(super) fn update_active(&self) {
        self.is_active
            .set(self.depth.get() > 0 && self.suspensions.get() == 0);
    }

    /// Enters an inner call of the function, at `slot`.
    pub(super) fn nest(&self, slot: u32) -> Outer {
        self.check_place();
        let (word, bit) = place(self.slot.get());
        let is_marked = self.suspended.get(word).is_some_and(|bits| {
            let was = bits.replace(bits.get() | bit);
            was & bit == 0
        });
        let outer = Outer {
            slot: self.slot.get(),
            allocated: self.allocated.get(),
            freed: self.freed.get(),
            is_marked,
        };
        if is_marked {
            self.mark(&outer, 1);
        }
        self.begin(slot);
        outer
    }

    /// Says in the counters of a line that it is suspended, or no longer.
    fn mark(&self, outer: &Outer, suspended: u32) {
        if self.is_shared.get() {
            return;
        }
        if let Some(line) = self.lines.get().get(outer.slot as usize) {
            self.close();
            let (allocated, freed) = (outer.allocated, outer.freed);
            line.since_alloc_bytes.store(allocated, Ordering::Relaxed);
            line.since_freed_bytes.store(freed, Ordering::Relaxed);
            compiler_fence(Ordering::Release);
            line.suspended.store(suspended, Ordering::Relaxed);
        }
    }

    /// The inner call is over, or stops for now.
    pub(super) fn unnest(&self, outer: &Outer) {
        self.switch(self.slot.get());
        self.depth.set(self.depth.get() - 1);
        if outer.is_marked {
            self.mark(outer, 0);
            let (word, bit) = place(outer.slot);
            if let Some(bits) = self.suspended.get(word) {
                bits.set(bits.get() & !bit);
            }
        }
        self.allocated.set(outer.allocated);
        self.freed.set(outer.freed);
        self.go_on_at(outer.slot);
    }

    fn begin(&self, slot: u32) {
        self.depth.set(self.depth.get() + 1);
        self.update_active();
        let (allocated, freed, _) = self.read();
        self.allocated.set(allocated);
        self.freed.set(freed);
        self.go_on_at(slot);
    }

    /// The thread's outermost call of the function begins or goes on, at `slot`, in the counters of
    /// `taken`.
    pub(super) fn enter(&self, table: &'static Table, taken: &TakenBlock, is_rss: bool, slot: u32) {
        self.owner.set(Some((table.function(), taken.block())));
        self.is_shared.set(taken.is_shared());
        self.set_place(taken.place(table));
        self.is_rss.set(is_rss);
        self.begin(slot);
    }

    /// The outermost call is over, or stops for now. Gives the line it stops at.
    pub(super) fn leave(&self) {
        self.switch(self.slot.get());
        self.close();
        if self.is_recorded.get()
            && let Some(recorder) = session::current()
        {
            recorder.left(self.share.get());
        }
        self.depth.set(0);
    }

    /// Number of the present line's counter.
    pub(super) fn slot(&self) -> u32 {
        self.slot.get()
    }

    /// Another call of the function, of which there are calls of the thread or none.
    pub(super) fn is_idle(&self) -> bool {
        self.depth.get() == 0
    }

    /// The call that was entered is a new one. Gives the heap in use.
    pub(super) fn count_call(&self) -> i64 {
        self.count_run();
        let (_, _, heap) = self.read();
        if let Some(line) = self.lines.get().first()
            && heap > line.mem_usage.load(Ordering::Relaxed) as i64
        {
            self.raise(&line.mem_usage, heap);
        }
        heap
    }
}

fn place(slot: u32) -> (usize, u64) {
    (slot as usize / 64, 1 << (slot % 64))
}

/// A statement begins.
#[inline]
pub fn at<const W: usize>(key: Key<W>, slot: u32) {
    key.with(|local| {
        if local.is_active.get() {
            local.switch(slot);
            local.count_run();
        }
    });
}

/// The code of another line goes on, which is no new run of it.
#[inline]
pub fn pass<const W: usize>(key: Key<W>, slot: u32) {
    key.with(|local| {
        if local.is_active.get() {
            local.switch(slot);
        }
    });
}
