//! The names of contexts: a number for each value of each key.
//!
//! The text of a name stands in atomic words, so it can be read without a lock, by a thread that
//! has never seen it, while others add names:
//!
//! ```text
//! context 5 │ key 2, 4 bytes │ "acme"│ 0 │ … │    32 words of text
//! ```
//! Two threads that name the same context for the first time at once may make two numbers for it;
//! whoever adds contexts up does so by name.

use core::sync::atomic::{AtomicU64, Ordering};

use profiler_alloc_format::contexts::{MAX_CONTEXTS, MAX_KEY_LEN, MAX_KEYS, MAX_VALUE_LEN, OTHER};

use crate::hash::spread_high;
use crate::lockfree::index::Index;
use crate::lockfree::lazy_slice::LazySlice;

/// A context's number; 0 is none.
pub type Id = u32;

/// One more than the highest number: contexts, one of each key that takes what no longer fits, and
/// 0.
pub const IDS: usize = 1 + MAX_CONTEXTS + MAX_KEYS;

/// Stands for a key without a name.
const UNNAMED: &str = "(unnamed)";

static KEYS: Names = Names::new(1 + MAX_KEYS, MAX_KEY_LEN);
static VALUES: Names = Names::new(IDS, MAX_VALUE_LEN);
/// From the hash of key and value to the context, which would otherwise be looked for in two steps.
static CONTEXTS: Index = Index::new(8);

/// The number of the context; one that takes the rest of the key if there are too many. `None` if
/// there are too many keys, or the system refuses memory.
#[inline]
pub fn context(key: &str, value: &str) -> Option<Id> {
    let (key, value) = (KEYS.fitting(or_unnamed(key)), VALUES.fitting(value));
    let hash = hash(hash(0, key), value);
    let is_it = |number: u64| {
        let context = number as usize;
        VALUES.is(context, value) && KEYS.is(VALUES.owner(context) as usize, key)
    };
    match CONTEXTS.find(hash, is_it) {
        Some(context) => Some(context as Id),
        None => add(hash, key, value),
    }
}

#[cold]
fn add(hash: u64, key: Fitting<'_>, value: Fitting<'_>) -> Option<Id> {
    let key = KEYS.find_or_add(0, key, MAX_KEYS)?;
    let Some(context) = VALUES.find_or_add(key, value, MAX_CONTEXTS) else {
        return other(key);
    };
    CONTEXTS.insert(hash, context.into());
    Some(context)
}

/// The context that takes what no longer fits of a key.
#[cold]
fn other(key: u32) -> Option<Id> {
    let at = MAX_CONTEXTS + key as usize;
    let is_written = VALUES.write(at, key, VALUES.fitting(OTHER));
    is_written.then_some(at as Id)
}

fn or_unnamed(key: &str) -> &str {
    match key {
        "" => UNNAMED,
        key => key,
    }
}

/// The number of a context's key, from 1.
#[inline]
pub fn key_of(context: Id) -> u32 {
    VALUES.owner(context as usize)
}

/// Whether the context takes what no longer fitted of its key.
pub fn is_other(context: Id) -> bool {
    context as usize > MAX_CONTEXTS
}

/// Every context that was ever named.
pub fn all() -> impl Iterator<Item = Id> {
    (1..IDS as Id).filter(|&context| key_of(context) != 0)
}

/// Calls `read` with the key and the value of a context.
pub fn with_name<R>(context: Id, read: impl FnOnce(&[u8], &[u8]) -> R) -> R {
    let mut key = [0; MAX_KEY_LEN];
    let mut value = [0; MAX_VALUE_LEN];
    let key = KEYS.read(key_of(context) as usize, &mut key);
    let value = VALUES.read(context as usize, &mut value);
    read(key, value)
}

/// Texts, each with the number of an owner.
struct Names {
    index: Index,
    words: LazySlice<AtomicU64>,
    /// Texts so far.
    count: AtomicU64,
    /// Words of one: the owner and the length, and the text.
    stride: usize,
}

