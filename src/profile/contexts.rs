//! Contexts: for whom the program worked, as it said itself.

use std::collections::HashMap;

use profiler_alloc_format as format;
use profiler_alloc_format::contexts::{ENTRY_CLASSES, Shard, entry_quantile};

use super::counters::Counters;
use super::totals::Totals;

/// Number of a [`Context`] in [`Contexts::all`].
pub type ContextId = usize;

/// The contexts of a profile, and which were in force together.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Contexts {
    /// Each value of each key once.
    pub all: Vec<Context>,
    /// By the number of a set, the contexts in force. The first is none.
    pub sets: Vec<Vec<ContextId>>,
}

/// A value of a key, and what was done while it was in force: exact counts, whatever was sampled.
#[derive(Clone, PartialEq, Debug)]
pub struct Context {
    /// Such as `route`.
    pub key: String,
    /// Such as `/orders/{id}`.
    pub value: String,
    /// It takes what no longer fitted of its key.
    pub is_other: bool,
    /// Bytes allocated.
    pub alloc_bytes: u64,
    /// Blocks allocated, reallocs included.
    pub allocs: u64,
    /// Bytes freed.
    pub freed_bytes: u64,
    /// Blocks freed, reallocs included.
    pub frees: u64,
    /// Times that it was entered and left.
    pub entries: u64,
    /// Most bytes allocated in one entry.
    pub most_in_entry: u64,
    pub(super) entry_classes: [u32; ENTRY_CLASSES],
}

impl Context {
    /// The bytes that a share of `quantile` of all entries stayed within, to an eighth. `None` if
    /// there was no entry.
    pub fn entry_bytes(&self, quantile: f64) -> Option<u64> {
        entry_quantile(&self.entry_classes, quantile, self.most_in_entry)
    }

    /// Bytes allocated in one entry on average, in entries that are over and in those that are not.
    pub fn mean_in_entry(&self) -> Option<u64> {
        self.alloc_bytes.checked_div(self.entries)
    }

    fn of(record: &format::Context, key: String, value: String) -> Context {
        Context {
            key,
            value,
            is_other: record.is_other != 0,
            alloc_bytes: record.count(Shard::AllocBytes),
            allocs: record.count(Shard::Allocs),
            freed_bytes: record.count(Shard::FreedBytes),
            frees: record.count(Shard::Frees),
            entries: record.count(Shard::Entries),
            most_in_entry: record.most,
            entry_classes: record.entry_classes(),
        }
    }

    /// A heap, where heaps are told apart as contexts are.
    pub(super) fn of_heap(key: &str, name: String, counters: &Counters) -> Context {
        Context {
            key: key.to_owned(),
            value: name,
            is_other: false,
            alloc_bytes: counters.alloc_bytes,
            allocs: counters.allocs.saturating_add(counters.reallocs),
            freed_bytes: counters.freed_bytes,
            frees: counters.frees.saturating_add(counters.reallocs),
            entries: 0,
            most_in_entry: 0,
            entry_classes: [0; ENTRY_CLASSES],
        }
    }

    /// As if it had never been in force.
    pub(super) fn forget_counts(&mut self) {
        *self = Context {
            key: std::mem::take(&mut self.key),
            value: std::mem::take(&mut self.value),
            is_other: self.is_other,
            alloc_bytes: 0,
            allocs: 0,
            freed_bytes: 0,
            frees: 0,
            entries: 0,
            most_in_entry: 0,
            entry_classes: [0; ENTRY_CLASSES],
        };
    }

    /// A stack that has this live was in it.
    pub(super) fn add_live(&mut self, totals: &Totals) {
        let bytes = u64::try_from(totals.live_bytes).unwrap_or(0);
        let blocks = u64::try_from(totals.live_count.rounded()).unwrap_or(0);
        self.alloc_bytes = self.alloc_bytes.saturating_add(bytes);
        self.allocs = self.allocs.saturating_add(blocks);
    }

