//! Makes synthetic profiles: the tests of every stage say with it what a recorder would have
//! written.
//!
//! ```
//! use memprof::profile::{Frame, builder::Builder, parse};
//!
//! let mut builder = Builder::new();
//! builder.module("/bin/app");
//! let stack = builder.stack(&[Frame::new(0, 0x10), Frame::new(0, 0x20)]);
//! builder.allocated(stack, 4096, 1);
//! let (profile, defects) = parse("app.memprof".as_ref(), builder.to_input()).unwrap();
//! assert_eq!(profile.stacks[0].totals.live_bytes, 4096);
//! assert!(defects.is_empty());
//! ```

use std::collections::HashMap;
use std::io::Cursor;
use std::path::Path;

use profiler_alloc_format::moments::{ALIVE, MARK, key, split, tagged};
use profiler_alloc_format::{
    Age, CHUNK_LEN, COUNT_FRACTION_BITS, Cohort, Context, ContextSet, DIRECTORY_AT, Frame,
    Function, Further, HEADER_LEN, Header, Heap, Line, MAGIC, Module, NEVER, Node, Point, Process,
    SIZES_AT, STATE_FINISHED, Share, SizeClass, Snapshot, Stack, THREAD_TAKEN, Table, Thread,
    VERSION, size_class,
};

/// A profile in the making. Its records are public, for tests that damage them.
#[derive(Clone, Debug)]
pub struct Builder {
    /// The header; counts of tables and chunks are filled in by [`to_bytes`](Builder::to_bytes).
    pub header: Header,
    /// The size histogram.
    pub sizes: Vec<SizeClass>,
    /// Thread records.
    pub threads: Vec<Thread>,
    /// Nodes; the first is the root.
    pub nodes: Vec<Node>,
    /// Stacks; the first is "other".
    pub stacks: Vec<Stack>,
    /// What else is known of stacks, by their numbers.
    pub further: Vec<Further>,
    /// Modules.
    pub modules: Vec<Module>,
    /// Text that modules refer to.
    pub strings: Vec<u8>,
    /// The timeline.
    pub timeline: Vec<Point>,
    /// Functions with `#[profile]`.
    pub functions: Vec<Function>,
    /// Their shares.
    pub shares: Vec<Share>,
    /// The lines of the shares.
    pub lines: Vec<Line>,
    /// What source files held, as text.
    pub sources: Vec<u8>,
    /// Contexts; the first is none.
    pub contexts: Vec<Context>,
    /// Contexts that were in force together; the first are none.
    pub context_sets: Vec<ContextSet>,
    /// Heaps; the first is the main one.
    pub heaps: Vec<Heap>,
    /// Moments.
    pub snapshots: Vec<Snapshot>,
    /// What stacks have of older generations, by their numbers.
    pub ages: Vec<Age>,
    /// Blocks by birth and last moment.
    pub cohorts: Vec<Cohort>,
    /// Profiles that it was merged from.
    pub processes: Vec<Process>,
    /// Nodes by parent and frame.
    known: HashMap<(u32, u64), u32>,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// A finished, exact profile of one thread that did nothing.
    pub fn new() -> Builder {
        let mut thread = Thread {
            state: THREAD_TAKEN,
            tid: 1,
            ..Thread::empty()
        };
        thread.name[0] = u64::from_le_bytes(*b"main\0\0\0\0");
        Builder {
            header: Header {
                magic: MAGIC,
                version: VERSION,
                state: STATE_FINISHED,
                pid: 1,
                ..Header::empty()
            },
            sizes: vec![SizeClass::empty(); profiler_alloc_format::SIZE_CLASSES],
            threads: vec![thread],
            nodes: vec![Node::empty()],
            stacks: vec![Stack::empty()],
            further: Vec::new(),
            modules: Vec::new(),
            strings: Vec::new(),
            timeline: Vec::new(),
            functions: Vec::new(),
            shares: Vec::new(),
            lines: Vec::new(),
            sources: Vec::new(),
            contexts: vec![Context::empty()],
            context_sets: vec![ContextSet::empty()],
            heaps: vec![Heap::empty()],
            snapshots: Vec::new(),
            ages: Vec::new(),
            cohorts: Vec::new(),
            processes: Vec::new(),
            known: HashMap::new(),
        }
    }

