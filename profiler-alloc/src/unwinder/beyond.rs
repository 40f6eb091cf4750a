//! What a walk meets beside functions that compilers made: other stacks, trampolines, code made at
//! run time. All of it rare, and kept out of the walk itself.

use crate::ffi::os;
use crate::unwinder::arch;
use crate::unwinder::cfi::{Trampoline, WordPlace};
use crate::unwinder::frame::{End, Why};
use crate::unwinder::modules::CodeAddress;
use crate::unwinder::stack_memory::StackMemory;
use crate::unwinder::tables::Tables;

/// Where a walk has come to: a function that runs, and the registers it has there.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub code: CodeAddress,
    pub sp: usize,
    pub fp: usize,
}

/// The frame of a function's caller.
#[derive(Clone, Copy)]
pub(super) struct CallerFrame {
    pub sp: usize,
    /// Where its return address stands, and the word there.
    pub place: usize,
    pub word: usize,
    pub fp: usize,
    pub fp_at: usize,
    pub by_fp: bool,
    pub by_more: bool,
    /// It was interrupted where the address says, and called nothing.
    pub is_signal: bool,
}

#[cold]
pub(super) fn outermost(memory: &StackMemory) -> End {
    match memory.is_own() {
        true => End::Complete,
        false => End::CutOff(Why::OtherStack),
    }
}

#[cold]
pub(super) fn cut_off(why: Why, memory: &StackMemory) -> End {
    End::CutOff(match memory.is_own() {
        true => why,
        false => Why::OtherStack,
    })
}

impl Tables<'_> {
    /// The words at `places` (0 for none) of a frame that is said to begin at `sp` and is not
    /// further out on this stack: on another one, if that can be.
    #[cold]
    #[inline(never)]
    pub(super) fn on_other_stack(
        &self,
        at: At,
        sp: usize,
        places: [usize; 2],
        memory: &mut StackMemory,
    ) -> Option<[usize; 2]> {
        let [place, fp_at] = places;
        // The frame of a function that calls nothing is on no other stack.
        if place == 0 {
            return None;
        }
        let lowest = if fp_at == 0 { place } else { place.min(fp_at) };
        memory.attempt(|memory| {
            if lowest > sp || !memory.change(lowest, at.sp, false) {
                return None;
            }
            let word = memory.read(place)?;
            let fp = match fp_at {
                0 => 0,
                fp_at => memory.read(fp_at)?,
            };
            // No function of run-time code changes the stack, but a table that does not know of a
            // change leads anywhere.
            self.is_of_module(arch::address_in(word))
                .then_some([word, fp])
        })
    }

    /// The caller of a trampoline.
    #[cold]
    #[inline(never)]
    pub(super) fn through(
        &self,
        by: Trampoline,
        at: At,
        memory: &mut StackMemory,
    ) -> Option<CallerFrame> {
        let base = if by.from_fp { at.fp } else { at.sp };
        let begin = base.wrapping_add_signed(by.offset);
        let sp = match by.through {
            Some(more) => memory.read(begin)?.wrapping_add_signed(more),
            None => begin,
        };
        let in_memory = |place: WordPlace| match place {
            WordPlace::InFrame(offset) => sp.wrapping_add_signed(offset),
            WordPlace::FromBase(offset) => base.wrapping_add_signed(offset),
        };
        let (place, fp_at) = (in_memory(by.return_at), by.saved_fp.map(in_memory));
        let read = |memory: &mut StackMemory| {
            let fp = fp_at.map_or(Some(at.fp), |fp_at| memory.read(fp_at));
            memory.read(place).zip(fp)
        };
        let go_to = |address: usize, memory: &mut StackMemory| {
            let is_here = sp > at.sp && memory.read(address).is_some();
            is_here || memory.change(address, at.sp, by.is_signal)
        };
        let (word, fp) = memory.attempt(|memory| match by.return_at {
            // On the caller's stack.
            WordPlace::InFrame(_) => {
                let lowest = fp_at.map_or(place, |fp_at| place.min(fp_at));
                let there = go_to(lowest, memory).then(|| read(memory)).flatten();
                there.filter(|&(word, _)| self.is_of_module(arch::address_in(word)))
            }
            // On this one.
            WordPlace::FromBase(_) => read(memory).filter(|_| go_to(sp, memory)),
        })?;
        Some(CallerFrame {
            sp,
            place,
            word,
            fp,
            fp_at: fp_at.unwrap_or_default(),
            by_fp: by.from_fp,
            by_more: true,
            is_signal: by.is_signal,
        })
    }

    /// The caller of code made at run time that keeps frame pointers: where `fp` points stand the
    /// caller's and the return address.
    #[cold]
    #[inline(never)]
    pub(super) fn by_frame_pointer(&self, at: At, memory: &mut StackMemory) -> Option<CallerFrame> {
        let (fp_at, place) = (at.fp, at.fp.wrapping_add(8));
        if fp_at < at.sp {
            return None;
        }
        let (fp, word) = memory.read(fp_at).zip(memory.read(place))?;
        self.may_be_code(arch::address_in(word), memory)
            .then_some(CallerFrame {
                sp: place + 8,
                place,
                word,
                fp,
                fp_at,
                by_fp: true,
                by_more: false,
                is_signal: false,
            })
    }

    /// How a walk ends at code that has no rule.
    #[cold]
    #[inline(never)]
    pub(super) fn without_rule(&self, at: At, memory: &StackMemory) -> End {
        if memory.begins_at(at.sp) {
            return End::Complete;
        }
        let module = self.modules.find(self.store, at.code, self.now_ns);
        match module {
            Some(_) => cut_off(Why::NoTable, memory),
            None => End::CutOff(Why::RunTimeCode),
        }
    }

    /// True if a function may return to `address`.
    fn may_be_code(&self, address: usize, memory: &StackMemory) -> bool {
        let call = self.site(address).call();
        address != 0
            && (self.rules.find(call).is_some()
                || self.is_of_module(address)
                || (!memory.holds(address) && os::is_readable(address - 1..address)))
    }

    /// True if a module has the code that returns to `address`.
    fn is_of_module(&self, address: usize) -> bool {
        let call = self.site(address).call();
        (self.modules.find(self.store, call, self.now_ns)).is_some()
    }
}
