//! The probes, and what one thread knows of the calls of one function that it is in.

use core::cell::Cell;
use core::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::thread::LocalKey;

use super::table::{LineCells, Table, Taken};
use crate::counters::{self, bump};
use crate::own_counts;
use crate::wrappers::scope::Scope;
use crate::wrappers::{rss, switch};

/// State of one function in one thread. `W` words have a bit for each of its lines.
#[derive(Debug)]
pub struct Local<const W: usize> {
    /// Calls that the thread is in, one inside the other; closures of the function count as calls.
    depth: Cell<u32>,
    muted: Cell<u32>,
    /// Whether probes do anything: in a call, and not muted.
    is_active: Cell<bool>,
    /// No allocator tells; what is read is the resident set size.
    is_rss: Cell<bool>,
    /// The counters are written by other threads too.
    is_shared: Cell<bool>,
    slot: Cell<u32>,
    /// The reading when the present line began.
    allocated: Cell<u64>,
    freed: Cell<u64>,
    lines: Cell<&'static [LineCells]>,
    /// Lines at which outer calls wait for inner ones. What happens inside is theirs once, when they go on.
    suspended: [Cell<u64>; W],
}

type Key<const W: usize> = &'static LocalKey<Local<W>>;

/// What an inner call has to put back.
#[derive(Debug)]
struct Outer {
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
            muted: Cell::new(0),
            is_active: Cell::new(false),
            is_rss: Cell::new(false),
            is_shared: Cell::new(false),
            slot: Cell::new(0),
            allocated: Cell::new(0),
            freed: Cell::new(0),
            lines: Cell::new(&[]),
            suspended: [const { Cell::new(0) }; W],
        }
    }

    #[inline]
    fn read(&self) -> (u64, u64, i64) {
        if self.is_rss.get() {
            let rss = rss::of_process();
            return (rss, 0, rss as i64);
        }
        let cells = counters::current();
        let (allocated, freed) = own_counts::bytes_with(cells);
        (allocated, freed, counters::heap())
    }

    /// Charges the line that ran until now, and goes on at another. No call counts as a run of that.
    #[inline]
    fn switch(&self, slot: u32) {
        let (allocated, freed, heap) = self.read();
        if let Some(line) = self.lines.get().get(self.slot.get() as usize) {
            let more = allocated.wrapping_sub(self.allocated.get());
            let less = freed.wrapping_sub(self.freed.get());
            if more | less != 0 {
                self.charge(line, more, less);
            }
            if heap > line.mem_usage.load(Ordering::Relaxed) {
                self.raise(&line.mem_usage, heap);
            }
        }
        self.slot.set(slot);
        self.allocated.set(allocated);
        self.freed.set(freed);
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
        if !is_suspended {
            self.add(&line.allocated, more);
            self.add(&line.freed, less);
            if let Some(table) = line.watched_by() {
                crate::wrappers::budget::used(
                    table,
                    self.slot.get(),
                    more.wrapping_sub(less) as i64,
                );
            }
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
    fn raise(&self, mark: &AtomicI64, to: i64) {
        if self.is_shared.get() {
            mark.fetch_max(to, Ordering::Relaxed);
        } else {
            mark.store(to, Ordering::Relaxed);
        }
    }

    fn update_active(&self) {
        self.is_active
            .set(self.depth.get() > 0 && self.muted.get() == 0);
    }

    /// Enters an inner call of the function, at `slot`.
    fn nest(&self, slot: u32) -> Outer {
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
        self.begin(slot);
        outer
    }

    /// The inner call is over, or stops for now.
    fn unnest(&self, outer: &Outer) {
        self.switch(self.slot.get());
        self.depth.set(self.depth.get() - 1);
        if outer.is_marked {
            let (word, bit) = place(outer.slot);
            if let Some(bits) = self.suspended.get(word) {
                bits.set(bits.get() & !bit);
            }
        }
        self.slot.set(outer.slot);
        self.allocated.set(outer.allocated);
        self.freed.set(outer.freed);
    }

    fn begin(&self, slot: u32) {
        self.depth.set(self.depth.get() + 1);
        self.update_active();
        let (allocated, freed, _) = self.read();
        self.slot.set(slot);
        self.allocated.set(allocated);
        self.freed.set(freed);
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

/// Goes back to the line of the statement around a block, when the block is over.
#[derive(Debug)]
pub struct Back<const W: usize> {
    key: Key<W>,
    slot: u32,
    is_run: bool,
}

impl<const W: usize> Back<W> {
    /// To the line `slot`; `is_run` if that counts as another run of it, as with loops.
    #[inline]
    pub fn new(key: Key<W>, slot: u32, is_run: bool) -> Back<W> {
        Back { key, slot, is_run }
    }
}

impl<const W: usize> Drop for Back<W> {
    #[inline]
    fn drop(&mut self) {
        if self.is_run {
            at(self.key, self.slot);
        } else {
            pass(self.key, self.slot);
        }
    }
}

/// Goes to the line of the closing brace before the values of a block are dropped.
#[derive(Debug)]
pub struct Brace<const W: usize> {
    key: Key<W>,
    slot: u32,
}

impl<const W: usize> Brace<W> {
    /// To the line `slot`.
    #[inline]
    pub fn new(key: Key<W>, slot: u32) -> Brace<W> {
        Brace { key, slot }
    }
}

impl<const W: usize> Drop for Brace<W> {
    #[inline]
    fn drop(&mut self) {
        pass(self.key, self.slot);
    }
}

/// A run of a closure of the function, inside a call of the function; one elsewhere is not looked at.
#[derive(Debug)]
pub struct Nested<const W: usize> {
    key: Key<W>,
    outer: Option<Outer>,
}

impl<const W: usize> Nested<W> {
    /// The closure begins at the line `slot`.
    pub fn new(key: Key<W>, slot: u32) -> Nested<W> {
        let outer = key.with(|local| local.is_active.get().then(|| local.nest(slot)));
        Nested { key, outer }
    }
}

impl<const W: usize> Drop for Nested<W> {
    fn drop(&mut self) {
        if let Some(outer) = &self.outer {
            self.key.with(|local| local.unnest(outer));
        }
    }
}

/// From here on a future is being dropped: no statement of it runs, and nothing is charged.
#[derive(Debug)]
pub struct Mute<const W: usize>(Key<W>);

impl<const W: usize> Mute<W> {
    /// For a future of the function `key`.
    pub fn new(key: Key<W>) -> Mute<W> {
        Mute(key)
    }
}

impl<const W: usize> Drop for Mute<W> {
    fn drop(&mut self) {
        self.0.with(|local| {
            local.muted.set(local.muted.get() + 1);
            local.update_active();
        });
    }
}

/// Ends what [`Mute`] began; declared before the future, so that it is dropped after it.
#[derive(Debug)]
pub struct Unmute<const W: usize>(Key<W>);

impl<const W: usize> Unmute<W> {
    /// For a future of the function `key`.
    pub fn new(key: Key<W>) -> Unmute<W> {
        Unmute(key)
    }
}

impl<const W: usize> Drop for Unmute<W> {
    fn drop(&mut self) {
        self.0.with(|local| {
            local.muted.set(local.muted.get().saturating_sub(1));
            local.update_active();
        });
    }
}

/// One call of the function.
#[derive(Debug)]
pub struct ProfileCall<const W: usize> {
    table: &'static Table,
    key: Key<W>,
    /// Where the call goes on; 0, the line of the `fn`, before it begins.
    slot: u32,
    is_begun: bool,
    running: Option<Running>,
    /// Counters of this call alone, if each call is to be reported.
    own: Option<Taken>,
}

#[derive(Debug)]
enum Running {
    /// The thread is in no other call of the function. `None` if the call has its own counters.
    Outermost(Option<Taken>),
    Inner(Outer),
}

impl<const W: usize> Scope for ProfileCall<W> {
    #[inline]
    fn resume(&mut self) {
        self.key.with(|local| {
            let running = if local.depth.get() == 0 {
                if self.table.reports_each_call() && self.own.is_none() {
                    self.own = Some(self.table.take());
                }
                let taken = match self.own {
                    Some(_) => None,
                    None => Some(self.table.take()),
                };
                if let Some(taken) = taken.as_ref().or(self.own.as_ref()) {
                    local.lines.set(taken.lines());
                    local.is_shared.set(taken.is_shared());
                }
                local.is_rss.set(!super::is_heap_known());
                local.begin(self.slot);
                Running::Outermost(taken)
            } else {
                Running::Inner(local.nest(self.slot))
            };
            self.running = Some(running);
            if !self.is_begun {
                self.is_begun = true;
                local.count_run();
                let (_, _, heap) = local.read();
                self.table.called(heap);
                if let Some(line) = local.lines.get().first()
                    && heap > line.mem_usage.load(Ordering::Relaxed)
                {
                    local.raise(&line.mem_usage, heap);
                }
            }
        });
    }

    #[inline]
    fn pause(&mut self) {
        self.key.with(|local| {
            self.slot = local.slot.get();
            match self.running.take() {
                Some(Running::Inner(outer)) => local.unnest(&outer),
                Some(Running::Outermost(taken)) => {
                    local.switch(self.slot);
                    local.depth.set(0);
                    drop(taken);
                }
                None => {}
            }
            local.update_active();
        });
    }
}

impl<const W: usize> Drop for ProfileCall<W> {
    #[inline]
    fn drop(&mut self) {
        if let Some(own) = self.own.take() {
            self.table.report_call(own);
        }
    }
}

/// A call of the function begins.
#[inline]
pub fn call<const W: usize>(table: &'static Table, key: Key<W>) -> Option<ProfileCall<W>> {
    if !switch::is_on() {
        return None;
    }
    table.register();
    Some(ProfileCall {
        table,
        key,
        slot: 0,
        is_begun: false,
        running: None,
        own: None,
    })
}
