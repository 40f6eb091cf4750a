//! The table walk against the system's unwinder, on stacks of many shapes.

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod doubtful;
mod other_stacks;

use std::ffi::{CString, c_int, c_void};
use std::hint::black_box;

use super::*;
use crate::ffi::memory;
use crate::profile_file::store::Store;
use crate::stacks::frame_buffer::{FrameBuffer, Frames};
use crate::stacks::interner::StackRef;
use crate::stacks::stack_cache::{StackCache, Start};
use crate::unwinder::frame::Fingerprint;
use crate::unwinder::rule_cache::RuleCache;
use crate::unwinder::stack_memory::OwnStack;
use crate::unwinder::stack_words::Quad;

/// What a table walk needs.
struct Known {
    store: &'static Store,
    rules: RuleCache,
    modules: Modules,
}

impl Known {
    fn tables(&self) -> Tables<'_> {
        Tables {
            rules: &self.rules,
            modules: &self.modules,
            store: self.store,
            now_ns: 0,
        }
    }
}

/// A place to compare the two unwinders from anywhere.
struct Oracle {
    known: Known,
    buffer: FrameBuffer,
    cache: StackCache,
    /// Every stack met so far; its number is one more than its place.
    stacks: Vec<Vec<usize>>,
    compared: usize,
    /// Stacks that were not walked, as they had been met lately.
    recognized: usize,
    /// Frames of all walks that were compared, and those of them that were not walked again.
    frames: usize,
    joined: usize,
}

impl Oracle {
    fn new(name: &str) -> Oracle {
        let path = std::env::temp_dir().join(format!("unwind-{name}-{}", std::process::id()));
        let store = Store::create(&CString::new(path.to_str().unwrap()).unwrap()).unwrap();
        std::fs::remove_file(path).unwrap();
        let modules = Modules::new().unwrap();
        modules.add_all(store, 0);
        let rules = RuleCache::new().unwrap();
        Oracle {
            known: Known {
                store,
                rules,
                modules,
            },
            buffer: FrameBuffer::new(memory::zeroed(FrameBuffer::words(4096)).unwrap(), 4096),
            cache: StackCache::new(),
            stacks: Vec::new(),
            compared: 0,
            recognized: 0,
            frames: 0,
            joined: 0,
        }
    }

    /// All return addresses from `registers` on.
    fn walk(&self, registers: Registers) -> (Vec<usize>, End) {
        let mut memory = StackMemory::at(registers.sp, &mut OwnStack::find());
        let mut addresses = Vec::new();
        let mut tables = self.known.tables();
        let end = walk(registers, &mut memory, &mut tables, |found, _| {
            addresses.push(found.site.address());
            ControlFlow::Continue(())
        });
        (addresses, end)
    }

    /// Walks from here both ways; the frames must be the same, and the walk complete.
    #[inline(never)]
    fn compare(&mut self) {
        let registers = Registers::capture();
        let (ours, end) = self.walk(registers);
        let theirs = theirs();
        // Theirs begins within the library and this function, ours at this function's caller.
        let start = theirs
            .iter()
            .position(|address| Some(address) == ours.first());
        let theirs = &theirs[start.expect("the caller is in both")..];
        assert_eq!(ours, *theirs);
        assert_eq!(end, End::Complete);
        self.compared += 1;

        // A stack that is recognized is this one.
        let mut memory = StackMemory::at(registers.sp, &mut OwnStack::find());
        let start = Start::new(1, registers, ours[0], 0);
        let number = match self.stacks.iter().position(|stack| *stack == ours) {
            Some(known) => known,
            None => {
                self.stacks.push(ours.clone());
                self.stacks.len() - 1
            }
        };
        let stack = StackRef {
            stack: number as u32 + 1,
            node: 1,
        };
        let recognized = self.cache.find(start, &mut memory);
        assert!(recognized.is_none_or(|recognized| recognized == stack));
        self.recognized += usize::from(recognized.is_some());

        // The walk that goes only as far as the stack differs from the last one finds the same.
        let mut memory = StackMemory::at(registers.sp, &mut OwnStack::find());
        let mut frames = Frames::new(&mut self.buffer, 1, Candidate::NONE);
        let mut tables = self.known.tables();
        walk(registers, &mut memory, &mut tables, |found, memory| {
            frames.push(found, memory)
        });
        frames.complete();
        (self.cache).note(start, stack, |words| frames.copy_words(&memory, words));
        let mut kept: Vec<_> = frames
            .outermost_first()
            .map(|site| site.expect("not that deep").address())
            .collect();
        kept.reverse();
        assert_eq!(kept, ours);
        let mut whole = Fingerprint::EMPTY;
        (ours.iter().rev()).for_each(|&address| whole.push(CodeAddress::staying(address)));
        assert_eq!(frames.fingerprint(), whole);
        self.frames += ours.len();
        self.joined += ours.len() - frames.walked();
    }