    /// Adds a module and gives its number.
    pub fn module(&mut self, path: impl AsRef<Path>) -> u16 {
        let path = path.as_ref().as_os_str().as_encoded_bytes();
        self.modules.push(Module {
            start: 1,
            path_at: self.strings.len() as u32,
            path_len: path.len() as u32,
            ..Module::empty()
        });
        self.strings.extend_from_slice(path);
        (self.modules.len() - 1) as u16
    }

    /// The outermost frame of stacks in the context `value` of `key`.
    pub fn in_context(&mut self, key: &str, value: &str) -> Frame {
        let mut string = |text: &str| {
            let at = self.strings.len() as u32;
            self.strings.extend_from_slice(text.as_bytes());
            (at, text.len() as u32)
        };
        let (key_at, key_len) = string(key);
        let (value_at, value_len) = string(value);
        self.contexts.push(Context {
            key_at,
            key_len,
            value_at,
            value_len,
            ..Context::empty()
        });
        let mut set = ContextSet::empty();
        set.contexts[0] = self.contexts.len() as u64 - 1;
        self.context_sets.push(set);
        Frame::contexts(self.context_sets.len() as u32 - 1)
    }

    /// Adds a heap that has allocated `bytes` in one block, and keeps them; gives the outermost
    /// frame of its stacks.
    pub fn heap(&mut self, name: &str, bytes: u64) -> Frame {
        self.heaps.push(Heap {
            name_at: self.strings.len() as u32,
            name_len: name.len() as u32,
            alloc_bytes: bytes,
            allocs: 1,
            peak: bytes,
            peak_epoch: 1,
            ..Heap::empty()
        });
        self.strings.extend_from_slice(name.as_bytes());
        Frame::heap(self.heaps.len() as u32 - 1)
    }

    /// Stack `stack` of another heap than the main one allocated a block of `bytes`, and keeps it.
    pub fn allocated_elsewhere(&mut self, stack: usize, bytes: u64) {
        let record = &mut self.stacks[stack];
        let count = 1 << COUNT_FRACTION_BITS;
        record.peak_epoch = 0;
        record.alloc_bytes += bytes;
        record.alloc_count += count;
        record.alloc_samples += 1;
        record.live_bytes += bytes;
        record.live_count += count;
    }

    /// The node of a call stack, innermost frame first, made if need be.
    pub fn node(&mut self, frames: &[Frame]) -> u32 {
        let mut parent = 0;
        for frame in frames.iter().rev() {
            let next = self.nodes.len() as u32;
            let node = *(self.known.entry((parent, frame.to_bits()))).or_insert(next);
            if node == next {
                self.nodes.push(Node {
                    parent,
                    frame: frame.to_bits(),
                    ..Node::empty()
                });
            }
            parent = node;
        }
        parent
    }

    /// The number of a call stack, innermost frame first, made if need be.
    pub fn stack(&mut self, frames: &[Frame]) -> usize {
        let node = self.node(frames);
        let known = self.nodes[node as usize].stack as usize;
        if known != 0 {
            return known;
        }
        self.stacks.push(Stack {
            node,
            peak_epoch: self.header.peak_epoch,
            ..Stack::empty()
        });
        self.nodes[node as usize].stack = self.stacks.len() as u32 - 1;
        self.stacks.len() - 1
    }

    /// Stack `stack` allocated `blocks` blocks, `bytes` bytes in all, and keeps them.
    pub fn allocated(&mut self, stack: usize, bytes: u64, blocks: u64) {
        let record = self.changing(stack);
        let count = blocks << COUNT_FRACTION_BITS;
        record.alloc_bytes += bytes;
        record.alloc_count += count;
        record.alloc_samples += blocks;
        record.live_bytes += bytes;
        record.live_count += count;
        let class = &mut self.sizes[size_class(bytes / blocks.max(1))];
        class.bytes += bytes;
        class.count += count;
        self.header.final_allocs += blocks;
        self.header.final_alloc_bytes += bytes;
        self.threads[0].allocs += blocks;
        self.threads[0].alloc_bytes += bytes;
        self.header.heap = self.header.heap.wrapping_add(bytes);
        if self.header.heap as i64 > self.header.peak as i64 {
            self.header.peak = self.header.heap;
            self.header.peak_epoch += 1;
        }
    }

    /// The record of stack `stack`, which is about to change: what it held at the last peak is
    /// copied first. So a new peak costs the same however many stacks there are, as in the
    /// recorder.
    fn changing(&mut self, stack: usize) -> &mut Stack {
        let record = &mut self.stacks[stack];
        if record.peak_epoch < self.header.peak_epoch {
            record.peak_epoch = self.header.peak_epoch;
            record.peak_bytes = record.live_bytes;
            record.peak_count = record.live_count;
        }
        record
    }

