//! A profile's tables as the bytes of a file: what was merged can be kept, and every view reads it.
//!
//! The contexts and the heaps go back into the trie, above the outermost frames, where the reader
//! found them.

use std::collections::HashMap;

use profiler_alloc_format as format;
use profiler_alloc_format::contexts::Shard;
use profiler_alloc_format::heaps::{KIND_MAPPED, KIND_NAMED};
use profiler_alloc_format::processes::{PHASE_LIST, PHASE_NONE, PHASE_RUN, PRELOADED};
use profiler_alloc_format::{
    Frame, MODULE_IS_PROGRAM, NEVER, STATE_EXITED, STATE_FINISHED, STATE_PAUSED, STATE_RECORDING,
    THREAD_FREE, THREAD_TAKEN,
};

use super::builder::Builder;
use super::heaps::Part;
use super::{
    Context, Heap, HeapKind, Module, NodeId, Profile, ProfiledFunction, ProfiledProcess, Stack,
    State, Test, Thread, Totals,
};

/// Most bytes of a table of stacks that are written and read: some 400,000 stacks.
pub(super) const MOST_BYTES: u64 = 64 << 20;
/// Bytes kept of what is wrong with one file.
const MOST_FAULTS: usize = 1024;
/// The number of the only peak.
const PEAK: u64 = 1;

impl Profile {
    /// The bytes of a file that is read as this profile. Waypoints and spans are left out, as a
    /// merged profile has none; of stacks that are too many for a file, those that hold least are
    /// counted as not attributed, and as lost.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new(self);
        for (number, module) in self.modules.iter().enumerate() {
            writer.module(number, module);
        }
        for context in &self.contexts.all {
            writer.context(context);
        }
        for set in self.contexts.sets.iter().skip(1) {
            writer.context_set(set);
        }
        writer.stacks(self);
        for thread in &self.threads {
            writer.builder.threads.push(thread_record(thread));
        }
        for function in &self.functions {
            writer.function(function);
        }
        for process in &self.processes {
            writer.process(process);
        }
        writer.builder.to_bytes()
    }
}

struct Writer {
    builder: Builder,
    /// Where text stands that was written before.
    strings: HashMap<Vec<u8>, (u32, u32)>,
}

impl Writer {
    fn new(profile: &Profile) -> Writer {
        let mut builder = Builder::new();
        builder.header = format::Header {
            peak_epoch: PEAK,
            inode: 0,
            span_count: 0,
            ..profile.header
        };
        builder.threads.clear();
        builder.sizes.clone_from(&profile.sizes);
        builder
            .sizes
            .resize(format::SIZE_CLASSES, format::SizeClass::empty());
        builder.timeline = profile.timeline.clone();
        // In the file, 0 is a point that is being made.
        for point in &mut builder.timeline {
            point.time_ns = point.time_ns.saturating_add(1);
        }
        builder.sources = super::sources::text(&profile.sources).into_bytes();
        let mut writer = Writer {
            builder,
            strings: HashMap::new(),
        };
        let (at, len) = writer.string(profile.own.as_bytes());
        (writer.builder.header.own_at, writer.builder.header.own_len) = (at, len);
        writer
    }

    /// Where `text` stands. What has no room is left out: it is a name, and no figure.
    fn string(&mut self, text: &[u8]) -> (u32, u32) {
        if let Some(&place) = self.strings.get(text) {
            return place;
        }
        if (self.builder.strings.len() + text.len()) as u64 > MOST_BYTES {
            return (0, 0);
        }
        let place = (self.builder.strings.len() as u32, text.len() as u32);
        self.builder.strings.extend_from_slice(text);
        self.strings.insert(text.to_vec(), place);
        place
    }

    /// The same where each reader wants bytes of its own.
    fn own_string(&mut self, text: &[u8]) -> (u32, u32) {
        self.strings.remove(text);
        self.string(text)
    }

    fn module(&mut self, number: usize, module: &Module) {
        let path = module.path.as_os_str().as_encoded_bytes();
        let (path_at, path_len) = self.own_string(path);
        let mut build_id = [0; 32];
        let len = module.build_id.len().min(build_id.len());
        build_id[..len].copy_from_slice(&module.build_id[..len]);
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(build_id.chunks_exact(8)) {
            *word = u64::from_le_bytes(std::array::from_fn(|at| bytes[at]));
        }
        self.builder.modules.push(format::Module {
            start: number as u64 + 1,
            path_at,
            path_len,
            build_id: words,
            build_id_len: len as u32,
            flags: if module.is_program {
                MODULE_IS_PROGRAM
            } else {
                0
            },
            modified_ns: module.modified_ns,
            file_len: module.file_len,
            ..format::Module::empty()
        });
    }

