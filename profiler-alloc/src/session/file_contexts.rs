//! The contexts of the process in the file of a recording: those that were in force while it ran.
//!
//! A process may have named thousands before a recording begins. So the file numbers its own, as
//! they come:
//!
//! ```text
//! process   context 812 "acme", set 4077 = {812}
//! file      context 1 "acme",   set 1 = {1}
//! ```

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use profiler_alloc_format::contexts::{MAX_CONTEXT_SETS, MAX_IN_FORCE};
use profiler_alloc_format::{ContextCells, Frame};

use crate::contexts::names::{self, IDS};
use crate::contexts::sets;
use crate::lockfree::lazy_slice::LazySlice;
use crate::profile_file::store::Store;

/// The file's numbers, by those of the process; 0 where there is none yet.
pub struct FileContexts {
    contexts: LazySlice<AtomicU32>,
    sets: LazySlice<AtomicU32>,
}

impl FileContexts {
    pub const fn new() -> FileContexts {
        FileContexts {
            contexts: LazySlice::new(IDS),
            sets: LazySlice::new(MAX_CONTEXT_SETS),
        }
    }

    /// What the file says of a context. `None` if a table is full.
    #[inline]
    pub fn context(&self, store: &Store, context: names::Id) -> Option<&'static ContextCells> {
        let number = self.number(store, context)?;
        store.contexts.get(number as usize)
    }

    /// What the file says of a context, if it says anything.
    pub fn known(&self, store: &Store, context: names::Id) -> Option<&'static ContextCells> {
        let number = self.contexts.get()?.get(context as usize)?;
        match number.load(Ordering::Acquire) {
            0 => None,
            number => store.contexts.get(number as usize),
        }
    }

    /// The node above the outermost frame of stacks for which these contexts are in force. `None`
    /// if there are none, or a table is full.
    pub fn frame(&self, store: &Store, set: sets::Id) -> Option<Frame> {
        if set == 0 {
            return None;
        }
        let cell = self.sets.open()?.get(set as usize)?;
        let number = match cell.load(Ordering::Acquire) {
            0 => self.add_set(store, cell, set)?,
            known => known,
        };
        Some(Frame::contexts(number))
    }

    #[inline]
    fn number(&self, store: &Store, context: names::Id) -> Option<u32> {
        let cell = self.contexts.open()?.get(context as usize)?;
        match cell.load(Ordering::Acquire) {
            0 => add_context(store, cell, context),
            known => Some(known),
        }
    }

    #[cold]
    fn add_set(&self, store: &Store, cell: &AtomicU32, set: sets::Id) -> Option<u32> {
        let mut numbers = [0; MAX_IN_FORCE];
        let members = sets::members(set).into_iter().filter(|&member| member != 0);
        for (number, context) in numbers.iter_mut().zip(members) {
            *number = self.number(store, context)?;
        }
        let count = &store.header().context_set_count;
        let at = take_after_none(count, |count| store.take(&store.context_sets, count))?;
        let record = store.context_sets.get(at)?;
        let (pairs, _) = numbers.as_chunks::<2>();
        for (word, [low, high]) in record.contexts.iter().zip(pairs) {
            word.store(u64::from(*low) | u64::from(*high) << 32, Ordering::Relaxed);
        }
        Some(first(cell, at as u32))
    }
}

#[cold]
fn add_context(store: &Store, cell: &AtomicU32, context: names::Id) -> Option<u32> {
    let count = &store.header().context_count;
    let at = take_after_none(count, |count| store.take(&store.contexts, count))?;
    let record = store.contexts.get(at)?;
    names::with_name(context, |key, value| {
        let (key_at, key_len) = store.add_string(key)?;
        let (value_at, value_len) = store.add_string(value)?;
        record.key_at.store(key_at, Ordering::Relaxed);
        record.value_at.store(value_at, Ordering::Relaxed);
        record.value_len.store(value_len, Ordering::Relaxed);
        let is_other = u32::from(names::is_other(context));
        record.is_other.store(is_other, Ordering::Relaxed);
        record.key_len.store(key_len, Ordering::Release);
        Some(first(cell, at as u32))
    })
}

/// Record 0 is none.
fn take_after_none(
    count: &AtomicU64,
    mut take: impl FnMut(&AtomicU64) -> Option<usize>,
) -> Option<usize> {
    match take(count)? {
        0 => take(count),
        number => Some(number),
    }
}

/// The number that is kept: of two threads that come at once, that of the first. The other's record
/// says the same of a context that nobody refers to.
fn first(cell: &AtomicU32, number: u32) -> u32 {
    match cell.compare_exchange(0, number, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => number,
        Err(known) => known,
    }
}
