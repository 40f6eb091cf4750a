//! The frames of one walk as they are kept: all of an ordinary stack, both ends of a very deep one.
//!
//! ```text
//! innermost                                          outermost
//! │ kept in order ············ │ … left out … │ ring of the last ones │
//! ```
//! The outer end of a deep stack is remembered. The next deep walk of the same thread stops as soon as it has frames enough
//! of its own and the remembered return addresses are still where they were: recursion costs the same at every depth.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::modules::Site;
use crate::stack_memory::StackMemory;
use crate::unwind::{Fingerprint, Guess, Visit};

/// Part of the kept frames that is for the outer end, where `main` and the thread's start are.
const OUTER_SHARE: usize = 8;

/// Frames of the program's start above the last frame pointer: the C library's, and `_start`.
const START_FRAMES: usize = 2;

/// Room for the frames of one walk, and the outer end of the last deep one.
pub struct FrameBuffer {
    kept: &'static [AtomicU64],
    /// Where on the stack each frame of the ring stands.
    places: &'static [AtomicU64],
    outer: OuterEnd,
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
        depth + 3 * ring_len(depth)
    }

    /// Divides `memory`, of [`words`](Self::words) words.
    pub fn new(memory: &'static [AtomicU64], depth: usize) -> FrameBuffer {
        let (kept, rest) = memory.split_at(depth);
        let (places, words) = rest.split_at(ring_len(depth));
        FrameBuffer {
            kept,
            places,
            outer: OuterEnd { thread: 0, words },
        }
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
    thread: u32,
    len: usize,
    /// The outer end is the remembered one, not the ring.
    is_spliced: bool,
    fingerprint: Fingerprint,
    guess: Guess,
    guess_agreed: bool,
}

