//! One recording: everything that happens on the slow path, once a thread has its record and its operation is counted.
//!
//! ```text
//! allocated ─▶ due for a sample? ─▶ stack ─▶ add to its totals ─▶ remember the block ─┐
//! freeing   ─▶ was it sampled?   ─▶ stack ─▶ add to both stacks' totals ──────────────┼─▶ settle: publish the heap,
//! nothing sampled ────────────────────────────────────────────────────────────────────┘   peak, timeline, thresholds
//! ```

use core::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU64, Ordering};

use profiler_alloc_format::{Point, StackCells, ThreadCells, size_class};

use crate::budget::{self, Budget};
use crate::counters::{self, FreeRecords, STEP, Totals, bump};
use crate::filter::Filter;
use crate::frames::Frames;
use crate::index::Index;
use crate::live::{self, Block, LiveBlocks};
use crate::memory;
use crate::modules::Modules;
use crate::output::Output;
use crate::registers::Registers;
use crate::sampling::{self, Weight};
use crate::scratch::{Pool, Scratch};
use crate::stack_memory::{OwnStack, StackMemory};
use crate::stacks::{self, StackRef, Stacks};
use crate::store::Store;
use crate::sys::{self, Statm};
use crate::timeline::Timeline;
use crate::unwind::{self, End, Guess, Tables};

/// The recording in force, and the last one started.
static CURRENT: AtomicPtr<Recorder> = AtomicPtr::new(core::ptr::null_mut());
static LATEST: AtomicPtr<Recorder> = AtomicPtr::new(core::ptr::null_mut());

/// Frame-pointer walks are tried while their credit is positive: each that is confirmed adds one, each that a table walk
/// contradicts takes one off. A binary without frame pointers has used up the first credit after as many samples.
const FRAME_POINTER_CREDIT: i32 = 64;
/// Most credit there is.
const FRAME_POINTER_TRUST: i32 = 1024;

/// A recording and all its state. Lives until the process ends, as threads may be inside it when it stops.
pub struct Recorder {
    pub store: Store,
    /// Number of this recording in the process, from 1.
    pub generation: u64,
    /// The recording before this one.
    pub previous: Option<&'static Recorder>,
    pub free_threads: FreeRecords,
    pub budget: Budget,
    pub paused: AtomicBool,
    started_ns: u64,
    wiped_on_fork: &'static AtomicU64,
    live: LiveBlocks,
    filter: Filter,
    stacks: Stacks,
    rules: Index,
    modules: Modules,
    depth: usize,
    scratch: &'static Pool,
    timeline: Timeline,
    statm: Statm,
    frame_pointer_credit: AtomicI32,
    output: Output,
}

impl core::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Recorder")
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// The recording in force.
#[inline]
pub fn current() -> Option<&'static Recorder> {
    at(&CURRENT)
}

/// The recording started last, in force or not.
pub fn latest() -> Option<&'static Recorder> {
    at(&LATEST)
}

/// The recording with this number.
pub fn with_generation(generation: u64) -> Option<&'static Recorder> {
    let mut recorder = latest();
    while let Some(each) = recorder {
        if each.generation == generation {
            return recorder;
        }
        recorder = each.previous;
    }
    None
}

/// Puts a recording in force.
pub fn publish(recorder: &'static Recorder) {
    let pointer = core::ptr::from_ref(recorder).cast_mut();
    LATEST.store(pointer, Ordering::Release);
    CURRENT.store(pointer, Ordering::Release);
}

/// Leaves no recording in force.
pub fn retire() {
    CURRENT.store(core::ptr::null_mut(), Ordering::Release);
}

fn at(place: &AtomicPtr<Recorder>) -> Option<&'static Recorder> {
    // SAFETY: only `publish` stores a pointer here, of a recorder that lives until the process ends.
    unsafe { place.load(Ordering::Acquire).as_ref() }
}