    /// So many stacks were recognized without a walk, and so many frames were not walked again.
    #[track_caller]
    fn assert_spared(&self, stacks: usize, frames: usize) {
        let Oracle {
            recognized, joined, ..
        } = self;
        assert!(*recognized >= stacks, "{recognized} stacks, not {stacks}");
        assert!(*joined >= frames, "{joined} frames, not {frames}");
    }
}

/// All return addresses from within here on, as the system's unwinder finds them.
fn theirs() -> Vec<usize> {
    let mut addresses = Vec::new();
    // SAFETY: only symbol lookup shares state, and no symbol is looked up.
    unsafe {
        backtrace::trace_unsynchronized(|frame| {
            // It ends with a frame of address 0.
            addresses.extend(Some(frame.ip() as usize).filter(|&address| address != 0));
            true
        });
    }
    addresses
}

/// Recursion through frames of different sizes, closures, trait objects and iterators.
#[inline(never)]
fn descend(oracle: &mut Oracle, depth: usize) -> usize {
    let room = black_box([depth; 37]);
    if depth == 0 {
        oracle.compare();
        // Recognized from the third time on.
        (0..black_box(4)).for_each(|_| oracle.compare());
        return room.len();
    }
    let next: Box<dyn FnOnce(&mut Oracle) -> usize> = match depth % 3 {
        0 => Box::new(move |oracle| descend(oracle, depth - 1)),
        1 => Box::new(move |oracle| (0..1).map(|_| descend(oracle, depth - 1)).sum()),
        _ => Box::new(move |oracle| {
            let wide = black_box([1u8; 5000]);
            descend(oracle, depth - 1) + wide.len()
        }),
    };
    next(oracle) + room[1]
}

/// Up and down between depths, and each time from a loop of calls on different lines.
#[test]
fn agrees_with_the_systems_unwinder_when_stacks_have_parts_in_common() {
    let mut oracle = Oracle::new("common");
    let mut state = 7u64;
    for _ in 0..500 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let depth = (state >> 40) as usize % 40;
        black_box(descend(&mut oracle, depth));
        black_box(descend(&mut oracle, depth / 2));
        for more in 0..depth % 3 {
            black_box(descend(&mut oracle, depth + more));
        }
    }
    assert!(oracle.compared >= 2_000);
    oracle.assert_spared(oracle.compared / 5 + 1, oracle.frames / 3 + 1);
}

#[test]
fn agrees_with_the_systems_unwinder_at_every_depth() {
    let mut oracle = Oracle::new("depth");
    for depth in 0..200 {
        descend(&mut oracle, depth);
    }
    assert_eq!(oracle.compared, 1000);
}

