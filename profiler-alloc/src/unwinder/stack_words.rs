//! Words of stacks and what they held, in *quads*: groups of four, compared at once.
//!
//! The words of one stack are a *run* of quads. Runs lie one behind the other in a ring, each as
//! long as it needs to be, so that those in use share pages and cache lines; the oldest are
//! overwritten.
//!
//! ```text
//! positions   … 8190 8191 │ 8192 8193 …     only ever rise; the remainder of one is its quad
//!             │ run │ run │ being written │ none ahead of it is read │ oldest run │ …
//! ```

use crate::ffi::memory::Plain;

/// A word of a stack. Only [`StackWords::push`] makes one that is not zero.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C)]
pub struct StackWord {
    address: usize,
    held: usize,
}

impl StackWord {
    #[inline]
    pub fn address(self) -> usize {
        self.address
    }

    /// What stood there.
    #[inline]
    pub fn held(self) -> usize {
        self.held
    }
}

const QUAD: usize = 4;

/// Words that are compared in one go.
pub type Quad = [StackWord; QUAD];

// SAFETY: eight integers.
unsafe impl Plain for Quad {}

/// The words of one stack as they are written: addresses are aligned, and each is above the one
/// before. What is left of the last quad repeats the last word.
pub struct StackWords<'a> {
    quads: &'a mut [Quad],
    len: usize,
}

impl<'a> StackWords<'a> {
    /// None yet; there is room for as many as `quads` have.
    pub fn new(quads: &'a mut [Quad]) -> StackWords<'a> {
        StackWords { quads, len: 0 }
    }

    /// Words that there is room for in all.
    pub fn room(&self) -> usize {
        self.quads.len() * QUAD
    }

    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Adds the next word upwards. False, and nothing is added, if it is none or there is no room.
    pub fn push(&mut self, address: usize, held: usize) -> bool {
        let last = self.quads().last().map(|[.., last]| last.address);
        if last.is_some_and(|last| last >= address) || !address.is_multiple_of(8) {
            return false;
        }
        let Some(quad) = self.quads.get_mut(self.len / QUAD) else {
            return false;
        };
        quad[self.len % QUAD..].fill(StackWord { address, held });
        self.len += 1;
        true
    }

    /// The quads that are used.
    pub fn quads(&self) -> &[Quad] {
        &self.quads[..self.len.div_ceil(QUAD)]
    }
}

/// Where in a ring the words of one stack stand.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Its position.
    start: usize,
    /// Its first quad, and how many there are.
    at: u32,
    len: u32,
}

impl Run {
    /// Of no words.
    pub const EMPTY: Run = Run {
        start: 0,
        at: 0,
        len: 0,
    };
}

/// The words of the stacks that were written last.
pub struct WordRing {
    quads: &'static mut [Quad],
    /// Position of the next quad to be written.
    next: usize,
    /// Blocks that one run may take.
    most: usize,
}

impl WordRing {
    /// A ring of `quads`, for runs of up to `most`, of which it has to hold a few.
    pub const fn new(quads: &'static mut [Quad], most: usize) -> WordRing {
        WordRing {
            quads,
            next: 0,
            most,
        }
    }

    /// False of one without memory.
    pub fn has_room(&self) -> bool {
        !self.quads.is_empty()
    }

    /// The quads of a run; empty if it has been written over, or may be when the next is written.
    #[inline]
    pub fn get(&self, run: Run) -> &[Quad] {
        if self.next + self.most >= run.start + self.quads.len() {
            return &[];
        }
        let at = run.at as usize;
        &self.quads[at..at + run.len as usize]
    }

    /// Adds the run that `write` writes, and gives what that gives.
    pub fn add<T>(&mut self, write: impl FnOnce(&mut StackWords<'_>) -> T) -> (Run, T) {
        let at = self.next % self.quads.len();
        let left = self.quads.len() - at;
        // A run is not cut in two.
        if left < self.most {
            self.next += left;
        }
        let start = self.next;
        let at = start % self.quads.len();
        let mut words = StackWords::new(&mut self.quads[at..at + self.most]);
        let result = write(&mut words);
        let len = words.quads().len();
        self.next += len;
        let (at, len) = (at as u32, len as u32);
        (Run { start, at, len }, result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_aligned_and_rise() {
        let mut quads = [Quad::default(); 2];
        let mut words = StackWords::new(&mut quads);
        assert!(words.push(80, 4));
        assert!(!words.push(72, 3), "below the last");
        assert!(!words.push(80, 4), "the last once more");
        assert!(!words.push(89, 5), "not aligned");
        assert!(words.push(88, 6));
        let [first, last] = [(80, 4), (88, 6)].map(|(address, held)| StackWord { address, held });
        assert_eq!(words.quads(), [[first, last, last, last]]);
        let kept = (100..200).filter(|at| words.push(at * 8, 0)).count();
        assert_eq!((kept, words.room()), (6, 8));
        words.clear();
        assert!(words.quads().is_empty());
        assert!(words.push(8, 7));
    }

    #[test]
    fn a_run_is_there_unchanged_or_not_at_all() {
        let mut ring = WordRing::new(Box::leak(Box::new([Quad::default(); 64])), 8);
        let mut runs = Vec::new();
        let mut kept = 0;
        for number in 1..500usize {
            let words = 1 + number * 7 % 32;
            let (run, ()) =
                ring.add(|to| (1..=words).for_each(|at| assert!(to.push(at * 8, number))));
            runs.push((number, words, run));
            // One that is given up in the middle leaves nothing, and changes no other.
            let (none, ()) = ring.add(|to| {
                (1..=words).for_each(|at| assert!(to.push(at * 8, 0)));
                to.clear();
            });
            assert!(ring.get(none).is_empty());
            for &(number, words, run) in &runs {
                let quads = ring.get(run).as_flattened();
                assert!(quads.is_empty() || quads.len() == words.next_multiple_of(4));
                assert!(quads.iter().all(|word| word.held == number), "{number}");
            }
            let is_there = |&&(_, _, run): &&(usize, usize, Run)| !ring.get(run).is_empty();
            kept = runs.iter().rev().take_while(is_there).count();
            assert!(number < 20 || kept >= 5, "{kept}");
        }
        assert!(kept < 20);
        assert!(ring.get(Run::EMPTY).is_empty());
    }
}
