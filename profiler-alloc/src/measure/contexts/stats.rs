//! Exact counts of contexts, with or without a recording.

use std::collections::BTreeMap;

use profiler_alloc_format::ContextCells;
use profiler_alloc_format::contexts::{ENTRY_CLASSES, OTHER, SHARD_LEN, Shard, entry_quantile};

use core::sync::atomic::Ordering;

use crate::contexts::names;
use crate::counters::thread_counts;
use crate::session::context_counts;

/// Exact counts of one context since the process began.
///
/// A block that is allocated in one context and freed in another is allocated in the first and
/// freed in the second; what of the first is still in use, a recording tells.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ContextStats {
    /// The key, such as `route`.
    pub key: String,
    /// The value, such as `/orders/{id}`.
    pub value: String,
    /// How often it was entered and left: guards dropped, futures and spans that came to their end.
    pub entries: u64,
    /// Bytes allocated while it was in force, the new size of every realloc included.
    pub allocated_bytes: u64,
    /// Blocks allocated, reallocs included.
    pub allocations: u64,
    /// Bytes freed while it was in force, the old size of every realloc included.
    pub freed_bytes: u64,
    /// Blocks freed, reallocs included.
    pub frees: u64,
    /// Most bytes allocated in one entry.
    pub most_in_entry: u64,
    entry_classes: Box<[u32; ENTRY_CLASSES]>,
}

impl ContextStats {
    /// Bytes allocated minus bytes freed while it was in force. Below zero if it frees what others
    /// have allocated.
    pub fn net_bytes(&self) -> i64 {
        self.allocated_bytes.wrapping_sub(self.freed_bytes) as i64
    }

    /// The bytes that a share of `quantile` of all entries stayed within, to an eighth: 0.5 gives
    /// the median, 0.99 the 99th percentile. `None` if there was no entry.
    pub fn entry_bytes(&self, quantile: f64) -> Option<u64> {
        entry_quantile(&self.entry_classes, quantile, self.most_in_entry)
    }

    fn new(key: String, value: String) -> ContextStats {
        ContextStats {
            key,
            value,
            entries: 0,
            allocated_bytes: 0,
            allocations: 0,
            freed_bytes: 0,
            frees: 0,
            most_in_entry: 0,
            entry_classes: Box::new([0; ENTRY_CLASSES]),
        }
    }

    fn add(&mut self, cells: &ContextCells) {
        for part in cells.counts.chunks_exact(SHARD_LEN) {
            for (sum, word) in [
                (&mut self.allocated_bytes, Shard::AllocBytes),
                (&mut self.allocations, Shard::Allocs),
                (&mut self.freed_bytes, Shard::FreedBytes),
                (&mut self.frees, Shard::Frees),
                (&mut self.entries, Shard::Entries),
            ] {
                *sum = sum.wrapping_add(part[word as usize].load(Ordering::Relaxed));
            }
        }
        let most = cells.most.load(Ordering::Relaxed);
        self.most_in_entry = self.most_in_entry.max(most);
        for (pair, word) in self.entry_classes.chunks_exact_mut(2).zip(&cells.entries) {
            let word = word.load(Ordering::Relaxed);
            pair[0] = pair[0].wrapping_add(word as u32);
            pair[1] = pair[1].wrapping_add((word >> 32) as u32);
        }
    }
}

/// Exact counts of every context that was ever entered, by key and value. Other threads that have
/// one in force now may have done up to 64 KiB more than is counted for it.
///
/// Costs nothing until a context is entered; then each entry and exit adds to some counters.
///
/// ```
/// use profiler_alloc::{Context, contexts};
///
/// let route = Context::new("route", "/rows");
/// (0..10).for_each(|_| drop(route.enter()));
/// let all = contexts();
/// let rows = all.iter().find(|stats| stats.value == "/rows").unwrap();
/// assert_eq!((rows.entries, rows.entry_bytes(0.5)), (10, Some(0)));
/// ```
pub fn contexts() -> Vec<ContextStats> {
    context_counts::bring_up_to_date();
    thread_counts::given(collect, Clone::clone)
}

fn collect() -> Vec<ContextStats> {
    let mut by_name = BTreeMap::new();
    for context in names::all() {
        let name = names::with_name(context, |key, value| (text(key), text(value)));
        context_counts::for_each_count(context, |cells| {
            let stats = by_name
                .entry(name.clone())
                .or_insert_with_key(|(key, value)| ContextStats::new(key.clone(), value.clone()));
            stats.add(cells);
        });
    }
    let is_used =
        |stats: &ContextStats| stats.entries != 0 || stats.allocations != 0 || stats.frees != 0;
    let is_last = |stats: &ContextStats| stats.value == OTHER;
    let mut all: Vec<_> = by_name.into_values().filter(is_used).collect();
    all.sort_by(|a, b| (&a.key, is_last(a)).cmp(&(&b.key, is_last(b))));
    all
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