impl Recorder {
    /// A recorder on a fresh file. `None` if the system refuses memory.
    pub fn new(store: Store, output: Output, depth: usize, budget: Budget) -> Option<Recorder> {
        let previous = latest();
        let recorder = Recorder {
            generation: previous.map_or(1, |recorder| recorder.generation + 1),
            previous,
            free_threads: FreeRecords::new(),
            budget,
            paused: AtomicBool::new(false),
            started_ns: sys::now_ns(),
            wiped_on_fork: memory::wiped_on_fork()?,
            live: LiveBlocks::new(),
            filter: Filter::new()?,
            stacks: Stacks::new(),
            rules: Index::new(13),
            modules: Modules::new()?,
            depth,
            scratch: Pool::new(depth)?,
            timeline: Timeline::new(),
            statm: Statm::open(),
            frame_pointer_credit: AtomicI32::new(FRAME_POINTER_CREDIT),
            output,
            store,
        };
        recorder.modules.add_all(&recorder.store, 0);
        Some(recorder)
    }

    /// Nanoseconds since the start, at the resolution of the system's tick.
    fn elapsed(&self) -> u64 {
        sys::coarse_ns().saturating_sub(self.started_ns)
    }

    /// False in a forked child, which must not touch the parent's file.
    #[inline]
    pub fn is_ours(&self) -> bool {
        self.wiped_on_fork.load(Ordering::Relaxed) != 0
    }

    /// An allocation was made and counted.
    pub fn allocated(&self, cells: &ThreadCells, at: Registers, address: usize, size: u64) {
        if self.is_due(cells) {
            self.timed(cells, cells.sequence.load(Ordering::Relaxed).into(), || {
                let (stack, walked) = self.stack(cells, at);
                self.sample_alloc(cells, stack, address, size, false);
                self.enter(cells, stack);
                walked
            });
        }
        self.settle(cells);
    }

    /// A block is about to be freed, and counted.
    pub fn freeing(&self, cells: &ThreadCells, at: Registers, address: usize) {
        if let Some(block) = self.take_block(address) {
            self.timed(cells, cells.frees.load(Ordering::Relaxed), || {
                let (stack, walked) = self.stack(cells, at);
                self.sample_free(cells, stack, block);
                self.enter(cells, stack);
                walked
            });
            self.settle(cells);
        } else if cells.freed_bytes.load(Ordering::Relaxed)
            >= cells.publish_frees_at.load(Ordering::Relaxed)
        {
            self.settle(cells);
        }
    }

    /// True if freeing `size` bytes at `address` is only to be counted: the block was not sampled, and nothing is due.
    #[inline]
    pub fn is_indifferent(&self, cells: &ThreadCells, address: usize, size: u64) -> bool {
        let freed = cells.freed_bytes.load(Ordering::Relaxed).wrapping_add(size);
        freed < cells.publish_frees_at.load(Ordering::Relaxed) && !self.filter.may_hold(address)
    }

    /// Forgets the block at `address` before it goes away. To be followed by [`reallocated`](Self::reallocated) or
    /// [`put_back`](Self::put_back).
    pub fn take_block(&self, address: usize) -> Option<Block> {
        if !self.filter.may_hold(address) {
            return None;
        }
        let block = self.live.remove(address)?;
        self.filter.remove(address);
        Some(block)
    }

    /// The reallocation failed and the block is where it was.
    pub fn put_back(&self, address: usize, block: Block) {
        if !self.remember(address, block) {
            self.lose(block);
        }
    }

    /// A block was reallocated, and counted: the old one is freed and a new one allocated, both here.
    pub fn reallocated(
        &self,
        cells: &ThreadCells,
        at: Registers,
        old: Option<Block>,
        address: usize,
        size: u64,
    ) {
        let due = self.is_due(cells);
        if due || old.is_some() {
            self.timed(cells, cells.reallocs.load(Ordering::Relaxed), || {
                let (stack, walked) = self.stack(cells, at);
                if let Some(block) = old {
                    self.sample_free(cells, stack, block);
                }
                if due {
                    self.sample_alloc(cells, stack, address, size, true);
                }
                self.enter(cells, stack);
                walked
            });
        }
        self.settle(cells);
    }

