//! Where a thread is: its stack, by frame pointers if they are known to lead there, by unwind tables otherwise.

use core::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use profiler_alloc_format::ThreadCells;

use super::clock::Clock;
use crate::counters::slot::{self, bump};
use crate::profile_file::store::Store;
use crate::stacks::frame_buffer::Frames;
use crate::stacks::interner::{StackRef, Stacks};
use crate::stacks::stack_cache::Start;
use crate::stacks::workspace::{Pool, Scratch};
use crate::unwinder::frame::{End, Guess};
use crate::unwinder::modules::{Modules, Site};
use crate::unwinder::registers::Registers;
use crate::unwinder::rule_cache::Rules;
use crate::unwinder::stack_memory::{OwnStack, StackMemory};
use crate::unwinder::unwind::{self, FirstFrame, Tables};

/// Frame-pointer walks are tried while their credit is positive: each that is confirmed adds one, each that a table walk
/// contradicts takes one off. A binary without frame pointers has used up the first credit after as many samples.
const FRAME_POINTER_CREDIT: i32 = 64;
/// Most credit there is.
const FRAME_POINTER_TRUST: i32 = 1024;

/// The operation that a stack is taken for: each has functions of its own that walks begin in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Alloc,
    Free,
    Realloc,
}

/// The calling thread, whose stack is taken, and the recording that it is taken for.
#[derive(Clone, Copy)]
pub struct Thread<'a> {
    pub cells: &'a ThreadCells,
    pub store: &'a Store,
    pub clock: Clock,
}

/// What stacks are taken with.
pub struct Capture {
    stacks: Stacks,
    rules: Rules,
    modules: Modules,
    depth: usize,
    scratch: &'static Pool,
    frame_pointer_credit: AtomicI32,
}

impl Capture {
    /// For stacks of up to `depth` frames, with the modules that are loaded already. `None` if the
    /// system refuses memory.
    pub fn new(store: &Store, depth: usize) -> Option<Capture> {
        let capture = Capture {
            stacks: Stacks::new(),
            rules: Rules::new()?,
            modules: Modules::new()?,
            depth,
            scratch: Pool::new(depth)?,
            frame_pointer_credit: AtomicI32::new(FRAME_POINTER_CREDIT),
        };
        capture.modules.add_all(store, 0);
        Some(capture)
    }

    /// Bytes of address space that it has taken.
    pub fn bytes(&self) -> usize {
        self.stacks.bytes() + self.rules.bytes()
    }

    /// The calling thread's stack from `registers` outwards, and the number of frames walked.
    pub fn stack(&self, of: Thread<'_>, kind: Kind, registers: Registers) -> (StackRef, usize) {
        let Thread { cells, store, .. } = of;
        let mut memory = memory_at(cells, registers.sp);
        let thread = slot::number();
        let Some(mut scratch) = self.scratch.take(thread as usize) else {
            return lost_stack(store);
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
        self.walk(of, registers, &mut memory, &mut scratch, start)
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

    /// The stack, found by walking it.
    #[inline(never)]
    fn walk(
        &self,
        Thread {
            cells,
            store,
            clock,
        }: Thread<'_>,
        registers: Registers,
        memory: &mut StackMemory,
        scratch: &mut Scratch,
        start: Option<Start>,
    ) -> (StackRef, usize) {
        let header = store.header();
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
        let now_ns = clock.elapsed();
        let Scratch {
            context,
            frames,
            recent,
            ..
        } = scratch;
        let mut frames = Frames::new(frames, slot::number(), guess);
        let mut tables = Tables {
            rules: &self.rules,
            modules: &self.modules,
            store,
            context,
            now_ns,
        };
        let end = unwind::walk(registers, memory, &mut tables, |found, memory| {
            frames.push(found, memory)
        });
        match end {
            End::Complete => frames.complete(),
            End::CutOff => drop(header.lost_outer_frames.fetch_add(1, Ordering::Relaxed)),
        }
        if frames.is_deep() {
            header.lost_middle_frames.fetch_add(1, Ordering::Relaxed);
        }
        let stack = self.stacks.intern(store, &self.modules, &frames, now_ns);
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
        if end == End::Complete
            && stack != StackRef::OTHER
            && let Some(start) = start
        {
            recent.note(start, stack, |words| frames.copy_words(memory, words));
        }
        (stack, frames.walked())
    }

    fn guess(&self, registers: Registers, memory: &mut StackMemory) -> Guess {
        if self.frame_pointer_credit.load(Ordering::Relaxed) > 0 {
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
}

#[cold]
fn lost_stack(store: &Store) -> (StackRef, usize) {
    let header = store.header();
    header.lost_stacks.fetch_add(1, Ordering::Relaxed);
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
    cells.stack_low.store(own.low as u64, Ordering::Relaxed);
    cells.stack_top.store(own.high as u64, Ordering::Relaxed);
    memory
}
