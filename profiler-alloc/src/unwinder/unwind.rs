//! Walking a stack: by unwind tables, or by frame pointers where the tables have confirmed them.
//!
//! The table walk is the authority. A rule is compiled once per return address and found again by
//! one probe, so a warm walk costs a few nanoseconds a frame and needs no build flag.
//!
//! The frame-pointer walk only computes a fingerprint: the hash of the return addresses it passes.
//! The fingerprint is believed if a table walk once took the very same way (see
//! [`Frames::is_confirmed_by`]); whether a function keeps a frame pointer at a given return address
//! is a property of its code, so what held once holds always.

use crate::profile_file::store::Store;
use crate::unwinder::arch;
#[cfg(not(portable_unwinder))]
use crate::unwinder::cfi;
use crate::unwinder::cfi::Context;
use crate::unwinder::cfi::{Rule, Step};
use crate::unwinder::frame::{End, Found, Guess, Visit};
use crate::unwinder::modules::{Modules, Site};
use crate::unwinder::registers::Registers;
use crate::unwinder::rule_cache::Rules;
use crate::unwinder::stack_memory::StackMemory;
use crate::unwinder::stack_words::StackWords;

/// Frames after which a walk gives up: no real stack is that deep, and a damaged one may be a
/// circle.
const MAX_WALK: usize = 1 << 19;

/// Everything a table walk needs beside the stack.
pub struct Tables<'a> {
    pub rules: &'a Rules,
    pub modules: &'a Modules,
    pub store: &'a Store,
    pub context: &'a mut Context,
    pub now_ns: u64,
}

/// Walks by unwind tables from `registers`, giving every frame to `visit`, innermost first.
#[cfg(not(portable_unwinder))]
pub fn walk(
    registers: Registers,
    memory: &mut StackMemory,
    tables: &mut Tables<'_>,
    mut visit: impl FnMut(Found, &mut StackMemory) -> Visit,
) -> End {
    let Registers {
        pc, mut sp, mut fp, ..
    } = registers;
    let mut link = registers.link();
    let mut rule = tables.rule(tables.site(pc));
    for _ in 0..MAX_WALK {
        let (from_fp, offset, saved_fp, return_at) = match rule.step() {
            Step::Caller {
                from_fp,
                offset,
                saved_fp,
                return_at,
            } => (from_fp, offset, saved_fp, return_at),
            Step::Outermost => return End::Complete,
            Step::Unknown if memory.begins_at(sp) => return End::Complete,
            Step::Unknown => return End::CutOff,
        };
        let frame_end = if from_fp { fp } else { sp }.wrapping_add_signed(offset);
        // The caller's frame lies above this one, which may be empty if the return address is
        // elsewhere; all else is damage.
        if frame_end < sp || (frame_end == sp && return_at.is_some()) {
            return End::CutOff;
        }
        let (place, word) = match return_at {
            Some(at) => {
                let place = frame_end.wrapping_add_signed(at);
                (place, memory.read(place))
            }
            None => (0, link),
        };
        // All other functions have made a call, which took the register.
        link = None;
        let Some(word) = word else {
            return End::CutOff;
        };
        let return_address = arch::address_in(word);
        let mut fp_at = 0;
        if saved_fp != 0 {
            fp_at = frame_end.wrapping_add_signed(saved_fp);
            let Some(saved) = memory.read(fp_at) else {
                return End::CutOff;
            };
            fp = saved;
        }
        if return_address == 0 {
            return End::Complete;
        }
        let (site, next) = tables.caller(return_address);
        let found = Found {
            site,
            sp: frame_end,
            place,
            fp,
            fp_at,
            by_fp: from_fp,
        };
        if visit(found, memory) == Visit::Enough {
            return End::Complete;
        }
        rule = next;
        sp = frame_end;
    }
    End::CutOff
}

/// Walks by the `backtrace` crate: some 50 times slower, and at home everywhere.
#[cfg(portable_unwinder)]
pub fn walk(
    _: Registers,
    memory: &mut StackMemory,
    tables: &mut Tables<'_>,
    mut visit: impl FnMut(Found, &mut StackMemory) -> Visit,
) -> End {
    // Places are not known, so no outer end is ever found again.
    crate::unwinder::portable::walk(|return_address| {
        let found = Found {
            site: tables.site(return_address),
            sp: 0,
            place: 0,
            fp: 0,
            fp_at: 0,
            by_fp: false,
        };
        visit(found, memory)
    })
}

/// How to find the return address of the function that a walk begins in: what its rule says, at
/// hand.
#[derive(Clone, Copy, Debug)]
pub struct FirstFrame {
    pc: usize,
    from_fp: bool,
    offset: isize,
    return_at: isize,
}

impl FirstFrame {
    /// Of no function.
    pub const NONE: FirstFrame = FirstFrame {
        pc: 0,
        from_fp: false,
        offset: 0,
        return_at: 0,
    };

