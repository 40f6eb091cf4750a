//! The profile file as memory: created, reserved and mapped chunk by chunk, so that it is current
//! at every moment.
//!
//! Every table has its own range of addresses, reserved at the start. To grow, a table reserves
//! the next chunk of the file on disk, so that no later store can meet a full disk, and maps it at
//! the end of its range:
//!
//! ```text
//! file       │ header │ nodes │ stacks │ nodes │ …
//! addresses  │ header │   │ nodes nodes ······ │   │ stacks ············· │
//!                           committed   reserved
//! ```

use core::ffi::CStr;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};

use profiler_alloc_format::{
    AccountCells, AgeCells, CHUNK_LEN, CohortCells, ContextCells, ContextSetCells, DIRECTORY_AT,
    FunctionCells, FurtherCells, HEADER_LEN, HeaderCells, HeapCells, LineCells, MAX_CHUNKS,
    ModuleCells, NodeCells, PointCells, SIZE_CLASSES, SIZES_AT, ShareCells, SizeClassCells,
    SnapshotCells, StackCells, StackSpanCells, Table, ThreadCells, TouchedCells,
};

use profiler_alloc_format::{account, contexts, heaps};

use super::growth::{Growing, Growth};
use super::record_numbers;
use crate::ffi::descriptor::Descriptor;
use crate::ffi::mapping::{self, map_file, privatize, reserve};
use crate::ffi::memory::{self, Zeroed};
use crate::ffi::os;

/// Most records of each table, which bounds the file at about 190 MiB.
const MAX_THREADS: usize = 16 << 10;
const MAX_NODES: usize = 1 << 20;
const MAX_STACKS: usize = 1 << 18;
const MAX_MODULES: usize = 4 << 10;
const MAX_STRING_BYTES: usize = 8 << 20;
const MAX_FUNCTIONS: usize = 1 << 14;
const MAX_SHARES: usize = 1 << 17;
const MAX_LINES: usize = 1 << 18;
/// Those of the process, and a few that threads make at once.
const MAX_CONTEXTS: usize = contexts::MAX_CONTEXTS + 4 * contexts::MAX_KEYS;
const MAX_CONTEXT_SETS: usize = contexts::MAX_CONTEXT_SETS + (4 << 10);
/// Those of the process, and those that threads make at once.
const MAX_HEAPS: usize = 8 * heaps::MAX_HEAPS;
const MAX_COHORTS: usize = 1 << 19;

/// The tables that have a chunk from the start: all but the exact ones, which few programs need.
const FIRST_TABLES: [Table; 6] = [
    Table::Threads,
    Table::Nodes,
    Table::Stacks,
    Table::Modules,
    Table::Strings,
    Table::Timeline,
];

/// Why no profile could be opened. The number is the system's `errno`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenFailure {
    /// The file exists already.
    Exists,
    /// The file could not be created.
    Create(i32),
    /// The file's first chunks could not be reserved: disk full, or a limit on file size.
    Reserve(i32),
    /// The file could not be mapped.
    Map(i32),
}

/// One table: a range of addresses, of which the first `committed` bytes are backed by the file.
pub struct Records<T: 'static> {
    table: Table,
    base: NonNull<u8>,
    max: usize,
    committed: AtomicUsize,
    record: PhantomData<&'static T>,
}

// SAFETY: the pointer is only read, and what it leads to is shared through atomics (`T: Zeroed`).
unsafe impl<T: Zeroed> Sync for Records<T> {}

impl<T: Zeroed> Records<T> {
    fn reserve(table: Table, max: usize) -> Option<Records<T>> {
        let max_bytes = (max * size_of::<T>()).next_multiple_of(CHUNK_LEN);
        let base = NonNull::new(memory::reserve(max_bytes)?)?;
        Some(Records {
            table,
            base,
            max,
            committed: AtomicUsize::new(0),
            record: PhantomData,
        })
    }

