//! The frames of one walk: all of an ordinary stack, both ends of a very deep one.
//!
//! ```text
//! innermost                                          outermost
//! │ kept in order ············ │ … left out … │ ring of the last ones │      a deep stack
//! │ kept in order ······ ║ frames of the last walk │                        an ordinary one
//! ```
//! A walk stops where the rest is known. An ordinary stack is compared with the thread's last one
//! (see [`PreviousStack`]). Of a deep stack, the outer end is kept from the last walk: the next
//! deep walk stops once it has enough inner frames and the kept return addresses are still in
//! place. So recursion costs the same at every depth: at depth 100,000 a walk visits some 450
//! frames.

use core::ops::ControlFlow;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::stacks::previous_stack::{self, ENTRY, Entry, PreviousStack};
use crate::unwinder::arch;
use crate::unwinder::frame::{Candidate, Fingerprint, WalkedFrame};
use crate::unwinder::modules::CodeAddress;
use crate::unwinder::stack_memory::StackMemory;
use crate::unwinder::stack_words::StackWords;

/// Part of the kept frames that is for the outer end, where `main` and the thread's start are.
const OUTER_SHARE: usize = 8;

/// Frames of the program's start above the last frame pointer: the C library's, and `_start`.
const START_FRAMES: usize = 2;

/// Room for the frames of one walk, and what is remembered of the last one.
pub struct FrameBuffer {
    inner: &'static [Entry],
    /// Sites of the ring.
    ring: &'static [AtomicU64],
    /// Where on the stack each frame of the ring stands.
    places: &'static [AtomicU64],
    outer: OuterEnd,
    known: PreviousStack,
}

/// The outermost frames of a deep stack: place and site in turn, outermost first.
struct OuterEnd {
    /// Number of the thread's record, 0 if there is none.
    thread: u32,
    words: &'static [AtomicU64],
}

impl FrameBuffer {
    /// Words of memory for `depth` frames, which must be at least 2.
    pub const fn words(depth: usize) -> usize {
        2 * ENTRY * (depth - ring_len(depth)) + 4 * ring_len(depth)
    }

    /// Divides `memory`, of [`words`](Self::words) words.
    pub fn new(memory: &'static [AtomicU64], depth: usize) -> FrameBuffer {
        let ring_len = ring_len(depth);
        let (inner, rest) = memory.split_at(ENTRY * (depth - ring_len));
        let (known, rest) = rest.split_at(ENTRY * (depth - ring_len));
        let (ring, rest) = rest.split_at(ring_len);
        let (places, words) = rest.split_at(ring_len);
        FrameBuffer {
            inner: inner.as_chunks().0,
            ring,
            places,
            outer: OuterEnd { thread: 0, words },
            known: PreviousStack::new(known.as_chunks().0),
        }
    }

    fn depth(&self) -> usize {
        self.inner.len() + self.ring.len()
    }
}

const fn ring_len(depth: usize) -> usize {
    if depth < OUTER_SHARE {
        1
    } else {
        depth / OUTER_SHARE
    }
}

/// A walk under way, or done.
pub struct Frames<'a> {
    buffer: &'a mut FrameBuffer,
    inner: &'static [Entry],
    thread: u32,
    len: usize,
    /// Where in the known stack a frame further out than those walked would stand.
    known_at: usize,
    /// The frames further out are those of the known stack, from `known_at` on.
    is_joined: bool,
    /// The outer end is the remembered one, not the ring.
    is_spliced: bool,
    fingerprint: Fingerprint,
    candidate: Candidate,
    candidate_agreed: bool,
}