    /// Stack `by` freed `blocks` blocks, `bytes` bytes in all, that stack `of` had allocated.
    pub fn freed(&mut self, by: usize, of: usize, bytes: u64, blocks: u64) {
        let count = blocks << COUNT_FRACTION_BITS;
        let record = &mut self.stacks[by];
        record.freed_bytes += bytes;
        record.freed_count += count;
        record.free_samples += blocks;
        let record = self.changing(of);
        record.live_bytes = record.live_bytes.wrapping_sub(bytes);
        record.live_count = record.live_count.wrapping_sub(count);
        self.header.final_frees += blocks;
        self.header.final_freed_bytes += bytes;
        self.threads[0].frees += blocks;
        self.threads[0].freed_bytes += bytes;
        self.header.heap = self.header.heap.wrapping_sub(bytes);
    }

    /// A moment after `time_ns`, a mark if it has a name. Stacks that changed since the one before
    /// have what they have live older from now on.
    pub fn moment(&mut self, time_ns: u64, mark: Option<&str>) {
        let serial = self.snapshots.len() as u32 + 1;
        let name = mark.unwrap_or_default();
        self.snapshots.push(Snapshot {
            serial,
            flags: mark.map_or(0, |_| MARK),
            time_ns: time_ns + 1,
            heap: self.header.heap,
            allocs: self.header.final_allocs,
            frees: self.header.final_frees,
            alloc_bytes: self.header.final_alloc_bytes,
            freed_bytes: self.header.final_freed_bytes,
            name_at: self.strings.len() as u32,
            name_len: name.len() as u32,
            ..Snapshot::empty()
        });
        self.strings.extend_from_slice(name.as_bytes());
        self.ages.resize(self.stacks.len(), Age::empty());
        for (number, (age, stack)) in (0..).zip(self.ages.iter_mut().zip(&self.stacks)) {
            let ((birth, older), (_, older_count)) = (split(age.bytes), split(age.count));
            let bytes = stack.live_bytes.wrapping_sub(older as u64);
            let count = stack.live_count.wrapping_sub(older_count as u64);
            if (bytes, count) != (0, 0) {
                self.cohorts.push(Cohort {
                    key: key(number, birth, ALIVE),
                    bytes,
                    count,
                    ..Cohort::empty()
                });
            }
            age.bytes = tagged(serial, stack.live_bytes as i64);
            age.count = tagged(serial, stack.live_count as i64);
        }
        self.header.generation = serial.into();
    }

    /// Stack `stack` frees `blocks` blocks, `bytes` bytes in all, that it had allocated after
    /// moment `birth`, or before the first if that is 0, and before the latest.
    pub fn freed_older(&mut self, stack: usize, birth: u32, bytes: u64, blocks: u64) {
        self.freed(stack, stack, bytes, blocks);
        let count = blocks << COUNT_FRACTION_BITS;
        let last = self.snapshots.len() as u32;
        for (last, bytes, count) in [
            (last, bytes, count),
            (ALIVE, bytes.wrapping_neg(), count.wrapping_neg()),
        ] {
            self.cohorts.push(Cohort {
                key: key(stack as u32, birth, last),
                bytes,
                count,
                ..Cohort::empty()
            });
        }
        let age = &mut self.ages[stack];
        let ((newest, older), (_, older_count)) = (split(age.bytes), split(age.count));
        age.bytes = tagged(newest, older - bytes as i64);
        age.count = tagged(newest, older_count - count as i64);
    }

    /// After the line of the innermost of `frames` ran, `heap` bytes were in use.
    pub fn heap_after(&mut self, frames: &[Frame], heap: i64) {
        let node = self.node(frames) as usize;
        self.nodes[node].heap_after = (heap + 1) as u64;
    }

    /// Adds a function with `#[profile]` on the lines `span` of `file`, and gives the number of its
    /// record.
    pub fn profiled(&mut self, name: &str, file: &str, span: (u32, u32)) -> usize {
        let mut string = |text: &str| {
            let at = self.strings.len() as u32;
            self.strings.extend_from_slice(text.as_bytes());
            (at, text.len() as u32)
        };
        let (name_at, name_len) = string(name);
        let (file_at, file_len) = string(file);
        self.functions.push(Function {
            number: self.functions.len() as u32 + 1,
            first_line: span.0,
            last_line: span.1,
            name_at,
            name_len,
            file_at,
            file_len,
            folder_at: file_at + file_len,
            ..Function::empty()
        });
        self.functions.len() - 1
    }