    /// Record number `at`, if the file reaches that far.
    #[inline]
    pub fn get(&self, at: usize) -> Option<&'static T> {
        // The product of a number of 32 bits and a record's size does not overflow, and needs no
        // division.
        let start = u32::try_from(at).ok()? as usize * size_of::<T>();
        if start + size_of::<T>() > self.committed.load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: the bytes below `committed` are mapped readable and writable until the process
        // ends, zero or written through T's atomics, and `base` is page-aligned.
        Some(unsafe { self.base.add(start).cast::<T>().as_ref() })
    }

    /// Records number `at` to `at + many - 1`, if the file reaches that far.
    pub fn get_many(&self, at: usize, many: usize) -> Option<&'static [T]> {
        if at.checked_add(many)? > self.capacity() {
            return None;
        }
        // SAFETY: as for `get`; a table's chunks stand in one row of addresses.
        Some(unsafe { core::slice::from_raw_parts(self.base.cast::<T>().add(at).as_ptr(), many) })
    }

    /// Records that the file has room for now.
    #[inline]
    fn capacity(&self) -> usize {
        self.committed.load(Ordering::Acquire) / size_of::<T>()
    }

    /// Gives back the addresses reserved for chunks, of which no more may come.
    fn shrink(&self) {
        let committed = self.committed.load(Ordering::Acquire);
        let reserved = self.most_bytes();
        // SAFETY: what is reserved and not committed has no record behind it, and `close` has ended
        // growth.
        unsafe {
            memory::give_back(
                self.base.as_ptr().wrapping_add(committed),
                reserved - committed,
            )
        };
    }

    /// True if the table can have no more chunks.
    pub fn is_full(&self) -> bool {
        self.committed.load(Ordering::Acquire) >= self.most_bytes()
    }

    fn most_bytes(&self) -> usize {
        (self.max * size_of::<T>()).next_multiple_of(CHUNK_LEN)
    }

    fn range(&self) -> (*mut u8, usize) {
        (self.base.as_ptr(), self.committed.load(Ordering::Acquire))
    }
}

/// The open profile file.
pub struct Store {
    base: *mut u8,
    file: Descriptor,
    growing: Growing,
    refused: AtomicBool,
    pub threads: Records<ThreadCells>,
    pub nodes: Records<NodeCells>,
    pub stacks: Records<StackCells>,
    pub modules: Records<ModuleCells>,
    pub strings: Records<AtomicU8>,
    pub timeline: Records<PointCells>,
    pub functions: Records<FunctionCells>,
    pub shares: Records<ShareCells>,
    pub lines: Records<LineCells>,
    pub further: Records<FurtherCells>,
    pub contexts: Records<ContextCells>,
    pub context_sets: Records<ContextSetCells>,
    pub heaps: Records<HeapCells>,
    pub spans: Records<StackSpanCells>,
    pub accounts: Records<AccountCells>,
    pub touched: Records<TouchedCells>,
    pub snapshots: Records<SnapshotCells>,
    pub ages: Records<AgeCells>,
    pub cohorts: Records<CohortCells>,
}

// SAFETY: `base` is only read, and leads to atomics.
unsafe impl Sync for Store {}