#[test]
fn goes_through_c_code_without_frame_pointers() {
    unsafe extern "C" fn order(a: *const c_void, b: *const c_void) -> c_int {
        ORACLE.with_borrow_mut(Oracle::compare);
        // SAFETY: qsort passes two elements of the array.
        unsafe { (*a.cast::<u32>()).cmp(&*b.cast::<u32>()) as c_int }
    }
    thread_local! {
        static ORACLE: std::cell::RefCell<Oracle> = std::cell::RefCell::new(Oracle::new("qsort"));
    }
    let mut numbers = [5u32, 3, 9, 1, 7, 2];
    // SAFETY: the array is as described, and the order is total.
    unsafe { libc::qsort(numbers.as_mut_ptr().cast(), numbers.len(), 4, Some(order)) };
    assert_eq!(numbers, [1, 2, 3, 5, 7, 9]);
    ORACLE.with_borrow(|oracle| assert!(oracle.compared >= 6));
}

#[test]
fn goes_through_panics_and_destructors() {
    struct Compare<'a>(&'a mut Oracle);
    impl Drop for Compare<'_> {
        fn drop(&mut self) {
            self.0.compare();
        }
    }
    let mut oracle = Oracle::new("panic");
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _compare = Compare(&mut oracle);
        std::panic::resume_unwind(Box::new(()));
    }));
    assert!(caught.is_err());
    assert_eq!(oracle.compared, 1);
}

#[test]
fn fingerprints_depend_on_order() {
    let of = |addresses: &[usize]| {
        let mut fingerprint = Fingerprint::EMPTY;
        addresses
            .iter()
            .for_each(|&address| fingerprint.push(CodeAddress::staying(address)));
        fingerprint
    };
    assert_eq!(of(&[1, 2, 3]), of(&[1, 2, 3]));
    assert_ne!(of(&[1, 2, 3]), of(&[3, 2, 1]));
    assert_ne!(of(&[1, 2]), of(&[1, 2, 0]));
}

#[test]
fn a_chain_of_frame_pointers_is_followed_to_its_end() {
    // Two frames on a stack made by hand: saved frame pointer, return address.
    let stack = memory::zeroed::<core::sync::atomic::AtomicU64>(64).unwrap();
    let address = |at: usize| &raw const stack[at] as usize;
    let set = |at: usize, value: usize| {
        stack[at].store(value as u64, core::sync::atomic::Ordering::Relaxed)
    };
    set(10, address(30));
    set(11, 0x1111);
    set(30, 0);
    set(31, 0x2222);
    let registers = Registers::new(0, address(5), address(10));
    let mut own = OwnStack {
        low: address(0),
        high: address(63),
    };
    let mut memory = StackMemory::at(registers.sp, &mut own);
    let modules = Modules::new().unwrap();
    let mut expected = Fingerprint::EMPTY;
    expected.push(CodeAddress::staying(0x1111));
    expected.push(CodeAddress::staying(0x2222));
    let candidate = walk_frame_pointers(registers, &mut memory, &modules, 100);
    assert_eq!((candidate.fingerprint, candidate.len), (expected, 2));
    assert_eq!(
        walk_frame_pointers(registers, &mut memory, &modules, 0).len,
        0,
        "too deep to candidate"
    );
    // A frame pointer that does not rise ends the walk.
    set(30, address(20));
    assert_eq!(
        walk_frame_pointers(registers, &mut memory, &modules, 100).len,
        2
    );

    // What it depends on: every word that it read.
    let mut room = [Quad::default(); 1];
    let mut copied = StackWords::new(&mut room);
    assert!(copy_frame_pointers(registers, &mut memory, &mut copied));
    assert!(memory.still_holds(copied.quads()));
    for at in [10, 11, 30, 31] {
        let held = stack[at].load(core::sync::atomic::Ordering::Relaxed) as usize;
        set(at, held + 8);
        assert!(!memory.still_holds(copied.quads()), "word {at} has changed");
        set(at, held);
    }
    set(20, 1);
    assert!(memory.still_holds(copied.quads()));
    // Another frame is more than there is room for.
    set(30, address(40));
    assert!(!copy_frame_pointers(registers, &mut memory, &mut copied));
    assert!(copied.quads().is_empty());
}
