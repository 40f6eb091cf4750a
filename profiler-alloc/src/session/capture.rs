//! Where a thread is: its stack, by frame pointers if they are known to lead there, by unwind
//! tables otherwise.

use core::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use profiler_alloc_format::{Frame, ThreadCells};

use super::clock::Clock;
use super::file_contexts::FileContexts;
use super::file_heaps::{self, FileHeaps};
use crate::counters::slot::{self, bump};
use crate::ffi::memory;
use crate::profile_file::store::Store;
use crate::stacks::frame_buffer::Frames;
use crate::stacks::interner::{StackRef, Stacks};
use crate::stacks::stack_cache::Start;
use crate::stacks::workspace::{Workspace, Workspaces};
use crate::unwinder::frame::{Candidate, End, Why};
use crate::unwinder::modules::{CodeAddress, Modules};
use crate::unwinder::registers::Registers;
use crate::unwinder::rule_cache::RuleCache;
use crate::unwinder::stack_memory::{OwnStack, StackMemory};
use crate::unwinder::tables::Tables;
use crate::unwinder::unwind::{self, FirstFrame};

/// Frame-pointer walks are tried while their credit is positive: each that is confirmed adds one,
/// each that a table walk contradicts takes one off. A binary without frame pointers has used up
/// the first credit after as many samples.
const FIRST_TRUST: i32 = 64;
/// Most credit there is.
const MAX_TRUST: i32 = 1024;

/// The operation that a stack is taken for: each has functions of its own that walks begin in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Alloc,
    Free,
    Realloc,
    HeapAlloc,
    HeapFree,
    HeapRealloc,
}

/// What stands above the outermost frame of a stack.
#[derive(Clone, Copy)]
pub struct Above<'a> {
    /// Contexts and heap, as [`file_heaps::root`] numbers them.
    pub root: u32,
    pub contexts: &'a FileContexts,
    pub heaps: &'a FileHeaps,
}

impl Above<'_> {
    /// Outermost first.
    fn frames(&self, store: &Store) -> [Option<Frame>; 2] {
        let (heap, contexts) = file_heaps::of_root(self.root);
        [
            self.heaps.frame(store, heap),
            self.contexts.frame(store, contexts),
        ]
    }
}

/// What stacks are taken with.
pub struct Capture {
    stacks: Stacks,
    rules: RuleCache,
    modules: Modules,
    depth: usize,
    scratch: &'static Workspaces,
    frame_pointer_trust: AtomicI32,
    clock: Clock,
}