impl Store {
    /// Creates `path`, which must not exist, and reserves the first chunks. The store is made where
    /// it stays: whoever starts a recording may have little stack.
    pub fn create(path: &CStr) -> Result<&'static Store, OpenFailure> {
        let fd = mapping::create(path).map_err(|error| match error {
            mapping::EXISTS => OpenFailure::Exists,
            error => OpenFailure::Create(error),
        })?;
        Self::fill(Descriptor::lasting(fd)).inspect_err(|_| os::remove_file(path))
    }

    fn fill(file: Descriptor) -> Result<&'static Store, OpenFailure> {
        let fd = file
            .ours()
            .ok_or_else(|| OpenFailure::Create(refused_number(os::last_error())))?;
        reserve(fd, 0, HEADER_LEN).map_err(OpenFailure::Reserve)?;
        let store = Self::map(fd, file).ok_or_else(|| OpenFailure::Map(os::last_error()))?;
        (FIRST_TABLES.into_iter().zip(0..))
            .try_for_each(|(table, chunk)| store.add(Growth::new(chunk, table as u8, 0)))
            .inspect_err(|_| store.close())
            .map_err(OpenFailure::Reserve)?;
        let inode = os::inode(fd).unwrap_or(0);
        store.header().inode.store(inode, Ordering::Relaxed);
        Ok(store)
    }

    fn map(fd: i32, file: Descriptor) -> Option<&'static Store> {
        let base = memory::reserve(HEADER_LEN)?;
        if !map_file(base, HEADER_LEN, fd, 0) {
            return None;
        }
        memory::leak(Store {
            base,
            file,
            growing: Growing::after(FIRST_TABLES.len() as u64),
            refused: AtomicBool::new(false),
            threads: Records::reserve(Table::Threads, MAX_THREADS)?,
            nodes: Records::reserve(Table::Nodes, MAX_NODES)?,
            stacks: Records::reserve(Table::Stacks, MAX_STACKS)?,
            modules: Records::reserve(Table::Modules, MAX_MODULES)?,
            strings: Records::reserve(Table::Strings, MAX_STRING_BYTES)?,
            timeline: Records::reserve(Table::Timeline, CHUNK_LEN / size_of::<PointCells>())?,
            functions: Records::reserve(Table::Functions, MAX_FUNCTIONS)?,
            shares: Records::reserve(Table::Shares, MAX_SHARES)?,
            lines: Records::reserve(Table::Lines, MAX_LINES)?,
            further: Records::reserve(Table::Further, MAX_STACKS)?,
            contexts: Records::reserve(Table::Contexts, MAX_CONTEXTS)?,
            context_sets: Records::reserve(Table::ContextSets, MAX_CONTEXT_SETS)?,
            heaps: Records::reserve(Table::Heaps, MAX_HEAPS)?,
            spans: Records::reserve(Table::Spans, MAX_STACKS)?,
            accounts: Records::reserve(Table::Accounts, account::MAX_ACCOUNTS)?,
            touched: Records::reserve(Table::Touched, MAX_STACKS)?,
            snapshots: Records::reserve(Table::Snapshots, CHUNK_LEN / size_of::<SnapshotCells>())?,
            ages: Records::reserve(Table::Ages, MAX_STACKS)?,
            cohorts: Records::reserve(Table::Cohorts, MAX_COHORTS)?,
        })
    }

    pub fn header(&self) -> &'static HeaderCells {
        // SAFETY: the header is mapped until the process ends and made of atomics.
        unsafe { &*self.base.cast::<HeaderCells>() }
    }

    /// The class of the size histogram numbered `class`, below [`SIZE_CLASSES`].
    pub fn size_class(&self, class: usize) -> &'static SizeClassCells {
        // SAFETY: as for the header; the array stands at SIZES_AT and `class` is kept within it.
        unsafe {
            &*self
                .base
                .add(SIZES_AT)
                .cast::<SizeClassCells>()
                .add(class.min(SIZE_CLASSES - 1))
        }
    }

    /// Takes the next record number of a table, whose count stands at `count`. `None` if the table
    /// is full and cannot grow.
    pub fn take<T: Zeroed>(&self, records: &Records<T>, count: &AtomicU64) -> Option<usize> {
        self.take_many(records, count, 1)
    }

    /// As [`take`](Self::take), for `many` records in a row; gives the first one's number.
    pub fn take_many<T: Zeroed>(
        &self,
        records: &Records<T>,
        count: &AtomicU64,
        many: usize,
    ) -> Option<usize> {
        record_numbers::take(count, many, || records.capacity(), || self.grow(records))
    }

    /// What is known further of the stack with this number; its record is made if it is not there
    /// and the file can grow.
    #[cold]
    pub fn make_further(&self, stack: usize) -> Option<&'static FurtherCells> {
        self.make_beside(&self.further, &self.header().further_count, stack)
    }

    /// The span of the stack with this number; its record is made if it is not there and the file
    /// can grow.
    #[cold]
    pub fn make_span(&self, stack: usize) -> Option<&'static StackSpanCells> {
        self.make_beside(&self.spans, &self.header().span_count, stack)
    }

    /// What of the large blocks of the stack with this number is resident; its record is made if it
    /// is not there and the file can grow.
    #[cold]
    pub fn make_touched(&self, stack: usize) -> Option<&'static TouchedCells> {
        self.make_beside(&self.touched, &self.header().touched_count, stack)
    }

    /// The account with this number; room for all of them is made with the first.
    pub fn make_account(&self, at: usize) -> Option<&'static AccountCells> {
        if self.accounts.get(at).is_none() && !self.is_refused() {
            self.grow(&self.accounts);
        }
        self.accounts.get(at)
    }

    /// What the stack with this number has of older generations; its record is made if it is not
    /// there and the file can grow.
    #[cold]
    pub fn make_age(&self, stack: usize) -> Option<&'static AgeCells> {
        self.make_beside(&self.ages, &self.header().age_count, stack)
    }

    /// The record with the number of a stack, in a table that goes along with that of the stacks.
    fn make_beside<T: Zeroed>(
        &self,
        records: &Records<T>,
        count: &AtomicU64,
        stack: usize,
    ) -> Option<&'static T> {
        let is_stack = stack < self.stacks.capacity();
        if !is_stack || self.is_refused() {
            return None;
        }
        while records.get(stack).is_none() {
            if !self.grow(records) {
                return None;
            }
        }
        // Whatever a chunk has room for is there: zeros say what no record would.
        count.fetch_max(records.capacity() as u64, Ordering::Release);
        records.get(stack)
    }

    /// True once no stack can be added.
    pub fn has_all_stacks(&self) -> bool {
        let count = self.header().stack_count.load(Ordering::Relaxed) as usize;
        count >= self.stacks.capacity() && (self.stacks.is_full() || self.is_refused())
    }

    /// Adds text to the strings; gives its offset and length. `None` if there is no room.
    pub fn add_string(&self, text: &[u8]) -> Option<(u32, u32)> {
        let at = self.take_many(&self.strings, &self.header().string_bytes, text.len())?;
        for (cell, &byte) in self.strings.get_many(at, text.len())?.iter().zip(text) {
            cell.store(byte, Ordering::Relaxed);
        }
        Some((at as u32, text.len() as u32))
    }

    /// True once the system has refused to let the file grow.
    pub fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// Makes room in a table. False if there can be no more: the table is full, or the system has
    /// refused, which is not asked again.
    fn grow<T: Zeroed>(&self, records: &Records<T>) -> bool {
        let may = |chunk| !self.is_refused() && !records.is_full() && chunk < MAX_CHUNKS as u64;
        let chunks = || records.committed.load(Ordering::Acquire) / CHUNK_LEN;
        let grown = self
            .growing
            .grow(records.table as u8, chunks, may, |growth| self.add(growth));
        match grown {
            Ok(grown) => grown,
            // Signals were too fast: it is tried again with the next record.
            Err(mapping::INTERRUPTED) => false,
            Err(error) => {
                self.refuse(error);
                false
            }
        }
    }

    /// All steps of one growth. Those that another thread has done already change nothing.
    fn add(&self, growth: Growth) -> Result<(), i32> {
        match Table::from_byte(growth.table()) {
            Some(Table::Threads) => self.extend(&self.threads, growth),
            Some(Table::Nodes) => self.extend(&self.nodes, growth),
            Some(Table::Stacks) => self.extend(&self.stacks, growth),
            Some(Table::Modules) => self.extend(&self.modules, growth),
            Some(Table::Strings) => self.extend(&self.strings, growth),
            Some(Table::Timeline) => self.extend(&self.timeline, growth),
            Some(Table::Functions) => self.extend(&self.functions, growth),
            Some(Table::Shares) => self.extend(&self.shares, growth),
            Some(Table::Lines) => self.extend(&self.lines, growth),
            Some(Table::Further) => self.extend(&self.further, growth),
            Some(Table::Contexts) => self.extend(&self.contexts, growth),
            Some(Table::ContextSets) => self.extend(&self.context_sets, growth),
            Some(Table::Heaps) => self.extend(&self.heaps, growth),
            Some(Table::Spans) => self.extend(&self.spans, growth),
            Some(Table::Accounts) => self.extend(&self.accounts, growth),
            Some(Table::Touched) => self.extend(&self.touched, growth),
            Some(Table::Snapshots) => self.extend(&self.snapshots, growth),
            Some(Table::Ages) => self.extend(&self.ages, growth),
            Some(Table::Cohorts) => self.extend(&self.cohorts, growth),
            // Written by memprof, once nothing is recorded any more.
            Some(Table::Sources | Table::Processes) | None => Ok(()),
        }
    }

    #[cold]
    fn refuse(&self, error: i32) {
        if self.refused.swap(true, Ordering::Relaxed) {
            return;
        }
        self.header().lost_growth.fetch_add(1, Ordering::Relaxed);
        os::warn(&[
            b"the profile cannot grow (",
            os::error_text(error, &mut [0; 96]),
            b"); new stacks are counted as \"other\"",
        ]);
    }

    /// Reserves and maps the chunk of the file that `growth` names, at its place in a table. Gives
    /// the `errno` of what was refused.
    fn extend<T: Zeroed>(&self, records: &Records<T>, growth: Growth) -> Result<(), i32> {
        let header = self.header();
        let (chunk, from) = (growth.chunk() as usize, growth.place() * CHUNK_LEN);
        if records.committed.load(Ordering::Acquire) > from {
            return Ok(());
        }
        let at = HEADER_LEN + chunk * CHUNK_LEN;
        let fd = self.file.ours_again()?;
        reserve(fd, at, CHUNK_LEN)?;
        // SAFETY: the address is within the range reserved for this table, as `from` is below its
        // `most_bytes`.
        let place = unsafe { records.base.as_ptr().add(from) };
        // Where another thread has mapped it in the meantime, the same pages of the file take their
        // own place.
        if !map_file(place, CHUNK_LEN, fd, at) {
            return Err(os::last_error());
        }
        // SAFETY: the directory is mapped with the header and `chunk` is below MAX_CHUNKS.
        let entry = unsafe { &*self.base.add(DIRECTORY_AT + chunk).cast::<AtomicU8>() };
        entry.store(records.table as u8, Ordering::Relaxed);
        header
            .chunk_count
            .fetch_max(chunk as u64 + 1, Ordering::AcqRel);
        records
            .committed
            .fetch_max(from + CHUNK_LEN, Ordering::AcqRel);
        Ok(())
    }

    /// Bytes of the file so far.
    pub fn bytes(&self) -> u64 {
        let chunks = self.header().chunk_count.load(Ordering::Relaxed);
        chunks * CHUNK_LEN as u64 + HEADER_LEN as u64
    }

    /// Asks the system to write the file to disk, and waits for it.
    pub fn sync(&self) -> Result<(), i32> {
        for (base, len) in self.ranges() {
            if len > 0 {
                mapping::sync(base, len)?;
            }
        }
        Ok(())
    }

    /// Ends growth for good, and gives back what was kept for it; what is mapped stays so. If a
    /// thread is growing it right now, nothing happens: waiting for that thread is not worth one
    /// descriptor.
    pub fn close(&self) {
        if self.growing.close() {
            self.file.close();
            self.threads.shrink();
            self.nodes.shrink();
            self.stacks.shrink();
            self.modules.shrink();
            self.strings.shrink();
            self.timeline.shrink();
            self.functions.shrink();
            self.shares.shrink();
            self.lines.shrink();
            self.further.shrink();
            self.contexts.shrink();
            self.context_sets.shrink();
            self.heaps.shrink();
            self.spans.shrink();
            self.accounts.shrink();
            self.touched.shrink();
            self.snapshots.shrink();
            self.ages.shrink();
            self.cohorts.shrink();
        }
    }

    /// In a forked child: puts private memory where the parent's file was mapped, keeping the
    /// records that go on being counted in, and their number: what they count is the child's too.
    pub fn make_private(&self) {
        for (base, len) in self.ranges() {
            if len > 0 {
                // The header has the counts of these records.
                let keep = [
                    self.base,
                    self.threads.base.as_ptr(),
                    self.functions.base.as_ptr(),
                    self.shares.base.as_ptr(),
                    self.lines.base.as_ptr(),
                    self.contexts.base.as_ptr(),
                ];
                privatize(base, len, keep.contains(&base));
            }
        }
        self.file.close();
    }

    fn ranges(&self) -> [(*mut u8, usize); 20] {
        [
            (self.base, HEADER_LEN),
            self.threads.range(),
            self.nodes.range(),
            self.stacks.range(),
            self.modules.range(),
            self.strings.range(),
            self.timeline.range(),
            self.functions.range(),
            self.shares.range(),
            self.lines.range(),
            self.further.range(),
            self.contexts.range(),
            self.context_sets.range(),
            self.heaps.range(),
            self.spans.range(),
            self.accounts.range(),
            self.touched.range(),
            self.snapshots.range(),
            self.ages.range(),
            self.cohorts.range(),
        ]
    }
}

/// A descriptor that could not be moved out of the way is closed, and then unknown to the system.
fn refused_number(error: i32) -> i32 {
    match error {
        mapping::CLOSED => mapping::TOO_MANY_FILES,
        error => error,
    }
}
