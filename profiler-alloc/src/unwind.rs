//! Walking a stack: by unwind tables, or by frame pointers where the tables have confirmed them.
//!
//! The table walk is the authority. A rule is compiled once per return address and found again by
//! one probe, so a warm walk costs a few nanoseconds a frame and needs no build flag.
//!
//! What leads from one stack to another, it follows there: a function that runs on a stack of its own
//! (`stacker`), the function that a coroutine begins in, the frame that the kernel makes for a signal. Code
//! made at run time has no tables; there it goes on by frame pointers until it meets a module again.
//!
//! The frame-pointer walk only computes a fingerprint: the hash of the return addresses it passes.
//! The fingerprint is believed if a table walk once took the very same way (see
//! [`Frames::is_confirmed_by`]); whether a function keeps a frame pointer at a given return address
//! is a property of its code, so what held once holds always.

#[cfg(not(portable_unwinder))]
mod beyond;

#[cfg(not(portable_unwinder))]
use self::beyond::{At, Caller, cut_off, outermost};
#[cfg(not(portable_unwinder))]
use crate::cfi;
use crate::cfi::{Rule, Step};
use crate::machine;
use crate::modules::{Modules, Site};
use crate::registers::Registers;
use crate::rules::Rules;
use crate::stack_memory::StackMemory;
use crate::stack_words::StackWords;
use crate::store::Store;

/// Frames after which a walk gives up: no real stack is that deep, and a damaged one may be a
/// circle.
const MAX_WALK: usize = 1 << 19;

/// How a walk ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// At the outermost frame.
    Complete,
    /// Before it.
    CutOff(Why),
}

/// Why a walk ended before the outermost frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// In code that is of no module, having been made at run time, and keeps no frame pointers.
    RunTimeCode,
    /// In a module that has no unwind table, or none that fits a rule.
    NoTable,
    /// On a stack that is not the thread's own, such as a coroutine's, of which nothing there says
    /// who resumed it.
    OtherStack,
    /// What the table says of the caller cannot be.
    Damage,
}

/// Whether a walk is to go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Visit {
    GoOn,
    /// What lies further out is known.
    Enough,
}

/// A frame that a walk came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    pub site: Site,
    /// Its stack pointer: where the frame further in ends.
    pub sp: usize,
    /// Where its return address stands; 0 if that is in a register, or the walk does not know.
    pub place: usize,
    /// The frame pointer it had.
    pub fp: usize,
    /// Where that was saved; 0 if the frame further in has not changed it.
    pub fp_at: usize,
    /// The frame pointer of the frame further in led here.
    pub by_fp: bool,
    /// Words that are named nowhere here led here, too.
    pub by_more: bool,
}

/// Hash of a sequence of return addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fingerprint(u64);

impl Fingerprint {
    pub const EMPTY: Fingerprint = Fingerprint(0x243f_6a88_85a3_08d3);

    #[inline]
    pub fn push(&mut self, site: Site) {
        let mixed = (self.0 ^ site.to_bits()).wrapping_mul(0xff51_afd7_ed55_8ccd);
        self.0 = mixed ^ (mixed >> 32);
    }

    pub const fn to_bits(self) -> u64 {
        self.0
    }

    pub const fn from_bits(bits: u64) -> Fingerprint {
        Fingerprint(bits)
    }
}

/// What a frame-pointer walk found.
#[derive(Clone, Copy, Debug)]
pub struct Guess {
    pub fingerprint: Fingerprint,
    pub len: usize,
}

impl Guess {
    /// No frame-pointer walk was made.
    pub const NONE: Guess = Guess {
        fingerprint: Fingerprint::EMPTY,
        len: 0,
    };
}

/// Everything a table walk needs beside the stack.
pub struct Tables<'a> {
    pub rules: &'a Rules,
    pub modules: &'a Modules,
    pub store: &'a Store,
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
    let Registers { pc, sp, fp, .. } = registers;
    let mut link = registers.link();
    let code = tables.site(pc);
    let mut at = At { code, sp, fp };
    let mut rule = tables.rule(code);
    for _ in 0..MAX_WALK {
        let caller = match rule.step() {
            Step::Caller {
                from_fp,
                offset,
                saved_fp,
                return_at,
            } => {
                let base = if from_fp { at.fp } else { at.sp };
                let sp = base.wrapping_add_signed(offset);
                // The caller's frame lies above this one, which may be empty if the return address
                // is elsewhere.
                let is_further = sp > at.sp || (sp == at.sp && return_at.is_none());
                let (place, word) = match return_at {
                    Some(at) => {
                        let place = sp.wrapping_add_signed(at);
                        (place, memory.read(place))
                    }
                    None => (0, link),
                };
                let (fp_at, fp) = match saved_fp {
                    0 => (0, Some(at.fp)),
                    saved => {
                        let fp_at = sp.wrapping_add_signed(saved);
                        (fp_at, memory.read(fp_at))
                    }
                };
                match (is_further, word, fp) {
                    (true, Some(word), Some(fp)) => Caller {
                        sp,
                        place,
                        word,
                        fp,
                        fp_at,
                        by_fp: from_fp,
                        by_more: false,
                        is_signal: false,
                    },
                    _ => match tables.on_other_stack(at, sp, [place, fp_at], memory) {
                        Some([word, fp]) => Caller {
                            sp,
                            place,
                            word,
                            fp: if fp_at == 0 { at.fp } else { fp },
                            fp_at,
                            by_fp: from_fp,
                            by_more: false,
                            is_signal: false,
                        },
                        None => return cut_off(Why::Damage, memory),
                    },
                }
            }
            Step::Trampoline(trampoline) => match tables.through(trampoline, at, memory) {
                Some(caller) => caller,
                None => return cut_off(Why::Damage, memory),
            },
            Step::Unknown => match tables.without_rule(at, memory) {
                Ok(caller) => caller,
                Err(end) => return end,
            },
            Step::Outermost => return outermost(memory),
        };
        // All other functions have made a call, which took the register.
        link = None;
        let return_address = machine::address_in(caller.word);
        if return_address == 0 {
            return outermost(memory);
        }
        // One that was interrupted is told from one that called by an address one further on: so
        // the call is where it was interrupted, for us as for whoever reads the profile.
        let return_address = return_address + usize::from(caller.is_signal);
        let (site, next) = tables.caller(return_address);
        let found = Found {
            site,
            sp: caller.sp,
            place: caller.place,
            fp: caller.fp,
            fp_at: caller.fp_at,
            by_fp: caller.by_fp,
            by_more: caller.by_more,
        };
        if visit(found, memory) == Visit::Enough {
            return End::Complete;
        }
        rule = next;
        at = At {
            code: site.call(),
            sp: caller.sp,
            fp: caller.fp,
        };
    }
    End::CutOff(Why::Damage)
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
    crate::portable::walk(|return_address| {
        let found = Found {
            site: tables.site(return_address),
            sp: 0,
            place: 0,
            fp: 0,
            fp_at: 0,
            by_fp: false,
            by_more: false,
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
            Step::Caller { .. } | Step::Trampoline(_) | Step::Outermost | Step::Unknown => None,
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
        let return_at = machine::RETURN_AT.unwrap_or(self.return_at);
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
            Some(module) => cfi::compile(&module, at.address()),
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
        let return_address = machine::address_in(word);
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
        is_whole && machine::address_in(word) != 0
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
