//! The profile's tables without a file: they grow as the recorder's do, into memory that is there only then.

#[path = "../../src/store/numbers.rs"]
mod numbers;

use crate::memory::{Zeroed, untouched};
use crate::records::{HeaderCells, NodeCells, StackCells};
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// One table of at most two chunks.
pub struct Records<T: 'static> {
    cells: &'static [T],
    committed: AtomicUsize,
}

impl<T: Zeroed> Records<T> {
    fn new(chunk: usize) -> Records<T> {
        let records = Records {
            cells: untouched(2 * chunk),
            committed: AtomicUsize::new(0),
        };
        records.extend(chunk);
        records
    }

    pub fn get(&self, at: usize) -> Option<&'static T> {
        (at < self.capacity()).then(|| &self.cells[at])
    }

    fn capacity(&self) -> usize {
        self.committed.load(Ordering::Acquire)
    }

    fn extend(&self, to: usize) {
        let from = self.committed.load(Ordering::Relaxed);
        self.cells[from..to].iter().for_each(T::touch);
        self.committed.store(to, Ordering::Release);
    }
}

/// All of them; record 0 of each is taken.
pub struct Store {
    growing: AtomicBool,
    header: HeaderCells,
    pub nodes: Records<NodeCells>,
    pub stacks: Records<StackCells>,
}

impl Store {
    /// Tables with chunks of so many records.
    pub fn new(chunk: usize) -> Store {
        let store = Store {
            growing: AtomicBool::new(false),
            header: HeaderCells::empty(),
            nodes: Records::new(chunk),
            stacks: Records::new(chunk),
        };
        store.growing.store(false, Ordering::Relaxed);
        store.header.node_count.store(1, Ordering::Relaxed);
        store.header.stack_count.store(1, Ordering::Relaxed);
        store
    }

    pub fn header(&self) -> &HeaderCells {
        &self.header
    }

    pub fn take<T: Zeroed>(&self, records: &Records<T>, count: &AtomicU64) -> Option<usize> {
        numbers::take(count, 1, || records.capacity(), || self.grow(records))
    }

    fn grow<T: Zeroed>(&self, records: &Records<T>) -> bool {
        if self.growing.swap(true, Ordering::Acquire) {
            return false;
        }
        let may_grow = records.capacity() < records.cells.len();
        if may_grow {
            records.extend(records.cells.len());
        }
        self.growing.store(false, Ordering::Release);
        may_grow
    }
}
