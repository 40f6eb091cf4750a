//! Where a thread is: its stack, by frame pointers if they are known to lead there, by unwind tables otherwise.

use core::sync::atomic::{AtomicU64, Ordering};

use profiler_alloc_format::ThreadCells;

use super::Recorder;
use crate::counters::{self, bump};
use crate::frames::Frames;
use crate::registers::Registers;
use crate::scratch::Scratch;
use crate::stack_memory::{OwnStack, StackMemory};
use crate::stacks::{self, StackRef};
use crate::unwind::{self, End, Guess, Tables};

/// Frame-pointer walks are tried while their credit is positive: each that is confirmed adds one, each that a table walk
/// contradicts takes one off. A binary without frame pointers has used up the first credit after as many samples.
pub const FRAME_POINTER_CREDIT: i32 = 64;
/// Most credit there is.
const FRAME_POINTER_TRUST: i32 = 1024;

impl Recorder {
    /// The calling thread's stack from `registers` outwards, and the number of frames walked.
    pub(super) fn stack(&self, cells: &ThreadCells, registers: Registers) -> (StackRef, usize) {
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
        let end = unwind::walk(registers, &mut memory, &mut tables, |found, memory| {
            frames.push(found, memory)
        });
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

    pub(super) fn guess(&self, registers: Registers, memory: &mut StackMemory) -> Guess {
        if self.frame_pointer_credit.load(Ordering::Relaxed) > 0 {
            unwind::walk_frame_pointers(registers, memory, &self.modules, self.depth)
        } else {
            Guess::NONE
        }
    }

    pub(super) fn trust_frame_pointers(&self) {
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
