//! The frames of one walk as they are kept: all of an ordinary stack, both ends of a very deep one.
//!
//! ```text
//! innermost                                          outermost
//! │ kept in order ············ │ … left out … │ ring of the last ones │
//! ```

use core::sync::atomic::{AtomicU64, Ordering};

use crate::unwind::{Fingerprint, Guess};

/// Part of the kept frames that is for the outer end, where `main` and the thread's start are.
const OUTER_SHARE: usize = 8;

/// Frames of the program's start above the last frame pointer: the C library's, and `_start`.
const START_FRAMES: usize = 2;

/// A buffer of `depth` frames, filled innermost first.
pub struct Frames {
    kept: &'static [AtomicU64],
    ring_start: usize,
    len: usize,
    fingerprint: Fingerprint,
    guess: Guess,
    guess_agreed: bool,
}

impl Frames {
    /// Starts a walk that is to be compared with `guess`, in a buffer of at least two places.
    pub fn new(buffer: &'static [AtomicU64], guess: Guess) -> Frames {
        Frames {
            ring_start: buffer.len() - (buffer.len() / OUTER_SHARE).max(1),
            kept: buffer,
            len: 0,
            fingerprint: Fingerprint::EMPTY,
            guess,
            guess_agreed: false,
        }
    }

    /// Adds the next frame outwards.
    #[inline]
    pub fn push(&mut self, return_address: usize) {
        let at = if self.len < self.ring_start {
            self.len
        } else {
            self.ring_start + (self.len - self.ring_start) % (self.kept.len() - self.ring_start)
        };
        self.kept[at].store(return_address as u64, Ordering::Relaxed);
        self.fingerprint.push(return_address);
        self.len += 1;
        if self.len == self.guess.len {
            self.guess_agreed = self.fingerprint == self.guess.fingerprint;
        }
    }

    /// Hash of the whole walk.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// True if the frame-pointer walk went the same way, up to the frames before `main` or a thread's first function,
    /// which are C.
    pub fn is_confirmed(&self) -> bool {
        self.guess_agreed && self.len - self.guess.len <= START_FRAMES
    }

    /// Number of frames left out in the middle.
    pub fn left_out(&self) -> usize {
        self.len.saturating_sub(self.kept.len())
    }

    /// The kept return addresses from the outermost inwards; `None` stands where frames were left out.
    pub fn outermost_first(&self) -> impl Iterator<Item = Option<usize>> {
        let ring_len = self.kept.len() - self.ring_start;
        let outer = self.len.saturating_sub(self.ring_start).min(ring_len);
        let ring = (self.len - outer..self.len).rev().map(move |frame| {
            let at = self.ring_start + (frame - self.ring_start) % ring_len;
            Some(self.kept[at].load(Ordering::Relaxed) as usize)
        });
        let gap = (self.left_out() > 0).then_some(None);
        let inner = (0..self.len.min(self.ring_start)).rev();
        ring.chain(gap)
            .chain(inner.map(|at| Some(self.kept[at].load(Ordering::Relaxed) as usize)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory;

    fn filled(depth: usize, len: usize) -> Frames {
        let guess = Guess {
            fingerprint: Fingerprint::EMPTY,
            len: 0,
        };
        let mut frames = Frames::new(memory::zeroed(depth).unwrap(), guess);
        (1..=len).for_each(|address| frames.push(address));
        frames
    }

    #[test]
    fn keeps_an_ordinary_stack_whole() {
        for len in [0, 1, 13, 14, 15, 16] {
            let frames = filled(16, len);
            let kept: Vec<_> = frames.outermost_first().collect();
            assert_eq!(
                kept,
                (1..=len).rev().map(Some).collect::<Vec<_>>(),
                "{len} frames"
            );
        }
    }

    #[test]
    fn keeps_both_ends_of_a_deep_stack() {
        let frames = filled(16, 1001);
        let kept: Vec<_> = frames.outermost_first().collect();
        let mut expected = vec![Some(1001), Some(1000), None];
        expected.extend((1..=14).rev().map(Some));
        assert_eq!(kept, expected);
        assert_eq!(frames.left_out(), 985);
    }

    #[test]
    fn a_guess_is_confirmed_only_if_every_frame_agrees() {
        let guess_of = |addresses: &[usize]| {
            let mut guess = Guess {
                fingerprint: Fingerprint::EMPTY,
                len: addresses.len(),
            };
            addresses
                .iter()
                .for_each(|&address| guess.fingerprint.push(address));
            guess
        };
        let confirmed = |guess: &[usize], walk: &[usize]| {
            let mut frames = Frames::new(memory::zeroed(16).unwrap(), guess_of(guess));
            walk.iter().for_each(|&address| frames.push(address));
            frames.is_confirmed()
        };
        assert!(confirmed(&[1, 2, 3], &[1, 2, 3]));
        assert!(confirmed(&[1, 2, 3], &[1, 2, 3, 4, 5]));
        assert!(!confirmed(&[1, 2, 3], &[1, 2, 3, 4, 5, 6]));
        assert!(!confirmed(&[1, 3], &[1, 2, 3]));
        assert!(!confirmed(&[1, 2, 3], &[1, 2]));
        assert!(!confirmed(&[], &[1]));
    }
}
