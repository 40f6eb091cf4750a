//! What was done while a context was in force: a route, a tenant, a query, as the program says.
//!
//! A context is a value of a key, such as `/orders/{id}` of `route`. Several may be in force at
//! once, one of each key. The stack of a sample has a node above its outermost frame that names
//! them:
//!
//! ```text
//! root ── Frame::contexts(7) ── main ── serve ── load      1 KiB allocated while set 7 is in force
//!    └─── main ── serve                                    no context is in force
//!
//! set 7 = contexts 3 and 5      context 3 = route "/orders/{id}"      context 5 = tenant "acme"
//! ```
//! So what was allocated, freed, live and at the peak under a context is the sum over the stacks
//! below its sets. The records of contexts have exact counts besides, whatever is sampled.

use crate::records::{Field, record};

/// Contexts that a process can tell apart. What is more is counted under [`OTHER`], by key.
pub const MAX_CONTEXTS: usize = 4096;
/// Keys of contexts that a process can tell apart.
pub const MAX_KEYS: usize = 64;
/// Contexts that can be in force at once.
pub const MAX_IN_FORCE: usize = 8;
/// Combinations of contexts that a process can tell apart. Of those that are more, only the
/// innermost context counts.
pub const MAX_CONTEXT_SETS: usize = 1 << 16;
/// Bytes kept of the name of a key.
pub const MAX_KEY_LEN: usize = 64;
/// Bytes kept of a value.
pub const MAX_VALUE_LEN: usize = 256;
/// The value of the context that takes what no longer fitted.
pub const OTHER: &str = "(other)";

/// Bit of [`Header::span_layer`](crate::Header::span_layer): there is a layer that makes contexts
/// of spans.
pub const LAYER_IS_THERE: u64 = 1;
/// It has seen a span.
pub const LAYER_SAW_SPAN: u64 = 2;
/// It has seen a span with one of its fields.
pub const LAYER_SAW_CONTEXT: u64 = 4;

/// Records of counts that threads share out among them, so that they seldom write the same one.
pub const SHARDS: usize = 4;
/// Words of one of them, a cache line: see [`Shard`].
pub const SHARD_LEN: usize = 8;
/// Sizes of entries that are told apart: four of each power of two.
pub const ENTRY_CLASSES: usize = 176;

/// The words of one part of [`Context::counts`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum Shard {
    /// Bytes allocated while the context was in force, the new size of every realloc included.
    AllocBytes = 0,
    /// Blocks allocated, reallocs included.
    Allocs = 1,
    /// Bytes freed while it was in force, the old size of every realloc included.
    FreedBytes = 2,
    /// Blocks freed, reallocs included.
    Frees = 3,
    /// Times that it was entered and left.
    Entries = 4,
}

record! {
    /// One context: a value of a key.
    Context, ContextCells, 1024 {
        /// Offset of the key in [`Table::Strings`](crate::Table::Strings).
        key_at: u32,
        /// Bytes of the key. 0 while the record is being made.
        key_len: u32,
        /// Offset of the value in [`Table::Strings`](crate::Table::Strings).
        value_at: u32,
        /// Bytes of the value.
        value_len: u32,
        /// Most bytes allocated in one entry.
        most: u64,
        /// 1 if this context takes what no longer fitted of its key.
        is_other: u32,
        /// Not used.
        unused: u32,
        /// Not used.
        reserved: [u64; 4],
        /// [`SHARDS`] parts of [`SHARD_LEN`] words, to be added up; see [`Shard`].
        counts: [u64; SHARDS * SHARD_LEN],
        /// How many entries allocated how much, by [`entry_class`], 32 bits each, two in a word,
        /// the lower half first. Wraps.
        entries: [u64; ENTRY_CLASSES / 2],
    }
}

record! {
    /// Contexts that were in force together.
    ContextSet, ContextSetCells, 32 {
        /// Numbers of the contexts, 32 bits each, two in a word, the lower half first; 0 is none.
        /// All 0 while the record is being made.
        contexts: [u64; MAX_IN_FORCE / 2],
    }
}

impl Context {
    /// The sum over the parts of [`counts`](Self::counts).
    pub fn count(&self, word: Shard) -> u64 {
        let parts = self.counts.chunks_exact(SHARD_LEN);
        parts.fold(0, |sum, part| sum.wrapping_add(part[word as usize]))
    }