    fn is_due(&self, cells: &ThreadCells) -> bool {
        let interval = cells.sample_interval.load(Ordering::Relaxed);
        let due = interval == 0
            || cells.alloc_bytes.load(Ordering::Relaxed) >= cells.sample_at.load(Ordering::Relaxed);
        if due && self.paused.load(Ordering::Relaxed) {
            self.draw(cells);
            return false;
        }
        due
    }

    fn sample_alloc(
        &self,
        cells: &ThreadCells,
        at: StackRef,
        address: usize,
        size: u64,
        is_realloc: bool,
    ) {
        let interval = cells.sample_interval.load(Ordering::Relaxed);
        let weight = sampling::weight(size, interval);
        let sequence = cells.sequence.load(Ordering::Relaxed).wrapping_add(1);
        cells.sequence.store(sequence, Ordering::Relaxed);
        self.draw(cells);

        let stack = self.stack_cells(at);
        stack.alloc_bytes.fetch_add(weight.bytes, Ordering::Relaxed);
        stack.alloc_count.fetch_add(weight.count, Ordering::Relaxed);
        stack.alloc_samples.fetch_add(1, Ordering::Relaxed);
        add_variance(&stack.alloc_variance, weight.variance);
        if is_realloc {
            stack
                .realloc_bytes
                .fetch_add(weight.bytes, Ordering::Relaxed);
            stack
                .realloc_count
                .fetch_add(weight.count, Ordering::Relaxed);
        }
        let class = self.store.size_class(size_class(size));
        class.count.fetch_add(weight.count, Ordering::Relaxed);
        class.bytes.fetch_add(weight.bytes, Ordering::Relaxed);

        let thread = counters::number();
        let block = Block {
            size,
            stack: at.stack,
            interval: interval as u32,
            thread,
            sequence,
        };
        if self.remember(address, block) {
            self.change_live(stack, weight, 1);
        } else {
            self.store
                .header()
                .lost_blocks
                .fetch_add(1, Ordering::Relaxed);
        }
    }

    fn sample_free(&self, cells: &ThreadCells, at: StackRef, block: Block) {
        let weight = sampling::weight(block.size, u64::from(block.interval));
        let taker = self.stack_cells(StackRef {
            stack: block.stack,
            node: 0,
        });
        self.change_live(taker, weight, -1);
        if block.thread == counters::number()
            && block.sequence == cells.sequence.load(Ordering::Relaxed)
        {
            taker
                .temporary_bytes
                .fetch_add(weight.bytes, Ordering::Relaxed);
            taker
                .temporary_count
                .fetch_add(weight.count, Ordering::Relaxed);
        }
        let stack = self.stack_cells(at);
        stack.freed_bytes.fetch_add(weight.bytes, Ordering::Relaxed);
        stack.freed_count.fetch_add(weight.count, Ordering::Relaxed);
        stack.free_samples.fetch_add(1, Ordering::Relaxed);
        add_variance(&stack.freed_variance, weight.variance);
    }

    /// Adds or takes away `weight` of what a stack has live, after keeping the values of the peak before.
    ///
    /// A peak only gets a new number; each stack looks at it when it is about to change, and copies its live values if
    /// they are still those of that peak. Of two threads that find a stack stale at once, one copies.
    fn change_live(&self, stack: &StackCells, weight: Weight, sign: i64) {
        let epoch = self.store.header().peak_epoch.load(Ordering::Acquire);
        let seen = stack.peak_epoch.load(Ordering::Acquire);
        if seen != epoch
            && stack
                .peak_epoch
                .compare_exchange(seen, epoch, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        {
            copy(&stack.live_bytes, &stack.peak_bytes);
            copy(&stack.live_count, &stack.peak_count);
            copy(&stack.live_variance, &stack.peak_variance);
        }
        let signed = |value: u64| (value as i64).wrapping_mul(sign) as u64;
        stack
            .live_bytes
            .fetch_add(signed(weight.bytes), Ordering::Relaxed);
        stack
            .live_count
            .fetch_add(signed(weight.count), Ordering::Relaxed);
        add_variance(&stack.live_variance, weight.variance * sign as f64);
    }

    fn remember(&self, address: usize, block: Block) -> bool {
        let header = self.store.header();
        let heap = header.heap.load(Ordering::Relaxed) as i64;
        // A budgeted recording may take 3 % of the heap for this, or 8 MiB; one that was told what to sample, anything.
        let limit = match self.budget.widen(0) {
            Some(_) if heap < 1 << 30 => live::MODEST,
            Some(_) => live::MODEST + 1,
            None => live::LARGEST,
        };
        self.filter.add(address);
        let kept = self.live.insert(address, block, limit);
        if !kept {
            self.filter.remove(address);
            self.change_interval(self.budget.widen(u64::from(block.interval)));
        }
        kept
    }

    fn lose(&self, block: Block) {
        let weight = sampling::weight(block.size, u64::from(block.interval));
        self.change_live(
            self.stack_cells(StackRef {
                stack: block.stack,
                node: 0,
            }),
            weight,
            -1,
        );
        self.store
            .header()
            .lost_blocks
            .fetch_add(1, Ordering::Relaxed);
    }

    fn stack_cells(&self, at: StackRef) -> &'static StackCells {
        let other = || self.store.stacks.get(stacks::OTHER as usize);
        self.store
            .stacks
            .get(at.stack as usize)
            .or_else(other)
            .unwrap_or(&NOWHERE)
    }