impl Names {
    const fn new(count: usize, most_bytes: usize) -> Names {
        let stride = 1 + most_bytes / 8;
        Names {
            index: Index::new(8),
            words: LazySlice::new(count * stride),
            count: AtomicU64::new(0),
            stride,
        }
    }

    /// The number of `text` of that owner, from 1; made if there are not `most` yet.
    fn find_or_add(&self, owner: u32, text: Fitting<'_>, most: usize) -> Option<u32> {
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
    fn fitting<'a>(&self, text: &'a str) -> Fitting<'a> {
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
    fn is(&self, number: usize, text: Fitting<'_>) -> bool {
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
    fn write(&self, number: usize, owner: u32, text: Fitting<'_>) -> bool {
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
    fn owner(&self, number: usize) -> u32 {
        let head = self
            .words
            .get()
            .and_then(|words| words.get(number * self.stride));
        head.map_or(0, |head| head.load(Ordering::Acquire) as u32)
    }

    /// Copies the text to `into`, and gives it.
    fn read<'a>(&self, number: usize, into: &'a mut [u8]) -> &'a [u8] {
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
struct Fitting<'a> {
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

/// Up to eight bytes as a word.
#[inline]
fn padded(bytes: &[u8]) -> u64 {
    let byte = |word: u64, &byte: &u8| word << 8 | u64::from(byte);
    bytes.iter().rev().fold(0, byte)
}

/// What stands before the text of a name.
#[inline]
fn header(owner: u32, len: usize) -> u64 {
    (len as u64) << 32 | u64::from(owner)
}

#[inline]
fn hash(owner: u64, text: Fitting<'_>) -> u64 {
    let mut hash = owner ^ text.len() as u64;
    text.all_words(&mut |word| {
        hash = spread_high(hash.rotate_left(29) ^ word);
        true
    });
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(context: Id) -> (String, String) {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        with_name(context, |key, value| (text(key), text(value)))
    }

    #[test]
    fn a_name_has_one_number_and_a_number_one_name() {
        let orders = context("names route", "/orders/{id}").unwrap();
        let rows = context("names route", "/rows").unwrap();
        let of_other_key = context("names tenant", "/rows").unwrap();
        assert!(orders != rows && rows != of_other_key);
        assert_eq!(context("names route", "/orders/{id}"), Some(orders));
        assert_eq!(name(orders), ("names route".into(), "/orders/{id}".into()));
        assert_eq!(key_of(orders), key_of(rows));
        assert_ne!(key_of(rows), key_of(of_other_key));
        let lengths = (0..40).map(|len| "x".repeat(len));
        for value in lengths {
            let id = context("names length", &value).unwrap();
            assert_eq!(name(id).1, value);
        }
        let unnamed = context("", "").unwrap();
        assert_eq!(name(unnamed), ("(unnamed)".into(), String::new()));
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let long = "é".repeat(200);
        let id = context("names long", &long).unwrap();
        assert_eq!(context("names long", &long), Some(id));
        let kept = name(id).1;
        assert_eq!(kept, format!("{}…", "é".repeat(126)));
        assert!(kept.len() <= MAX_VALUE_LEN);
        for len in [255, 256] {
            let whole = "y".repeat(len);
            assert_eq!(name(context("names long", &whole).unwrap()).1, whole);
        }
    }

    #[test]
    fn threads_that_name_at_once_agree() {
        let numbers: Vec<_> = std::thread::scope(|scope| {
            let name_all = || (0..100).map(|n| context("names threads", &n.to_string()));
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(move || name_all().collect::<Vec<_>>()))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        for other in &numbers {
            let name = |id: &Option<Id>| name(id.unwrap());
            assert!(other.iter().map(name).eq(numbers[0].iter().map(name)));
        }
    }
}