    /// By the `rule` at `pc`, if it leads to a place on the stack.
    pub fn new(pc: usize, rule: Rule) -> Option<FirstFrame> {
        match rule.step() {
            Step::Caller {
                from_fp,
                offset,
                return_at: Some(return_at),
                ..
            } => Some(FirstFrame {
                pc,
                from_fp,
                offset,
                return_at,
            }),
            Step::Caller { .. } | Step::Outermost | Step::Unknown => None,
        }
    }

    /// True if a walk from `registers` begins in this function.
    #[inline]
    pub fn is_at(&self, registers: Registers) -> bool {
        self.pc == registers.pc
    }

    /// Where the return address stands.
    #[inline]
    pub fn return_at(&self, registers: Registers) -> usize {
        let base = match self.from_fp {
            true => registers.fp,
            false => registers.sp,
        };
        let return_at = arch::RETURN_AT.unwrap_or(self.return_at);
        base.wrapping_add_signed(self.offset)
            .wrapping_add_signed(return_at)
    }
}

impl Tables<'_> {
    #[inline]
    fn site(&self, return_address: usize) -> Site {
        self.modules.site(self.store, return_address, self.now_ns)
    }

    /// The site of a return address, and the rule for the frame of its function.
    #[cfg(not(portable_unwinder))]
    #[inline]
    fn caller(&mut self, return_address: usize) -> (Site, Rule) {
        let site = self.site(return_address);
        match self.rules.find(site.call()) {
            Some(rule) => (site, rule),
            None => self.meet(return_address, site),
        }
    }

    /// As [`caller`](Self::caller), where no rule is known. The module may have been met just now,
    /// and be one that may be unloaded: what was taken for the site then was not.
    #[cfg(not(portable_unwinder))]
    #[cold]
    #[inline(never)]
    fn meet(&mut self, return_address: usize, site: Site) -> (Site, Rule) {
        let rule = self.compile(site.call());
        match self.site(return_address) {
            same if same == site => (site, rule),
            site => (site, self.rule(site.call())),
        }
    }

    #[cfg(not(portable_unwinder))]
    #[inline]
    fn rule(&mut self, at: Site) -> Rule {
        match self.rules.find(at) {
            Some(rule) => rule,
            None => self.compile(at),
        }
    }

    #[cfg(not(portable_unwinder))]
    #[cold]
    #[inline(never)]
    fn compile(&mut self, at: Site) -> Rule {
        let rule = match self.modules.find(self.store, at, self.now_ns) {
            Some(module) => cfi::compile(&module, at.address(), self.context),
            None => Rule::UNKNOWN,
        };
        self.rules.insert(at, rule);
        rule
    }
}

/// Walks by frame pointers. A stack of more than `most` frames is left to the tables, which need
/// not walk all of it, and so is one with frames of a library that may be unloaded: what stands at
/// its addresses may change.
#[inline]
pub fn walk_frame_pointers(
    registers: Registers,
    memory: &mut StackMemory,
    modules: &Modules,
    most: usize,
) -> Guess {
    let mut guess = Guess::NONE;
    follow_frame_pointers(registers, memory, |_, [_, word]| {
        let return_address = arch::address_in(word);
        if return_address == 0 {
            return false;
        }
        guess.fingerprint.push(Site::staying(return_address));
        guess.len += 1;
        let is_of_tables = guess.len > most || modules.may_pass(return_address);
        if is_of_tables {
            guess = Guess::NONE;
        }
        !is_of_tables
    });
    guess
}

/// Copies everything that a walk by frame pointers depends on beside the first. False if there is
/// no room.
#[cold]
pub fn copy_frame_pointers(
    registers: Registers,
    memory: &mut StackMemory,
    to: &mut StackWords<'_>,
) -> bool {
    let mut is_whole = true;
    follow_frame_pointers(registers, memory, |fp, [caller_fp, word]| {
        is_whole = to.push(fp, caller_fp) && to.push(fp + 8, word);
        is_whole && arch::address_in(word) != 0
    });
    if !is_whole {
        to.clear();
    }
    is_whole
}

/// Where each frame pointer points stand the caller's frame pointer and, above it, the word with
/// the return address: gives both to `visit`, from the inside out, until that gives false.
#[inline(always)]
fn follow_frame_pointers(
    registers: Registers,
    memory: &mut StackMemory,
    mut visit: impl FnMut(usize, [usize; 2]) -> bool,
) {
    let (mut low, mut fp) = (registers.sp, registers.fp);
    while fp > low && memory.holds(fp.wrapping_add(8)) {
        let (Some(caller_fp), Some(return_address)) = (memory.read(fp), memory.read(fp + 8)) else {
            break;
        };
        if !visit(fp, [caller_fp, return_address]) {
            break;
        }
        low = fp;
        fp = caller_fp;
    }
}

#[cfg(all(test, not(portable_unwinder)))]
mod tests;