    /// The calling thread's stack from `registers` outwards, and the number of frames walked.
    fn stack(&self, cells: &ThreadCells, registers: Registers) -> (StackRef, usize) {
        let header = self.store.header();
        let mut memory = memory_at(cells, registers.sp);
        let guess = self.guess(registers, &mut memory);
        if guess.len > 0
            && let Some(stack) = self.stacks.guessed(guess.fingerprint)
        {
            bump(&cells.frame_pointer_walks, 1);
            self.trust_frame_pointers();
            return (stack, guess.len);
        }
        let Some(mut scratch) = self.scratch.take(counters::number() as usize) else {
            header.lost_stacks.fetch_add(1, Ordering::Relaxed);
            return (StackRef::OTHER, 0);
        };
        bump(&cells.table_walks, 1);
        let now_ns = self.elapsed();
        let Scratch { context, frames } = &mut *scratch;
        let mut frames = Frames::new(frames, counters::number(), guess);
        let mut tables = Tables {
            rules: &self.rules,
            modules: &self.modules,
            store: &self.store,
            context,
            now_ns,
        };
        let end = unwind::walk(
            registers,
            &mut memory,
            &mut tables,
            |address, place, memory| frames.push(address, place, memory),
        );
        match end {
            End::Complete => frames.complete(),
            End::CutOff => drop(header.lost_outer_frames.fetch_add(1, Ordering::Relaxed)),
        }
        if frames.is_deep() {
            header.lost_middle_frames.fetch_add(1, Ordering::Relaxed);
        }
        let stack = self
            .stacks
            .intern(&self.store, &self.modules, &frames, now_ns);
        if stack == StackRef::OTHER {
            header.lost_stacks.fetch_add(1, Ordering::Relaxed);
        }
        if guess.len > 0 {
            if end == End::Complete && frames.is_confirmed() {
                self.stacks.confirm(guess.fingerprint, stack);
                self.trust_frame_pointers();
            } else {
                self.frame_pointer_credit.fetch_sub(1, Ordering::Relaxed);
            }
        }
        (stack, frames.walked())
    }

    fn guess(&self, registers: Registers, memory: &mut StackMemory) -> Guess {
        if self.frame_pointer_credit.load(Ordering::Relaxed) > 0 {
            unwind::walk_frame_pointers(registers, memory, self.depth)
        } else {
            Guess::NONE
        }
    }