impl<'a> Frames<'a> {
    /// Starts a walk of the thread with record number `thread`, to be compared with `candidate`.
    pub fn new(buffer: &'a mut FrameBuffer, thread: u32, candidate: Candidate) -> Frames<'a> {
        // A candidate is to be compared with every frame.
        let known_at = match candidate.len {
            0 => buffer.known.begin(thread),
            _ => buffer.known.end(),
        };
        Frames {
            inner: buffer.inner,
            buffer,
            thread,
            len: 0,
            known_at,
            is_joined: false,
            is_spliced: false,
            fingerprint: Fingerprint::EMPTY,
            candidate,
            candidate_agreed: false,
        }
    }

    /// Adds the next frame outwards.
    #[inline]
    pub fn push(&mut self, found: WalkedFrame, memory: &mut StackMemory) -> ControlFlow<()> {
        self.fingerprint.push(found.site);
        let Some(entry) = self.inner.get(self.len) else {
            return self.push_outer(found, memory);
        };
        previous_stack::write(entry, &found);
        self.len += 1;
        if self.len == self.candidate.len {
            self.candidate_agreed = self.fingerprint == self.candidate.fingerprint;
        }
        self.known_at = self.buffer.known.seek(self.known_at, found.place);
        if self.buffer.known.is(self.known_at, &found) && self.join(memory) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// The frame just added is also of the known stack: takes the rest of that, if it is still
    /// there.
    #[inline(never)]
    fn join(&mut self, memory: &mut StackMemory) -> bool {
        self.known_at += 1;
        // The two together must be an ordinary stack.
        if self.len > self.known_at {
            return false;
        }
        match self.buffer.known.verify(self.known_at, memory) {
            Ok(()) => self.is_joined = true,
            // Up to there the walk will find the same frames.
            Err(differs) => self.known_at = differs,
        }
        self.is_joined
    }

    /// Adds a frame to the ring.
    #[cold]
    #[inline(never)]
    fn push_outer(&mut self, found: WalkedFrame, memory: &mut StackMemory) -> ControlFlow<()> {
        let at = (self.len - self.inner.len()) % self.buffer.ring.len();
        self.buffer.places[at].store(found.place as u64, Ordering::Relaxed);
        self.buffer.ring[at].store(found.site.to_bits(), Ordering::Relaxed);
        self.len += 1;
        if self.len == self.candidate.len {
            self.candidate_agreed = self.fingerprint == self.candidate.fingerprint;
        }
        if self.len == self.buffer.depth() + 1 && self.splice(found.place, memory) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// Takes the remembered outer end if it still stands above `place`.
    fn splice(&mut self, place: usize, memory: &mut StackMemory) -> bool {
        let outer = &self.buffer.outer;
        if outer.thread != self.thread || self.thread == 0 {
            return false;
        }
        let mut fingerprint = self.fingerprint;
        for frame in outer.words.chunks_exact(2) {
            let (at, site) = (
                load(&frame[0]) as usize,
                CodeAddress::from_bits(load(&frame[1])),
            );
            let there = memory.read(at).map(arch::address_in);
            if at <= place || there != Some(site.address()) || !site.stays() {
                return false;
            }
            fingerprint.push(site);
        }
        self.fingerprint = fingerprint;
        self.is_spliced = true;
        true
    }

    /// The walk reached the outermost frame: remembers the stack, or the outer end of a deep one.
    pub fn complete(&mut self) {
        if let Some(inner) = self.inner.get(..self.len) {
            let at = match self.is_joined {
                true => self.known_at,
                false => self.buffer.known.end(),
            };
            self.fingerprint = self.buffer.known.remember(self.thread, inner, at);
        } else if self.is_deep() && !self.is_spliced {
            self.buffer.outer.thread = self.thread;
            for (frame, words) in self.ring().zip(self.buffer.outer.words.chunks_exact(2)) {
                words[0].store(load(&self.buffer.places[frame]), Ordering::Relaxed);
                words[1].store(load(&self.buffer.ring[frame]), Ordering::Relaxed);
            }
        }
    }

    /// Copies everything that the walk depended on, if it is done and may be remembered. Gives
    /// whether it depended on the frame pointer that it began with, too.
    pub fn copy_words(&self, memory: &StackMemory, to: &mut StackWords<'_>) -> Option<bool> {
        let is_ordinary = self.len <= self.inner.len();
        let known = &self.buffer.known;
        (is_ordinary && known.copy_words(memory, to)).then(|| known.needs_fp())
    }

    /// Hash of what is kept: from the outermost inwards of an ordinary stack once it is complete,
    /// the other way of others.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// True if the frame-pointer walk went the same way, up to the frames before `main` or a
    /// thread's first function, which are C.
    pub fn is_confirmed(&self) -> bool {
        self.candidate_agreed && !self.is_spliced && self.len - self.candidate.len <= START_FRAMES
    }

    /// Frames walked.
    pub fn walked(&self) -> usize {
        self.len
    }

    /// True if frames in the middle are left out.
    pub fn is_deep(&self) -> bool {
        self.len > self.buffer.depth()
    }

    /// Places in the ring, from the outermost frame inwards.
    fn ring(&self) -> impl Iterator<Item = usize> + use<> {
        let (start, len, walked) = (self.inner.len(), self.buffer.ring.len(), self.len);
        let outer = walked.saturating_sub(start).min(len);
        (walked - outer..walked)
            .rev()
            .map(move |frame| (frame - start) % len)
    }

    /// The kept sites from the outermost inwards; `None` stands where frames were left out.
    pub fn outermost_first(&self) -> impl Iterator<Item = Option<CodeAddress>> {
        let joined = match self.is_joined {
            true => self.known_at,
            false => self.buffer.known.end(),
        };
        let joined = self.buffer.known.outermost_first(joined);
        let spliced = self.buffer.outer.words.chunks_exact(2);
        let spliced = spliced.take(if self.is_spliced { usize::MAX } else { 0 });
        let spliced = spliced.map(|frame| CodeAddress::from_bits(load(&frame[1])));
        let walked = self
            .ring()
            .take(if self.is_spliced { 0 } else { usize::MAX });
        let walked = walked.map(|at| CodeAddress::from_bits(load(&self.buffer.ring[at])));
        let gap = self.is_deep().then_some(None);
        let inner = self.inner.iter().take(self.len).rev();
        let inner = inner.map(|entry| Some(previous_stack::read(entry).site));
        let outer = joined.chain(spliced).chain(walked);
        outer.map(Some).chain(gap).chain(inner)
    }
}

fn load(word: &AtomicU64) -> u64 {
    word.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::memory;
    use crate::unwinder::stack_memory::OwnStack;

    fn buffer(depth: usize) -> FrameBuffer {
        FrameBuffer::new(memory::zeroed(FrameBuffer::words(depth)).unwrap(), depth)
    }

    /// Walks the return addresses in `stack`, each standing where it is in memory.
    fn walk<'a>(buffer: &'a mut FrameBuffer, candidate: Candidate, stack: &[usize]) -> Frames<'a> {
        walk_sized(buffer, candidate, stack, 8)
    }

    /// The same, each address so many bytes below the end of the frame that it leads out of.
    fn walk_sized<'a>(
        buffer: &'a mut FrameBuffer,
        candidate: Candidate,
        stack: &[usize],
        size: usize,
    ) -> Frames<'a> {
        let mut own = OwnStack {
            low: stack.as_ptr_range().start as usize,
            high: stack.as_ptr_range().end as usize,
        };
        let mut memory = StackMemory::at(own.low, &mut own);
        let mut frames = Frames::new(buffer, 1, candidate);
        for address in stack {
            let found = WalkedFrame {
                site: CodeAddress::staying(*address),
                sp: &raw const *address as usize + size,
                place: &raw const *address as usize,
                fp: 0,
                fp_at: 0,
                by_fp: false,
                by_more: false,
            };
            if let ControlFlow::Break(()) = frames.push(found, &mut memory) {
                break;
            }
        }
        frames.complete();
        frames
    }

    fn kept(frames: &Frames<'_>) -> Vec<Option<usize>> {
        let address = |site: Option<CodeAddress>| site.map(CodeAddress::address);
        frames.outermost_first().map(address).collect()
    }

    fn both_ends(len: usize) -> Vec<Option<usize>> {
        let mut ends = vec![Some(len), Some(len - 1), None];
        ends.extend((1..=14).rev().map(Some));
        ends
    }

    #[test]
    fn keeps_an_ordinary_stack_whole() {
        for len in [0, 1, 13, 14, 15, 16] {
            let stack: Vec<usize> = (1..=len).collect();
            let mut buffer = buffer(16);
            let frames = walk(&mut buffer, Candidate::NONE, &stack);
            assert_eq!(
                kept(&frames),
                (1..=len).rev().map(Some).collect::<Vec<_>>(),
                "{len} frames"
            );
        }
    }

    #[test]
    fn keeps_both_ends_of_a_deep_stack() {
        let stack: Vec<usize> = (1..=1001).collect();
        let mut buffer = buffer(16);
        let frames = walk(&mut buffer, Candidate::NONE, &stack);
        assert_eq!(kept(&frames), both_ends(1001));
        assert_eq!(frames.walked(), 1001);
    }

    #[test]
    fn a_known_outer_end_is_not_walked_again() {
        let mut stack: Vec<usize> = (1..=1001).collect();
        let mut buffer = buffer(16);
        walk(&mut buffer, Candidate::NONE, &stack);
        let again = walk(&mut buffer, Candidate::NONE, &stack);
        assert_eq!((again.walked(), kept(&again)), (17, both_ends(1001)));
        // Someone else was called from main: walk it all.
        stack[999] = 5;
        let changed = walk(&mut buffer, Candidate::NONE, &stack);
        assert_eq!(changed.walked(), 1001);
        assert_eq!(kept(&changed)[..3], [Some(1001), Some(5), None]);
    }

    #[test]
    fn a_guess_is_confirmed_only_if_every_frame_agrees() {
        let confirmed = |addresses: &[usize], stack: &[usize]| {
            let mut candidate = Candidate {
                len: addresses.len(),
                ..Candidate::NONE
            };
            addresses
                .iter()
                .for_each(|&address| candidate.fingerprint.push(CodeAddress::staying(address)));
            walk(&mut buffer(16), candidate, stack).is_confirmed()
        };
        assert!(confirmed(&[1, 2, 3], &[1, 2, 3]));
        assert!(confirmed(&[1, 2, 3], &[1, 2, 3, 4, 5]));
        assert!(!confirmed(&[1, 2, 3], &[1, 2, 3, 4, 5, 6]));
        assert!(!confirmed(&[1, 3], &[1, 2, 3]));
        assert!(!confirmed(&[1, 2, 3], &[1, 2]));
        assert!(!confirmed(&[], &[1]));
    }

    /// Elsewhere the place of the return address tells it.
    #[cfg(target_arch = "aarch64")]
    #[test]
    fn a_frame_with_another_stack_pointer_is_another() {
        let stack: Vec<usize> = (1..=12).collect();
        let mut buffer = buffer(16);
        let walked = |buffer: &mut FrameBuffer, size| {
            walk_sized(buffer, Candidate::NONE, &stack, size).walked()
        };
        assert_eq!(walked(&mut buffer, 8), 12);
        assert_eq!(walked(&mut buffer, 8), 1);
        assert_eq!(walked(&mut buffer, 16), 12);
    }

    #[test]
    fn an_ordinary_stack_is_walked_as_far_as_it_differs_from_the_last() {
        let mut buffer = buffer(16);
        let mut stack: Vec<usize> = (1..=12).collect();
        assert_eq!(walk(&mut buffer, Candidate::NONE, &stack).walked(), 12);
        let expect = |buffer: &mut FrameBuffer, stack: &[usize], walked| {
            let frames = walk(buffer, Candidate::NONE, stack);
            let all: Vec<_> = stack.iter().rev().copied().map(Some).collect();
            let mut whole = Fingerprint::EMPTY;
            let outermost_first = stack.iter().rev();
            outermost_first.for_each(|&address| whole.push(CodeAddress::staying(address)));
            assert_eq!((kept(&frames), frames.fingerprint()), (all, whole));
            assert_eq!(frames.walked(), walked);
        };
        // The same; another innermost frame; another in the middle, behind which the rest is the
        // same; the outermost.
        expect(&mut buffer, &stack, 1);
        stack[0] = 50;
        expect(&mut buffer, &stack, 2);
        stack[5] = 51;
        expect(&mut buffer, &stack, 7);
        stack[11] = 52;
        expect(&mut buffer, &stack, 12);
        expect(&mut buffer, &stack, 1);
        // Fewer frames, and more.
        expect(&mut buffer, &stack[3..], 1);
        expect(&mut buffer, &stack, 4);
    }
}