impl<'a> Frames<'a> {
    /// Starts a walk of the thread with record number `thread`, to be compared with `guess`.
    pub fn new(buffer: &'a mut FrameBuffer, thread: u32, guess: Guess) -> Frames<'a> {
        Frames {
            buffer,
            thread,
            len: 0,
            is_spliced: false,
            fingerprint: Fingerprint::EMPTY,
            guess,
            guess_agreed: false,
        }
    }

    fn ring_start(&self) -> usize {
        self.buffer.kept.len() - self.buffer.places.len()
    }

    /// Adds the next frame outwards, whose return address stands at `place`.
    #[inline]
    pub fn push(&mut self, site: Site, place: usize, memory: &mut StackMemory) -> Visit {
        let ring_start = self.ring_start();
        let at = if self.len < ring_start {
            self.len
        } else {
            let at = (self.len - ring_start) % self.buffer.places.len();
            self.buffer.places[at].store(place as u64, Ordering::Relaxed);
            ring_start + at
        };
        self.buffer.kept[at].store(site.to_bits(), Ordering::Relaxed);
        self.fingerprint.push(site);
        self.len += 1;
        if self.len == self.guess.len {
            self.guess_agreed = self.fingerprint == self.guess.fingerprint;
        }
        if self.len == self.buffer.kept.len() + 1 && self.splice(place, memory) {
            return Visit::Enough;
        }
        Visit::GoOn
    }

    /// Takes the remembered outer end if it still stands above `place`.
    fn splice(&mut self, place: usize, memory: &mut StackMemory) -> bool {
        let outer = &self.buffer.outer;
        if outer.thread != self.thread || self.thread == 0 {
            return false;
        }
        let mut fingerprint = self.fingerprint;
        for frame in outer.words.chunks_exact(2) {
            let (at, site) = (load(&frame[0]) as usize, Site::from_bits(load(&frame[1])));
            if at <= place || memory.read(at) != Some(site.address()) || !site.stays() {
                return false;
            }
            fingerprint.push(site);
        }
        self.fingerprint = fingerprint;
        self.is_spliced = true;
        true
    }

    /// The walk reached the outermost frame: remembers the outer end of a deep stack.
    pub fn complete(&mut self) {
        if !self.is_deep() || self.is_spliced {
            return;
        }
        self.buffer.outer.thread = self.thread;
        for (frame, words) in self.ring().zip(self.buffer.outer.words.chunks_exact(2)) {
            words[0].store(load(&self.buffer.places[frame]), Ordering::Relaxed);
            words[1].store(
                load(&self.buffer.kept[self.ring_start() + frame]),
                Ordering::Relaxed,
            );
        }
    }

    /// Hash of what is kept.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// True if the frame-pointer walk went the same way, up to the frames before `main` or a thread's first function,
    /// which are C.
    pub fn is_confirmed(&self) -> bool {
        self.guess_agreed && !self.is_spliced && self.len - self.guess.len <= START_FRAMES
    }

    /// Frames walked.
    pub fn walked(&self) -> usize {
        self.len
    }

    /// True if frames in the middle are left out.
    pub fn is_deep(&self) -> bool {
        self.len > self.buffer.kept.len()
    }

    /// Places in the ring, from the outermost frame inwards.
    fn ring(&self) -> impl Iterator<Item = usize> + use<> {
        let (start, len, walked) = (self.ring_start(), self.buffer.places.len(), self.len);
        let outer = walked.saturating_sub(start).min(len);
        (walked - outer..walked)
            .rev()
            .map(move |frame| (frame - start) % len)
    }

    /// The kept sites from the outermost inwards; `None` stands where frames were left out.
    pub fn outermost_first(&self) -> impl Iterator<Item = Option<Site>> {
        let spliced = self
            .buffer
            .outer
            .words
            .chunks_exact(2)
            .map(|frame| load(&frame[1]));
        let spliced = spliced.take(if self.is_spliced { usize::MAX } else { 0 });
        let walked = self
            .ring()
            .map(|at| load(&self.buffer.kept[self.ring_start() + at]));
        let walked = walked.take(if self.is_spliced { 0 } else { usize::MAX });
        let gap = self.is_deep().then_some(None);
        let inner = (0..self.len.min(self.ring_start())).rev();
        let inner = inner.map(|at| Some(load(&self.buffer.kept[at])));
        let bits = spliced.chain(walked).map(Some).chain(gap).chain(inner);
        bits.map(|bits| bits.map(Site::from_bits))
    }
}

fn load(word: &AtomicU64) -> u64 {
    word.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory;
    use crate::stack_memory::OwnStack;

    fn buffer(depth: usize) -> FrameBuffer {
        FrameBuffer::new(memory::zeroed(FrameBuffer::words(depth)).unwrap(), depth)
    }

    /// Walks the return addresses in `stack`, each standing where it is in memory.
    fn walk<'a>(buffer: &'a mut FrameBuffer, guess: Guess, stack: &[usize]) -> Frames<'a> {
        let mut own = OwnStack {
            low: stack.as_ptr_range().start as usize,
            high: stack.as_ptr_range().end as usize,
        };
        let mut memory = StackMemory::at(own.low, &mut own);
        let mut frames = Frames::new(buffer, 1, guess);
        for address in stack {
            let place = &raw const *address as usize;
            if let Visit::Enough = frames.push(Site::staying(*address), place, &mut memory) {
                return frames;
            }
        }
        frames.complete();
        frames
    }

    fn kept(frames: &Frames<'_>) -> Vec<Option<usize>> {
        let address = |site: Option<Site>| site.map(Site::address);
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
            let frames = walk(&mut buffer, Guess::NONE, &stack);
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
        let frames = walk(&mut buffer, Guess::NONE, &stack);
        assert_eq!(kept(&frames), both_ends(1001));
        assert_eq!(frames.walked(), 1001);
    }

    #[test]
    fn a_known_outer_end_is_not_walked_again() {
        let mut stack: Vec<usize> = (1..=1001).collect();
        let mut buffer = buffer(16);
        walk(&mut buffer, Guess::NONE, &stack);
        let again = walk(&mut buffer, Guess::NONE, &stack);
        assert_eq!((again.walked(), kept(&again)), (17, both_ends(1001)));
        // Someone else was called from main: walk it all.
        stack[999] = 5;
        let changed = walk(&mut buffer, Guess::NONE, &stack);
        assert_eq!(changed.walked(), 1001);
        assert_eq!(kept(&changed)[..3], [Some(1001), Some(5), None]);
    }

    #[test]
    fn a_guess_is_confirmed_only_if_every_frame_agrees() {
        let confirmed = |addresses: &[usize], stack: &[usize]| {
            let mut guess = Guess {
                len: addresses.len(),
                ..Guess::NONE
            };
            addresses
                .iter()
                .for_each(|&address| guess.fingerprint.push(Site::staying(address)));
            walk(&mut buffer(16), guess, stack).is_confirmed()
        };
        assert!(confirmed(&[1, 2, 3], &[1, 2, 3]));
        assert!(confirmed(&[1, 2, 3], &[1, 2, 3, 4, 5]));
        assert!(!confirmed(&[1, 2, 3], &[1, 2, 3, 4, 5, 6]));
        assert!(!confirmed(&[1, 3], &[1, 2, 3]));
        assert!(!confirmed(&[1, 2, 3], &[1, 2]));
        assert!(!confirmed(&[], &[1]));
    }
}