    /// Two threads may have named it at once, so that it has two records; and it may be one of
    /// several processes.
    pub(super) fn add(&mut self, other: &Context) {
        self.alloc_bytes = self.alloc_bytes.saturating_add(other.alloc_bytes);
        self.allocs = self.allocs.saturating_add(other.allocs);
        self.freed_bytes = self.freed_bytes.saturating_add(other.freed_bytes);
        self.frees = self.frees.saturating_add(other.frees);
        self.entries = self.entries.saturating_add(other.entries);
        self.most_in_entry = self.most_in_entry.max(other.most_in_entry);
        for (sum, more) in self.entry_classes.iter_mut().zip(other.entry_classes) {
            *sum = sum.saturating_add(more);
        }
    }
}

impl Contexts {
    /// Decodes the records. The second value counts those that lead nowhere.
    pub(super) fn of(
        records: &[format::Context],
        sets: &[format::ContextSet],
        text: impl Fn(u32, u32) -> String,
    ) -> (Contexts, u64) {
        let mut contexts = Contexts::default();
        let mut damaged = 0;
        let mut by_name = HashMap::new();
        // By the number of a record.
        let mut ids = Vec::with_capacity(records.len());
        for (number, record) in records.iter().enumerate() {
            let key = text(record.key_at, record.key_len);
            // Number 0 is none, and one without a key is being made.
            damaged += u64::from(number > 0 && record.key_len != 0 && key.is_empty());
            if number == 0 || key.is_empty() {
                ids.push(None);
                continue;
            }
            let value = text(record.value_at, record.value_len);
            let context = Context::of(record, key, value);
            let name = (context.key.clone(), context.value.clone());
            let id = *by_name.entry(name).or_insert(contexts.all.len());
            match contexts.all.get_mut(id) {
                Some(known) => known.add(&context),
                None => contexts.all.push(context),
            }
            ids.push(Some(id));
        }
        for set in sets {
            let known = |number: u32| ids.get(number as usize).copied().flatten();
            damaged += set
                .numbers()
                .filter(|&number| known(number).is_none())
                .count() as u64;
            let mut members: Vec<ContextId> = set.numbers().filter_map(known).collect();
            members.sort_unstable();
            members.dedup();
            contexts.sets.push(members);
        }
        if contexts.sets.is_empty() {
            contexts.sets.push(Vec::new());
        }
        (contexts, damaged)
    }

    /// The contexts of a set.
    pub fn in_force(&self, set: usize) -> &[ContextId] {
        self.sets.get(set).map_or(&[], Vec::as_slice)
    }

    /// The context of `key` in a set; of a damaged profile with several, the first.
    pub fn value_of(&self, set: usize, key: &str) -> Option<ContextId> {
        let mut in_force = self.in_force(set).iter().copied();
        in_force.find(|&id| self.all[id].key == key)
    }

    /// The keys, in the order of the alphabet.
    pub fn keys(&self) -> Vec<&str> {
        let mut keys: Vec<&str> = self.all.iter().map(|context| &*context.key).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_that_two_threads_named_at_once_is_one() {
        let strings = "routea";
        let text = |at: u32, len: u32| strings[at as usize..(at + len) as usize].to_owned();
        let record = |entries| {
            let mut record = format::Context {
                key_len: 5,
                value_at: 5,
                value_len: 1,
                ..format::Context::empty()
            };
            record.counts[Shard::Entries as usize] = entries;
            record
        };
        let records = [format::Context::empty(), record(2), record(3)];
        let set = |contexts| format::ContextSet {
            contexts: [contexts, 0, 0, 0],
        };
        let sets = [set(0), set(1 | 2 << 32), set(7)];
        let (contexts, damaged) = Contexts::of(&records, &sets, text);
        assert_eq!(contexts.all.len(), 1);
        assert_eq!((contexts.all[0].entries, damaged), (5, 1));
        assert_eq!(contexts.sets, [vec![], vec![0], vec![]]);
        assert_eq!(contexts.keys(), ["route"]);
    }
}
