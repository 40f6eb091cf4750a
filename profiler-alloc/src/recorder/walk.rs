//! Where a thread is: its stack, by frame pointers if they are known to lead there, by unwind tables otherwise.

use core::sync::atomic::{AtomicU64, Ordering};

use profiler_alloc_format::ThreadCells;

use super::Recorder;
use crate::counters::{self, bump};
use crate::frames::Frames;
use crate::modules::Site;
use crate::recent::Start;
use crate::registers::Registers;
use crate::scratch::Scratch;
use crate::stack_memory::{OwnStack, StackMemory};
use crate::stacks::{self, StackRef};
use crate::unwind::{self, End, FirstFrame, Guess, Tables, Why};

/// Frame-pointer walks are tried while their credit is positive: each that is confirmed adds one, each that a table walk
/// contradicts takes one off. A binary without frame pointers has used up the first credit after as many samples.
pub const FRAME_POINTER_CREDIT: i32 = 64;
/// Most credit there is.
const FRAME_POINTER_TRUST: i32 = 1024;

/// The operation that a stack is taken for: each has functions of its own that walks begin in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Alloc,
    Free,
    Realloc,
}

impl Recorder {
    /// The calling thread's stack from `registers` outwards, and the number of frames walked.
    pub(super) fn stack(
        &self,
        cells: &ThreadCells,
        kind: Kind,
        registers: Registers,
    ) -> (StackRef, usize) {
        let mut memory = memory_at(cells, registers.sp);
        let thread = counters::number();
        let Some(mut scratch) = self.scratch.take(thread as usize) else {
            return self.lost_stack();
        };
        let first_frame = &mut scratch.first_frames[kind as usize];
        let start = self
            .first_return(first_frame, registers, &mut memory)
            .map(|first| Start::new(thread, registers, first));
        let recent = start.and_then(|start| scratch.recent.find(start, &mut memory));
        if let Some(stack) = recent {
            bump(&cells.table_walks, 1);
            return (stack, 0);
        }
        self.walk(cells, registers, &mut memory, &mut scratch, start)
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
            let rule = self.rules.find(Site::staying(registers.pc))?;
            *frame = FirstFrame::new(registers.pc, rule)?;
        }
        memory.read(frame.return_at(registers))
    }

    #[cold]
    fn lost_stack(&self) -> (StackRef, usize) {
        let header = self.store.header();
        header.lost_crowded.fetch_add(1, Ordering::Relaxed);
        (StackRef::OTHER, 0)
    }

    /// The stack, found by walking it.
    #[inline(never)]
    fn walk(
        &self,
        cells: &ThreadCells,
        registers: Registers,
        memory: &mut StackMemory,
        scratch: &mut Scratch,
        start: Option<Start>,
    ) -> (StackRef, usize) {
        let header = self.store.header();
        let guess = self.guess(registers, memory);
        if guess.len > 0
            && let Some(stack) = self.stacks.guessed(guess.fingerprint)
        {
            bump(&cells.frame_pointer_walks, 1);
            self.trust_frame_pointers();
            if let Some(start) = start {
                scratch.recent.note(start, stack, |words| {
                    // Two words a frame.
                    let is_copied = 2 * guess.len <= words.room()
                        && unwind::copy_frame_pointers(registers, memory, words);
                    is_copied.then_some(true)
                });
            }
            return (stack, guess.len);
        }
        bump(&cells.table_walks, 1);
        let now_ns = self.elapsed();
        let Scratch { frames, recent, .. } = scratch;
        let mut frames = Frames::new(frames, counters::number(), guess);
        let mut tables = Tables {
            rules: &self.rules,
            modules: &self.modules,
            store: &self.store,
            now_ns,
        };
        let end = unwind::walk(registers, memory, &mut tables, |found, memory| {
            frames.push(found, memory)
        });
        match end {
            End::Complete => frames.complete(),
            End::CutOff(why) => self.lose_outer_frames(why),
        }
        if memory.is_changed() {
            keep(cells, memory.own());
        }
        if frames.is_deep() {
            header.lost_middle_frames.fetch_add(1, Ordering::Relaxed);
        }
        let stack = self
            .stacks
            .intern(&self.store, &self.modules, &frames, now_ns);
        if stack == StackRef::OTHER {
            let lost = match frames.walked() {
                0 => &header.lost_starts,
                _ => &header.lost_stacks,
            };
            lost.fetch_add(1, Ordering::Relaxed);
        }
        // The frame pointers of one stack say nothing of another.
        if guess.len > 0 && !memory.is_changed() {
            if end == End::Complete && frames.is_confirmed() {
                self.stacks.confirm(guess.fingerprint, stack);
                self.trust_frame_pointers();
            } else {
                self.frame_pointer_credit.fetch_sub(1, Ordering::Relaxed);
            }
        }
        if end == End::Complete
            && stack != StackRef::OTHER
            && let Some(start) = start
        {
            recent.note(start, stack, |words| frames.copy_words(memory, words));
        }
        (stack, frames.walked())
    }

    /// A walk did not come to the thread's outermost frame.
    #[cold]
    fn lose_outer_frames(&self, why: Why) {
        let header = self.store.header();
        header.lost_outer_frames.fetch_add(1, Ordering::Relaxed);
        let reason = match why {
            Why::RunTimeCode => &header.lost_in_run_time_code,
            Why::NoTable => &header.lost_without_table,
            Why::OtherStack => &header.lost_on_other_stack,
            Why::Damage => return,
        };
        reason.fetch_add(1, Ordering::Relaxed);
    }

    fn guess(&self, registers: Registers, memory: &mut StackMemory) -> Guess {
        if memory.is_own() && self.frame_pointer_credit.load(Ordering::Relaxed) > 0 {
            unwind::walk_frame_pointers(registers, memory, &self.modules, self.depth)
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
    pub(super) fn enter(&self, cells: &ThreadCells, at: StackRef) {
        let left = cells.last_node.load(Ordering::Relaxed);
        if left != at.node {
            let heap = cells.last_heap.load(Ordering::Relaxed) as i64;
            stacks::leave(&self.store, left, at.node, heap);
            cells.last_node.store(at.node, Ordering::Relaxed);
        }
    }
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