    fn context(&mut self, context: &Context) {
        let (key_at, key_len) = self.string(context.key.as_bytes());
        let (value_at, value_len) = self.string(context.value.as_bytes());
        let mut record = format::Context {
            key_at,
            key_len,
            value_at,
            value_len,
            most: context.most_in_entry,
            is_other: context.is_other.into(),
            ..format::Context::empty()
        };
        // All in the first of the parts that are added up.
        for (word, count) in [
            (Shard::AllocBytes, context.alloc_bytes),
            (Shard::Allocs, context.allocs),
            (Shard::FreedBytes, context.freed_bytes),
            (Shard::Frees, context.frees),
            (Shard::Entries, context.entries),
        ] {
            record.counts[word as usize] = count;
        }
        for (class, &entries) in context.entry_classes.iter().enumerate() {
            record.entries[class / 2] |= u64::from(entries) << (32 * (class % 2));
        }
        self.builder.contexts.push(record);
    }

    fn context_set(&mut self, set: &[usize]) {
        let mut record = format::ContextSet::empty();
        for (at, &id) in set.iter().take(2 * record.contexts.len()).enumerate() {
            // Number 0 is none.
            record.contexts[at / 2] |= (id as u64 + 1) << (32 * (at % 2));
        }
        self.builder.context_sets.push(record);
    }

    /// The stacks of all heaps, those that hold most if they are too many.
    fn stacks(&mut self, profile: &Profile) {
        let main = (&profile.nodes, &profile.stacks, profile.unattributed);
        let parts = profile.heaps.iter().map(|heap| {
            let Part {
                nodes,
                stacks,
                unattributed,
            } = &heap.part;
            (nodes, stacks, *unattributed)
        });
        let parts: Vec<_> = [main].into_iter().chain(parts).collect();
        let count: usize = parts.iter().map(|(_, stacks, _)| stacks.len()).sum();
        let room = MOST_BYTES as usize / format::Stack::LEN - parts.len();
        let least = match count.checked_sub(room) {
            None | Some(0) => i64::MIN,
            Some(lost) => {
                let all = parts.iter().flat_map(|(_, stacks, _)| stacks.iter());
                let mut held: Vec<i64> = all.map(|stack| holds(&stack.totals)).collect();
                *held.select_nth_unstable(lost).1
            }
        };
        for heap in &profile.heaps {
            self.heap(heap);
        }
        let mut left = room;
        for (heap, (nodes, stacks, mut unattributed)) in parts.into_iter().enumerate() {
            // Nodes of the file by heap, contexts and node of the profile.
            let mut written: HashMap<(usize, NodeId), u32> = HashMap::new();
            for stack in stacks {
                let is_kept = holds(&stack.totals) >= least && left > 0;
                if !is_kept {
                    unattributed.add(&stack.totals);
                    let lost = &mut self.builder.header.lost_stacks;
                    *lost = lost.saturating_add(stack.totals.alloc_samples.max(1));
                    continue;
                }
                left -= 1;
                let node = self.path(heap, stack, nodes, &mut written);
                self.stack(node, stack);
            }
            let root = match heap {
                0 => 0,
                heap => self.builder.node(&[Frame::heap(heap as u32)]),
            };
            self.unattributed(root, &unattributed);
        }
    }

    /// The node of the file at which a stack ends; those that it goes through are made if need be.
    fn path(
        &mut self,
        heap: usize,
        stack: &Stack,
        nodes: &[super::Node],
        written: &mut HashMap<(usize, NodeId), u32>,
    ) -> u32 {
        let mut missing = Vec::new();
        let mut at = stack.node;
        let mut node = loop {
            if let Some(&known) = written.get(&(stack.contexts, at)) {
                break known;
            }
            if at == 0 {
                let mut above = Vec::new();
                if stack.contexts != 0 {
                    above.push(Frame::contexts(stack.contexts as u32));
                }
                if heap != 0 {
                    above.push(Frame::heap(heap as u32));
                }
                let root = self.builder.node(&above);
                written.insert((stack.contexts, 0), root);
                break root;
            }
            missing.push(at);
            at = nodes[at as usize].parent;
        };
        for number in missing.into_iter().rev() {
            let from = &nodes[number as usize];
            self.builder.nodes.push(format::Node {
                parent: node,
                frame: from.frame.map_or(0, Frame::to_bits),
                heap_after: from
                    .heap_after
                    .map_or(0, |heap| heap.wrapping_add(1) as u64),
                ..format::Node::empty()
            });
            node = self.builder.nodes.len() as u32 - 1;
            written.insert((stack.contexts, number), node);
        }
        node
    }