    fn trust_frame_pointers(&self) {
        if self.frame_pointer_credit.load(Ordering::Relaxed) < FRAME_POINTER_TRUST {
            self.frame_pointer_credit.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notes where the thread is now, and that it has left where it was.
    fn enter(&self, cells: &ThreadCells, at: StackRef) {
        let left = cells.last_node.load(Ordering::Relaxed);
        if left != at.node {
            let heap = cells.last_heap.load(Ordering::Relaxed) as i64;
            stacks::leave(&self.store, left, at.node, heap);
            cells.last_node.store(at.node, Ordering::Relaxed);
        }
    }

    /// Runs one sample's work, which gives the frames walked; times one in [`budget::TIMED`], and looks at the budget.
    fn timed(&self, cells: &ThreadCells, number: u64, work: impl FnOnce() -> usize) {
        let is_timed = number.is_multiple_of(budget::TIMED);
        let start = if is_timed { sys::now_ns() } else { 0 };
        let walked = work();
        cells
            .last_heap
            .store(counters::publish(cells) as u64, Ordering::Relaxed);
        if is_timed {
            let longest = budget::LONGEST_NS + budget::LONGEST_FRAME_NS * walked as u64;
            let taken = sys::now_ns().saturating_sub(start).min(longest);
            let header = self.store.header();
            let own = header
                .own_ns
                .fetch_add(taken * budget::TIMED, Ordering::Relaxed);
            self.change_interval(
                self.budget
                    .check(own, header.interval.load(Ordering::Relaxed)),
            );
        }
    }

    fn change_interval(&self, interval: Option<u64>) {
        if let Some(interval) = interval {
            let header = self.store.header();
            header.interval.store(interval, Ordering::Relaxed);
            header
                .interval_widest
                .fetch_max(interval, Ordering::Relaxed);
        }
    }

    /// Draws the thread's next sampling point.
    fn draw(&self, cells: &ThreadCells) {
        let interval = self.store.header().interval.load(Ordering::Relaxed);
        let (state, random) = sampling::next_random(cells.random.load(Ordering::Relaxed));
        cells.random.store(state, Ordering::Relaxed);
        let at = cells
            .alloc_bytes
            .load(Ordering::Relaxed)
            .wrapping_add(sampling::gap(interval, random));
        cells.sample_at.store(at, Ordering::Relaxed);
        cells.sample_interval.store(interval, Ordering::Relaxed);
    }

    /// The end of every slow path: publishes the heap, keeps the peak and the timeline, sets the thresholds.
    fn settle(&self, cells: &ThreadCells) {
        let header = self.store.header();
        let heap = counters::publish(cells);
        header.heap.store(heap as u64, Ordering::Relaxed);
        let now_ns = self.elapsed();
        header.updated_ns.fetch_max(now_ns, Ordering::Relaxed);
        let peak = header.peak.load(Ordering::Relaxed) as i64;
        if heap > peak
            && header
                .peak
                .compare_exchange(
                    peak as u64,
                    heap as u64,
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                )
                .is_ok()
        {
            header.peak_ns.store(now_ns, Ordering::Relaxed);
            header.peak_epoch.fetch_add(1, Ordering::AcqRel);
        }
        if self.timeline.is_due(now_ns) {
            self.add_point(now_ns, heap);
            counters::set_name(cells);
        }
        self.rearm(cells);
    }

    /// Sets the thresholds of a thread of this recording. Every free comes by: it may be of a sampled block.
    pub fn rearm(&self, cells: &ThreadCells) {
        let alloc_bytes = cells.alloc_bytes.load(Ordering::Relaxed);
        let exact = cells.sample_interval.load(Ordering::Relaxed) == 0;
        let sample_at = if exact {
            0
        } else {
            cells.sample_at.load(Ordering::Relaxed)
        };
        cells.alloc_next.store(
            sample_at.min(alloc_bytes.wrapping_add(STEP)),
            Ordering::Relaxed,
        );
        cells.free_next.store(0, Ordering::Relaxed);
        let freed = cells.freed_bytes.load(Ordering::Relaxed);
        cells
            .publish_frees_at
            .store(freed.wrapping_add(STEP), Ordering::Relaxed);
    }

    #[cold]
    fn add_point(&self, now_ns: u64, heap: i64) {
        let header = self.store.header();
        header.cpu_ns.store(self.budget.cpu_ns(), Ordering::Relaxed);
        header.own_bytes.store(self.own_bytes(), Ordering::Relaxed);
        self.timeline.add(&self.store, now_ns, || Point {
            time_ns: now_ns + 1,
            heap: heap as u64,
            rss: self.statm.rss(),
            alloc_bytes: self.totals().alloc_bytes,
        });
    }

    /// Adds a last point to the timeline, and brings the header up to date.
    pub fn bring_up_to_date(&self) {
        let now_ns = sys::now_ns().saturating_sub(self.started_ns);
        self.store
            .header()
            .updated_ns
            .fetch_max(now_ns, Ordering::Relaxed);
        self.add_point(now_ns, Totals::of_process().heap());
    }

    /// Fixes the totals: what threads count from now on, until they have noticed, is not part of the recording.
    pub fn finish(&self) {
        let totals = self.totals();
        let header = self.store.header();
        for (cell, value) in [
            (&header.final_allocs, totals.allocs),
            (&header.final_frees, totals.frees),
            (&header.final_reallocs, totals.reallocs),
            (&header.final_alloc_bytes, totals.alloc_bytes),
            (&header.final_freed_bytes, totals.freed_bytes),
            (&header.final_realloc_new, totals.realloc_new),
            (&header.final_grown, totals.grown),
            (&header.final_shrunk, totals.shrunk),
            (
                &header.final_ns,
                sys::now_ns().saturating_sub(self.started_ns),
            ),
        ] {
            cell.store(value, Ordering::Relaxed);
        }
    }

    /// Path of the file.
    pub fn path(&self) -> &[u8] {
        self.output.as_c_str().to_bytes()
    }

    /// Bytes of address space the recorder has taken beside the file; the part it touched is less.
    fn own_bytes(&self) -> u64 {
        (self.live.bytes() + self.stacks.bytes() + self.rules.bytes()) as u64
    }

    /// Exact counts of this recording.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.for_each_thread(&mut |cells| totals.add(cells));
        totals
    }

    pub fn for_each_thread(&self, visit: &mut impl FnMut(&ThreadCells)) {
        let count = self.store.header().thread_count.load(Ordering::Acquire) as usize;
        (0..count)
            .filter_map(|at| self.store.threads.get(at))
            .for_each(visit);
    }

    /// A record for a thread that joins.
    pub fn take_thread(&'static self) -> Option<(u32, &'static ThreadCells)> {
        let header = self.store.header();
        let count = header.thread_count.load(Ordering::Acquire) as usize;
        let taken = counters::take_free(&self.free_threads, count, |at| self.store.threads.get(at));
        taken.or_else(|| {
            let at = self.store.take(&self.store.threads, &header.thread_count);
            let cells = at.and_then(|at| Some((at as u32, self.store.threads.get(at)?)));
            match cells {
                Some((_, cells)) => cells.state.store(counters::TAKEN, Ordering::Relaxed),
                None => drop(header.lost_threads.fetch_add(1, Ordering::Relaxed)),
            }
            cells
        })
    }

    /// Makes a thread that has just joined ready for its first sample.
    pub fn welcome(&self, cells: &ThreadCells) {
        self.draw(cells);
        self.rearm(cells);
    }
}

/// Takes what belongs to a file that has no room even for "other"; cannot happen, and is not worth a panic.
static NOWHERE: StackCells = StackCells::empty();

/// The stack around `sp`; what has become known of the thread's own stack is kept.
fn memory_at(cells: &ThreadCells, sp: usize) -> StackMemory {
    let get = |cell: &AtomicU64| cell.load(Ordering::Relaxed) as usize;
    let mut own = OwnStack {
        low: get(&cells.stack_low),
        high: get(&cells.stack_top),
    };
    if own.high == 0 {
        own = OwnStack::find();
    }
    let memory = StackMemory::at(sp, &mut own);
    cells.stack_low.store(own.low as u64, Ordering::Relaxed);
    cells.stack_top.store(own.high as u64, Ordering::Relaxed);
    memory
}

fn copy(from: &AtomicU64, to: &AtomicU64) {
    to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
}

fn add_variance(cell: &AtomicU64, variance: f64) {
    if variance != 0.0 {
        let _ = cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bits| {
            Some((f64::from_bits(bits) + variance).max(0.0).to_bits())
        });
    }
}