    /// Adds a share of function `function` with these lines: number, runs, bytes allocated, bytes
    /// freed.
    pub fn share(&mut self, function: usize, lines: &[(u32, u64, u64, u64)]) {
        self.shares.push(Share {
            function: function as u32 + 1,
            lines_at: self.lines.len() as u32,
            line_count: lines.len() as u32,
            ..Share::empty()
        });
        for &(number, runs, alloc_bytes, freed_bytes) in lines {
            self.lines.push(Line {
                number,
                runs,
                alloc_bytes,
                freed_bytes,
                mem_usage: NEVER,
                ..Line::empty()
            });
        }
    }

    /// The profile's bytes, as the file would hold them.
    pub fn to_bytes(&self) -> Vec<u8> {
        fn join<const N: usize>(records: impl Iterator<Item = [u8; N]>) -> Vec<u8> {
            records.flatten().collect()
        }
        let tables = [
            (
                Table::Threads,
                join(self.threads.iter().map(Thread::to_bytes)),
            ),
            (Table::Nodes, join(self.nodes.iter().map(Node::to_bytes))),
            (Table::Stacks, join(self.stacks.iter().map(Stack::to_bytes))),
            (
                Table::Further,
                join(self.further.iter().map(Further::to_bytes)),
            ),
            (
                Table::Modules,
                join(self.modules.iter().map(Module::to_bytes)),
            ),
            (Table::Strings, self.strings.clone()),
            (
                Table::Timeline,
                join(self.timeline.iter().map(Point::to_bytes)),
            ),
            (
                Table::Functions,
                join(self.functions.iter().map(Function::to_bytes)),
            ),
            (Table::Shares, join(self.shares.iter().map(Share::to_bytes))),
            (Table::Lines, join(self.lines.iter().map(Line::to_bytes))),
            (Table::Sources, self.sources.clone()),
            (
                Table::Contexts,
                join(self.contexts.iter().map(Context::to_bytes)),
            ),
            (
                Table::ContextSets,
                join(self.context_sets.iter().map(ContextSet::to_bytes)),
            ),
            (Table::Heaps, join(self.heaps.iter().map(Heap::to_bytes))),
            (
                Table::Snapshots,
                join(self.snapshots.iter().map(Snapshot::to_bytes)),
            ),
            (Table::Ages, join(self.ages.iter().map(Age::to_bytes))),
            (
                Table::Cohorts,
                join(self.cohorts.iter().map(Cohort::to_bytes)),
            ),
            (
                Table::Processes,
                join(self.processes.iter().map(Process::to_bytes)),
            ),
        ];
        let mut directory = Vec::new();
        let mut chunks = Vec::new();
        for (table, bytes) in &tables {
            for chunk in bytes.chunks(CHUNK_LEN) {
                directory.push(*table as u8);
                chunks.extend_from_slice(chunk);
                chunks.resize(directory.len() * CHUNK_LEN, 0);
            }
        }
        let header = Header {
            chunk_count: directory.len() as u64,
            thread_count: self.threads.len() as u64,
            node_count: self.nodes.len() as u64,
            stack_count: self.stacks.len() as u64,
            further_count: self.further.len() as u64,
            module_count: self.modules.len() as u64,
            string_bytes: self.strings.len() as u64,
            timeline_count: self.timeline.len() as u64,
            function_count: self.functions.len() as u64,
            share_count: self.shares.len() as u64,
            line_count: self.lines.len() as u64,
            source_bytes: self.sources.len() as u64,
            context_count: self.contexts.len() as u64,
            context_set_count: self.context_sets.len() as u64,
            heap_count: self.heaps.len() as u64,
            snapshot_count: self.snapshots.len() as u64,
            age_count: self.ages.len() as u64,
            cohort_count: self.cohorts.len() as u64,
            process_count: self.processes.len() as u64,
            ..self.header
        };
        let mut bytes = header.to_bytes().to_vec();
        bytes.resize(SIZES_AT, 0);
        bytes.extend(self.sizes.iter().flat_map(SizeClass::to_bytes));
        bytes.resize(DIRECTORY_AT, 0);
        bytes.extend(directory);
        bytes.resize(HEADER_LEN, 0);
        bytes.extend(chunks);
        bytes
    }

    /// The profile's bytes, as [`parse`](super::parse) wants them.
    pub fn to_input(&self) -> Cursor<Vec<u8>> {
        Cursor::new(self.to_bytes())
    }
}