    fn stack(&mut self, node: u32, stack: &Stack) {
        let (mut record, further) = records(&stack.totals);
        record.node = node;
        if let Some(taken) = stack.course.taken {
            let ms = taken.first_ns / 1_000_000 + 1;
            record.first_ms = u32::try_from(ms).unwrap_or(0);
            record.last_ns = taken.last_ns.saturating_add(1);
        }
        let builder = &mut self.builder;
        if let Some(node) = builder.nodes.get_mut(node as usize) {
            node.stack = builder.stacks.len() as u32;
        }
        builder
            .further
            .resize(builder.stacks.len(), format::Further::empty());
        builder.stacks.push(record);
        builder.further.push(further);
    }

    /// What belongs to no stack: of the main heap in record 0, of another at its own node.
    fn unattributed(&mut self, root: u32, totals: &Totals) {
        if root != 0 {
            if !totals.is_empty() {
                let (record, further) = records(totals);
                let record = format::Stack {
                    node: root,
                    ..record
                };
                self.builder.stacks.push(record);
                self.builder.further.push(further);
            }
            return;
        }
        let (record, further) = records(totals);
        self.builder.stacks[0] = record;
        match self.builder.further.first_mut() {
            Some(first) => *first = further,
            None => self.builder.further.push(further),
        }
    }

    fn heap(&mut self, heap: &Heap) {
        let (name_at, name_len) = self.string(heap.name.as_bytes());
        let counters = &heap.counters;
        self.builder.heaps.push(format::Heap {
            name_at,
            name_len,
            kind: match heap.kind {
                HeapKind::Mapped => KIND_MAPPED,
                HeapKind::Main | HeapKind::Named => KIND_NAMED,
            },
            base: heap.base as u64,
            alloc_bytes: counters.alloc_bytes,
            allocs: counters.allocs,
            freed_bytes: counters.freed_bytes,
            frees: counters.frees,
            reallocs: counters.reallocs,
            peak: heap.peak as u64,
            peak_ns: heap.peak_ns,
            peak_epoch: PEAK,
            lost_frees: heap.lost_frees,
            lost_mappings: heap.lost_mappings,
            ..format::Heap::empty()
        });
    }

    fn function(&mut self, function: &ProfiledFunction) {
        let (name_at, name_len) = self.own_string(function.name.as_bytes());
        let (file_at, file_len) = self.own_string(function.file.as_bytes());
        let (folder_at, folder_len) = self.own_string(function.folder.as_bytes());
        let source = function.source.clone().unwrap_or_default();
        let (source_at, source_len) = self.own_string(source.as_bytes());
        let time = |ns: Option<u64>| ns.map_or(0, |ns| ns.saturating_add(1));
        let builder = &mut self.builder;
        let number = builder.functions.len() as u32 + 1;
        builder.functions.push(format::Function {
            number,
            first_line: function.first_line,
            last_line: function.last_line,
            name_at,
            name_len,
            file_at,
            file_len,
            folder_at,
            folder_len,
            source_at,
            source_len,
            source_hash: function.source_hash,
            baseline: function.baseline as u64,
            first_ns: time(function.first_ns),
            ..format::Function::empty()
        });
        builder.shares.push(format::Share {
            function: number,
            lines_at: builder.lines.len() as u32,
            line_count: function.lines.len() as u32,
            last_ns: time(function.last_ns),
            ..format::Share::empty()
        });
        builder
            .lines
            .extend(function.lines.iter().map(|line| format::Line {
                number: line.number,
                runs: line.runs,
                alloc_bytes: line.allocated,
                freed_bytes: line.freed,
                mem_usage: line.mem_usage.map_or(NEVER, |heap| heap as u64),
                ..format::Line::empty()
            }));
    }