    /// How many entries there were of each [`entry_class`].
    pub fn entry_classes(&self) -> [u32; ENTRY_CLASSES] {
        core::array::from_fn(|class| halves(self.entries[class / 2])[class % 2])
    }
}

impl ContextSet {
    /// The numbers of the contexts, without those that are none.
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        let numbers = self.contexts.into_iter().flat_map(halves);
        numbers.filter(|&number| number != 0)
    }
}

/// The lower and the upper half.
fn halves(word: u64) -> [u32; 2] {
    [word as u32, (word >> 32) as u32]
}

/// The class of an entry that allocated so many bytes: exact below 8, then four classes for each
/// power of two, up to 16 TiB.
///
/// ```
/// use profiler_alloc_format::contexts::{class_bytes, entry_class};
///
/// assert_eq!(entry_class(5), 5);
/// assert_eq!(entry_class(1000), entry_class(1023));
/// assert_eq!(class_bytes(entry_class(1000)), 896..1024);
/// ```
pub const fn entry_class(bytes: u64) -> usize {
    if bytes < 4 {
        return bytes as usize;
    }
    let power = bytes.ilog2() as usize;
    let class = (power - 1) * 4 + (bytes >> (power - 2) & 3) as usize;
    if class < ENTRY_CLASSES {
        class
    } else {
        ENTRY_CLASSES - 1
    }
}

/// The bytes of the entries of a class.
pub const fn class_bytes(class: usize) -> core::ops::Range<u64> {
    if class < 4 {
        return class as u64..class as u64 + 1;
    }
    let power = class / 4 + 1;
    let step = 1u64 << (power - 2);
    let start = (4 + class as u64 % 4) * step;
    start..start + step
}

/// The bytes that a share of `quantile` of all entries, between 0 and 1, stayed within: the middle
/// of the class, so right to an eighth, and never more than `most`. `None` if there are none.
///
/// ```
/// use profiler_alloc_format::contexts::{ENTRY_CLASSES, entry_class, entry_quantile};
///
/// let mut classes = [0; ENTRY_CLASSES];
/// classes[entry_class(0)] = 90;
/// classes[entry_class(1000)] = 10;
/// assert_eq!(entry_quantile(&classes, 0.5, 1010), Some(0));
/// assert_eq!(entry_quantile(&classes, 0.99, 1010), Some(959));
/// ```
pub fn entry_quantile(classes: &[u32; ENTRY_CLASSES], quantile: f64, most: u64) -> Option<u64> {
    let all: u64 = classes.iter().copied().map(u64::from).sum();
    let wanted = ((all as f64 * quantile) as u64).min(all.checked_sub(1)?);
    let mut passed = 0;
    let class = classes.iter().position(|&entries| {
        passed += u64::from(entries);
        passed > wanted
    })?;
    let bytes = class_bytes(class);
    Some((bytes.start + (bytes.end - 1 - bytes.start) / 2).min(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_is_in_the_class_that_says_so() {
        let sizes = (0..5000).chain((3..44).flat_map(|power| [(1u64 << power) - 1, 1 << power]));
        for size in sizes {
            assert!(class_bytes(entry_class(size)).contains(&size), "{size}");
        }
        assert_eq!(entry_class(u64::MAX), ENTRY_CLASSES - 1);
        assert_eq!(class_bytes(ENTRY_CLASSES - 1).end, 1 << 45);
    }

    #[test]
    fn parts_add_up() {
        let mut context = Context::empty();
        for shard in 0..SHARDS {
            context.counts[shard * SHARD_LEN + Shard::Entries as usize] = 10;
        }
        context.entries[1] = 7 << 32 | 6;
        assert_eq!(context.count(Shard::Entries), 10 * SHARDS as u64);
        assert_eq!(context.count(Shard::Allocs), 0);
        assert_eq!(context.entry_classes()[2..4], [6, 7]);
    }

    #[test]
    fn a_set_names_its_contexts() {
        let set = ContextSet {
            contexts: [3 | 5 << 32, 0, 0, 0],
        };
        assert_eq!(set.numbers().collect::<Vec<_>>(), [3, 5]);
    }
}
