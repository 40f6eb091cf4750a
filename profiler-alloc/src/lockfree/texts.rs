//! Texts by number, which can be read without a lock by a thread that has never seen them, while
//! others add more: their bytes stand in atomic words.
//!
//! ```text
//! text 5 │ owner 2, 4 bytes │ "acme"│ 0 │ … │    32 words of text
//! ```
//! Two threads that add the same text for the first time at once may make two numbers for it.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::hash::spread_high;
use crate::lockfree::index::Index;
use crate::lockfree::lazy_slice::LazySlice;

/// Texts, each with the number of an owner.
pub struct Texts {
    index: Index,
    words: LazySlice<AtomicU64>,
    /// Texts so far.
    count: AtomicU64,
    /// Words of one: the owner and the length, and the text.
    stride: usize,
}

impl Texts {
    pub const fn new(count: usize, most_bytes: usize) -> Texts {
        let stride = 1 + most_bytes / 8;
        Texts {
            index: Index::new(8),
            words: LazySlice::new(count * stride),
            count: AtomicU64::new(0),
            stride,
        }
    }

    /// The number of `text` of that owner, from 1; made if there are not `most` yet.
    pub fn find_or_add(&self, owner: u32, text: Fitting<'_>, most: usize) -> Option<u32> {
        let key = hash(owner.into(), text);
        match self.find(key, owner, text) {
            Some(number) => Some(number),
            None => self.add(key, owner, text, most),
        }
    }

    fn find(&self, key: u64, owner: u32, text: Fitting<'_>) -> Option<u32> {
        let is_it =
            |number: u64| self.owner(number as usize) == owner && self.is(number as usize, text);
        Some(self.index.find(key, is_it)? as u32)
    }

    #[cold]
    fn add(&self, key: u64, owner: u32, text: Fitting<'_>, most: usize) -> Option<u32> {
        let next = |count: u64| (count < most as u64).then_some(count + 1);
        let taken = self
            .count
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, next);
        let number = taken.ok()? + 1;
        self.write(number as usize, owner, text);
        self.index.insert(key, number);
        // Another thread may have been first.
        self.find(key, owner, text)
    }

    /// As much of `text` as there is room for.
    #[inline]
    pub fn fitting<'a>(&self, text: &'a str) -> Fitting<'a> {
        let most = (self.stride - 1) * 8;
        if text.len() <= most {
            return Fitting { text, mark: "" };
        }
        let mark = "…";
        let mut end = most - mark.len();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Fitting {
            text: &text[..end],
            mark,
        }
    }

    #[inline]
    fn entry(&self, number: usize) -> Option<&'static [AtomicU64]> {
        let start = number * self.stride;
        let words = self.words.get().or_else(|| self.words.open())?;
        words.get(start..start + self.stride)
    }

    /// Whether that is its text, whoever is its owner.
    #[inline]
    pub fn is(&self, number: usize, text: Fitting<'_>) -> bool {
        let Some([head, words @ ..]) = self.entry(number) else {
            return false;
        };
        let len = (head.load(Ordering::Acquire) >> 32) as usize;
        let mut words = words.iter();
        let mut is_next = |word: u64| {
            words
                .next()
                .is_some_and(|cell| cell.load(Ordering::Relaxed) == word)
        };
        len == text.len() && text.all_words(&mut is_next)
    }

    /// False if the system refuses memory.
    pub fn write(&self, number: usize, owner: u32, text: Fitting<'_>) -> bool {
        let Some([head, words @ ..]) = self.entry(number) else {
            return false;
        };
        let mut words = words.iter();
        text.all_words(&mut |word| {
            words.next().is_some_and(|cell| {
                cell.store(word, Ordering::Relaxed);
                true
            })
        });
        head.store(header(owner, text.len()), Ordering::Release);
        true
    }

    #[inline]
    pub fn owner(&self, number: usize) -> u32 {
        let head = self
            .words
            .get()
            .and_then(|words| words.get(number * self.stride));
        head.map_or(0, |head| head.load(Ordering::Acquire) as u32)
    }

    /// Copies the text to `into`, and gives it.
    pub fn read<'a>(&self, number: usize, into: &'a mut [u8]) -> &'a [u8] {
        let Some([head, words @ ..]) = self.entry(number) else {
            return &[];
        };
        let len = (head.load(Ordering::Acquire) >> 32) as usize;
        for (bytes, cell) in into.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&cell.load(Ordering::Relaxed).to_le_bytes());
        }
        into.get(..len).unwrap_or_default()
    }
}

/// A text that fits, in two parts: the second says that something is cut off.
#[derive(Clone, Copy)]
pub struct Fitting<'a> {
    text: &'a str,
    mark: &'a str,
}

impl Fitting<'_> {
    #[inline]
    fn len(&self) -> usize {
        self.text.len() + self.mark.len()
    }

    /// Calls `next` with eight bytes each, the last padded with zeros, while it says true. Gives
    /// whether it always did.
    #[inline]
    fn all_words(&self, next: &mut impl FnMut(u64) -> bool) -> bool {
        let bytes = self.text.as_bytes();
        let (whole, rest) = bytes.as_chunks::<8>();
        for word in whole {
            if !next(u64::from_le_bytes(*word)) {
                return false;
            }
        }
        if self.mark.is_empty() {
            return rest.is_empty() || next(last_word(bytes, rest));
        }
        self.last_words(rest, next)
    }

    /// The words at the end of a text that was cut.
    #[cold]
    fn last_words(&self, rest: &[u8], next: &mut impl FnMut(u64) -> bool) -> bool {
        let mut last = [0; 16];
        last[..rest.len()].copy_from_slice(rest);
        let end = rest.len() + self.mark.len();
        last[rest.len()..end].copy_from_slice(self.mark.as_bytes());
        last[..end].chunks(8).all(|word| next(padded(word)))
    }
}

/// The word of the `rest` of `bytes`: of eight bytes, those that are over.
#[inline]
fn last_word(bytes: &[u8], rest: &[u8]) -> u64 {
    match bytes.last_chunk::<8>() {
        Some(last) => u64::from_le_bytes(*last) >> (64 - 8 * rest.len()),
        None => padded(rest),
    }
}

/// Up to eight bytes as a word: of more than three, two halves that overlap.
#[inline]
fn padded(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let last = u64::from(u32::from_le_bytes(*last));
        return u64::from(u32::from_le_bytes(*first)) | last << (8 * (bytes.len() - 4));
    }
    let byte = |word: u64, &byte: &u8| word << 8 | u64::from(byte);
    bytes.iter().rev().fold(0, byte)
}

/// What stands before the text of a name.
#[inline]
fn header(owner: u32, len: usize) -> u64 {
    (len as u64) << 32 | u64::from(owner)
}

#[inline]
pub fn hash(owner: u64, text: Fitting<'_>) -> u64 {
    let mut hash = owner ^ text.len() as u64;
    text.all_words(&mut |word| {
        hash = spread_high(hash.rotate_left(29) ^ word);
        true
    });
    hash
}
