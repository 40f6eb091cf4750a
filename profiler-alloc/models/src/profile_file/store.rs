//! The profile's tables without a file: they grow as the recorder's do, two chunks at most.

use super::growth::{Growing, Growth};
use super::record_numbers;
use crate::ffi::memory::{Zeroed, zeroed};
use crate::lockfree::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::records::{HeaderCells, NodeCells, StackCells};

/// One table of at most two chunks.
pub struct Records<T: 'static> {
    cells: &'static [T],
    chunk: usize,
    committed: AtomicUsize,
}

impl<T: Zeroed> Records<T> {
    fn new(chunk: usize) -> Records<T> {
        Records {
            cells: zeroed(2 * chunk).unwrap(),
            chunk,
            committed: AtomicUsize::new(0),
        }
    }

    pub fn get(&self, at: usize) -> Option<&'static T> {
        (at < self.capacity()).then(|| &self.cells[at])
    }

    fn capacity(&self) -> usize {
        self.committed.load(Ordering::Acquire)
    }

    fn extend(&self, place: usize) {
        self.committed
            .fetch_max((place + 1) * self.chunk, Ordering::AcqRel);
    }
}

/// All of them; record 0 of each is taken.
pub struct Store {
    growing: Growing,
    directory: &'static [AtomicU64],
    header: HeaderCells,
    pub nodes: Records<NodeCells>,
    pub stacks: Records<StackCells>,
}

impl Store {
    /// Tables with chunks of so many records.
    pub fn new(chunk: usize) -> Store {
        let store = Store {
            growing: Growing::after(0),
            directory: zeroed(4).unwrap(),
            header: HeaderCells::empty(),
            nodes: Records::new(chunk),
            stacks: Records::new(chunk),
        };
        // The first chunks, by which all that growing touches exists, for loom.
        assert!(store.grow(&store.nodes) && store.grow(&store.stacks));
        store.header.node_count.store(1, Ordering::Relaxed);
        store.header.stack_count.store(1, Ordering::Relaxed);
        store
    }

    pub fn header(&self) -> &HeaderCells {
        &self.header
    }

    pub fn take<T: Zeroed>(&self, records: &Records<T>, count: &AtomicU64) -> Option<usize> {
        record_numbers::take(count, 1, || records.capacity(), || self.grow(records))
    }

    fn grow<T: Zeroed>(&self, records: &Records<T>) -> bool {
        let chunks = || records.capacity() / records.chunk;
        let may = |_| records.capacity() < records.cells.len();
        let table = u8::from(core::ptr::addr_eq(records, &self.stacks));
        self.growing
            .grow(table, chunks, may, |growth| self.add(growth))
            .is_ok_and(|grown| grown)
    }

    fn add(&self, growth: Growth) -> Result<(), ()> {
        let chunk = growth.chunk() as usize;
        let (place, table) = (growth.place(), u64::from(growth.table()));
        // The directory: a chunk belongs to one place of one table, whoever says so, and however
        // often.
        let entry = (table + 1) << 8 | place as u64;
        let before = self.directory[chunk].swap(entry, Ordering::AcqRel);
        assert!(before == 0 || before == entry, "{before:#x}, {entry:#x}");
        match table {
            0 => self.nodes.extend(place),
            _ => self.stacks.extend(place),
        }
        Ok(())
    }
}