impl Capture {
    /// For stacks of up to `depth` frames. `None` if the system refuses memory.
    #[inline(never)]
    pub fn new(clock: Clock, depth: usize) -> Option<&'static Capture> {
        memory::leak(Capture {
            stacks: Stacks::new(),
            rules: RuleCache::new()?,
            modules: Modules::new()?,
            depth,
            scratch: Workspaces::new(depth)?,
            frame_pointer_trust: AtomicI32::new(FIRST_TRUST),
            clock,
        })
    }

    /// Records every module that is loaded now. To be called once, before any stack is taken.
    pub fn note_modules(&self, store: &Store) {
        self.modules.add_all(store, 0);
    }

    /// Bytes of address space that it has taken.
    pub fn bytes(&self) -> usize {
        self.stacks.bytes() + self.rules.bytes()
    }

    /// The calling thread's stack from `registers` outwards, and the number of frames walked. Has
    /// one caller, which it becomes a part of: that saves the registers for one argument more.
    #[inline(always)]
    pub fn stack(
        &self,
        store: &Store,
        above: Above<'_>,
        cells: &ThreadCells,
        kind: Kind,
        registers: Registers,
    ) -> (StackRef, usize) {
        let mut memory = memory_at(cells, registers.sp);
        let thread = slot::number();
        let Some(mut scratch) = self.scratch.take(thread as usize) else {
            return lost_stack(store);
        };
        let first_frame = &mut scratch.first_frames[kind as usize];
        let start = self
            .first_return(first_frame, registers, &mut memory)
            .map(|first| Start::new(thread, registers, first, above.root));
        let known = start.and_then(|start| scratch.cache.find(start, &mut memory));
        if let Some(stack) = known {
            bump(&cells.table_walks, 1);
            return (stack, 0);
        }
        self.walk(
            (store, above),
            cells,
            registers,
            &mut memory,
            &mut scratch,
            start,
        )
    }

    /// The stack that has `root` above it, and no frame.
    pub fn only_root(&self, store: &Store, root: Frame) -> Option<StackRef> {
        self.stacks.only_root(store, root, self.clock.elapsed())
    }

    /// The return address of the first frame, if it is known how to find it.
    #[inline]
    fn first_return(
        &self,
        frame: &mut FirstFrame,
        registers: Registers,
        memory: &mut StackMemory,
    ) -> Option<usize> {
        if !frame.is_at(registers) {
            let rule = self.rules.find(CodeAddress::staying(registers.pc))?;
            *frame = FirstFrame::new(registers.pc, rule)?;
        }
        memory.read(frame.return_at(registers))
    }

    /// The stack, found by walking it.
    #[inline(never)]
    fn walk(
        &self,
        (store, above): (&Store, Above<'_>),
        cells: &ThreadCells,
        registers: Registers,
        memory: &mut StackMemory,
        scratch: &mut Workspace,
        start: Option<Start>,
    ) -> (StackRef, usize) {
        let header = store.header();
        let candidate = self.candidate(registers, memory);
        let guess = candidate.fingerprint.below(above.root);
        if candidate.len > 0
            && let Some(stack) = self.stacks.known_candidate(guess)
        {
            bump(&cells.frame_pointer_walks, 1);
            self.trust_frame_pointers();
            if let Some(start) = start {
                scratch.cache.note(start, stack, |words| {
                    // Two words a frame.
                    let is_copied = 2 * candidate.len <= words.room()
                        && unwind::copy_frame_pointers(registers, memory, words);
                    is_copied.then_some(true)
                });
            }
            return (stack, candidate.len);
        }
        bump(&cells.table_walks, 1);
        let now_ns = self.clock.elapsed();
        let Workspace { frames, cache, .. } = scratch;
        let mut frames = Frames::new(frames, slot::number(), candidate);
        let mut tables = Tables {
            rules: &self.rules,
            modules: &self.modules,
            store,
            now_ns,
        };
        let end = unwind::walk(registers, memory, &mut tables, |found, memory| {
            frames.push(found, memory)
        });
        match end {
            End::Complete => frames.complete(),
            End::CutOff(why) => lose_outer_frames(store, why),
        }
        if memory.is_changed() {
            keep(cells, memory.own());
        }
        if frames.is_deep() {
            header.lost_middle_frames.fetch_add(1, Ordering::Relaxed);
        }
        let roots = || above.frames(store);
        let fingerprint = frames.fingerprint().below(above.root);
        let stack =
            (self.stacks).intern(store, &self.modules, (&frames, fingerprint), roots, now_ns);
        if stack == StackRef::OTHER {
            let lost = match frames.walked() {
                0 => &header.lost_starts,
                _ => &header.lost_stacks,
            };
            lost.fetch_add(1, Ordering::Relaxed);
        }
        // The frame pointers of one stack say nothing of another.
        if candidate.len > 0 && !memory.is_changed() {
            if end == End::Complete && frames.is_confirmed() {
                self.stacks.confirm(guess, stack);
                self.trust_frame_pointers();
            } else {
                self.frame_pointer_trust.fetch_sub(1, Ordering::Relaxed);
            }
        }
        if end == End::Complete
            && stack != StackRef::OTHER
            && let Some(start) = start
        {
            cache.note(start, stack, |words| frames.copy_words(memory, words));
        }
        (stack, frames.walked())
    }

    fn candidate(&self, registers: Registers, memory: &mut StackMemory) -> Candidate {
        if memory.is_own() && self.frame_pointer_trust.load(Ordering::Relaxed) > 0 {
            unwind::walk_frame_pointers(registers, memory, &self.modules, self.depth)
        } else {
            Candidate::NONE
        }
    }

    fn trust_frame_pointers(&self) {
        if self.frame_pointer_trust.load(Ordering::Relaxed) < MAX_TRUST {
            self.frame_pointer_trust.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A walk did not come to the thread's outermost frame.
#[cold]
fn lose_outer_frames(store: &Store, why: Why) {
    let header = store.header();
    header.lost_outer_frames.fetch_add(1, Ordering::Relaxed);
    let reason = match why {
        Why::RunTimeCode => &header.lost_in_run_time_code,
        Why::NoTable => &header.lost_without_table,
        Why::OtherStack => &header.lost_on_other_stack,
        Why::Damage => return,
    };
    reason.fetch_add(1, Ordering::Relaxed);
}

#[cold]
fn lost_stack(store: &Store) -> (StackRef, usize) {
    let header = store.header();
    header.lost_crowded.fetch_add(1, Ordering::Relaxed);
    (StackRef::OTHER, 0)
}

/// The stack around `sp`; what has become known of the thread's own stack is kept.
#[inline]
fn memory_at(cells: &ThreadCells, sp: usize) -> StackMemory {
    let get = |cell: &AtomicU64| cell.load(Ordering::Relaxed) as usize;
    let mut own = OwnStack {
        low: get(&cells.stack_low),
        high: get(&cells.stack_top),
    };
    match own.holds(sp) {
        true => StackMemory::at(sp, &mut own),
        false => explore(cells, sp, own),
    }
}

#[cold]
#[inline(never)]
fn explore(cells: &ThreadCells, sp: usize, mut own: OwnStack) -> StackMemory {
    if own.high == 0 {
        own = OwnStack::find();
    }
    let memory = StackMemory::at(sp, &mut own);
    keep(cells, own);
    memory
}

fn keep(cells: &ThreadCells, own: OwnStack) {
    cells.stack_low.store(own.low as u64, Ordering::Relaxed);
    cells.stack_top.store(own.high as u64, Ordering::Relaxed);
}