    fn process(&mut self, process: &ProfiledProcess) {
        let mut faults = process.faults.join("\n");
        while faults.len() > MOST_FAULTS {
            faults.pop();
        }
        let (file_at, file_len) = self.own_string(process.file.as_bytes());
        let (program_at, program_len) = self.own_string(process.program.as_bytes());
        let (faults_at, faults_len) = self.own_string(faults.as_bytes());
        let none = Test {
            binary: String::new(),
            name: String::new(),
            run: String::new(),
            attempt: 0,
            is_list: false,
        };
        let test = process.test.as_ref().unwrap_or(&none);
        let (test_name_at, test_name_len) = self.own_string(test.name.as_bytes());
        let (test_binary_at, test_binary_len) = self.own_string(test.binary.as_bytes());
        let (test_run_at, test_run_len) = self.own_string(test.run.as_bytes());
        let counters = &process.counters;
        self.builder.processes.push(format::Process {
            file_at,
            file_len,
            program_at,
            program_len,
            faults_at,
            faults_len,
            test_name_at,
            test_name_len,
            test_binary_at,
            test_binary_len,
            test_run_at,
            test_run_len,
            test_attempt: test.attempt,
            test_phase: match &process.test {
                None => PHASE_NONE,
                Some(test) if test.is_list => PHASE_LIST,
                Some(_) => PHASE_RUN,
            },
            pid: process.pid,
            state: match process.state {
                State::Recording => STATE_RECORDING,
                State::Paused => STATE_PAUSED,
                State::Finished => STATE_FINISHED,
                State::Exited => STATE_EXITED,
            },
            run_id: process.run_id,
            started_unix_ns: process.started_unix_ns,
            duration_ns: process.duration_ns,
            forked_from: process.forked_from,
            gone_by: process.gone_by,
            peak: process.peak as u64,
            peak_ns: process.peak_ns,
            live: process.live as u64,
            allocs: counters.allocs,
            frees: counters.frees,
            reallocs: counters.reallocs,
            alloc_bytes: counters.alloc_bytes,
            freed_bytes: counters.freed_bytes,
            flags: if process.is_preloaded { PRELOADED } else { 0 },
            ..format::Process::empty()
        });
    }
}

/// How much a stack matters where not all have room.
fn holds(totals: &Totals) -> i64 {
    let held = totals.alloc_bytes.saturating_add(totals.freed_bytes);
    held.saturating_add(totals.peak_bytes.saturating_mul(2))
        .saturating_add(totals.live_bytes.saturating_mul(2))
}

fn records(totals: &Totals) -> (format::Stack, format::Further) {
    let record = format::Stack {
        alloc_bytes: totals.alloc_bytes as u64,
        alloc_count: totals.alloc_count.0 as u64,
        freed_bytes: totals.freed_bytes as u64,
        freed_count: totals.freed_count.0 as u64,
        live_bytes: totals.live_bytes as u64,
        live_count: totals.live_count.0 as u64,
        peak_bytes: totals.peak_bytes as u64,
        peak_count: totals.peak_count.0 as u64,
        peak_epoch: PEAK,
        temporary_bytes: totals.temporary_bytes as u64,
        temporary_count: totals.temporary_count.0 as u64,
        realloc_bytes: totals.realloc_bytes as u64,
        realloc_count: totals.realloc_count.0 as u64,
        alloc_samples: totals.alloc_samples,
        free_samples: totals.free_samples,
        alloc_variance: totals.alloc_variance.to_bits(),
        freed_variance: totals.freed_variance.to_bits(),
        live_variance: totals.live_variance.to_bits(),
        peak_variance: totals.peak_variance.to_bits(),
        ..format::Stack::empty()
    };
    let further = format::Further {
        alloc_count_variance: totals.alloc_count_variance.to_bits(),
        freed_count_variance: totals.freed_count_variance.to_bits(),
        live_count_variance: totals.live_count_variance.to_bits(),
        peak_count_variance: totals.peak_count_variance.to_bits(),
        live_bytes: [totals.live_bytes as u64; format::WAYPOINTS],
        ..format::Further::empty()
    };
    (record, further)
}

fn thread_record(thread: &Thread) -> format::Thread {
    let counters = &thread.counters;
    let mut name = [0; 16];
    for (byte, of_name) in name.iter_mut().zip(thread.name.bytes()) {
        *byte = of_name;
    }
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| name[at * 8 + byte]));
    format::Thread {
        state: match thread.running {
            true => THREAD_TAKEN,
            false => THREAD_FREE,
        },
        tid: thread.tid,
        name: [word(0), word(1)],
        allocs: counters.allocs,
        frees: counters.frees,
        reallocs: counters.reallocs,
        alloc_bytes: counters.alloc_bytes,
        freed_bytes: counters.freed_bytes,
        start_alloc_bytes: counters.alloc_bytes.wrapping_sub(thread.own_alloc_bytes),
        start_freed_bytes: counters.freed_bytes.wrapping_sub(thread.own_freed_bytes),
        frame_pointer_walks: thread.frame_pointer_walks,
        table_walks: thread.table_walks,
        ..format::Thread::empty()
    }
}
