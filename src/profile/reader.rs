//! Reads a profile with ordinary reads, every offset checked, from a file that may be live, cut off
//! or hostile.
//!
//! A live file grows while it is read. So what refers is read before what it refers to (shares,
//! then their lines and functions; cohorts and threads, then stacks, then nodes, then modules, then
//! strings), and each table is read by a header read just before it: whatever a record points to is
//! then there.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use profiler_alloc_format as format;
use profiler_alloc_format::heaps::MAX_NAME_LEN;
use profiler_alloc_format::{
    CHUNK_LEN, DIRECTORY_AT, HEADER_LEN, Header, MAGIC, MAX_CHUNKS, SIZE_CLASSES, SIZES_AT,
    SizeClass, Table, VERSION,
};

use super::heaps::{self, Part};
use super::processes::test_of;
use super::{
    Contexts, Counters, Course, Frame, Heap, Module, Moments, Node, NodeId, Profile,
    ProfiledFunction, ProfiledProcess, ReadError, Stack, StackSpan, State, Thread, Totals, Touched,
    accounts, course, exact, moments, timeline,
};
use crate::defect::Defect;
use crate::system;

/// No recorder writes more of a table; what a file claims beyond that is not read.
fn most_bytes(table: Table, is_merged: bool) -> u64 {
    match table {
        Table::Sources => super::sources::MOST_BYTES,
        Table::Heaps | Table::Snapshots => CHUNK_LEN as u64,
        Table::Nodes | Table::Stacks | Table::Further | Table::Strings if is_merged => {
            super::write::MOST_BYTES
        }
        Table::Threads | Table::Modules | Table::Strings | Table::Timeline => 4 << 20,
        _ => 24 << 20,
    }
}

/// Reads the profile in the file at `path`.
pub fn read(path: &Path) -> Result<(Profile, Vec<Defect>), ReadError> {
    let unreadable = |error| ReadError::Unreadable {
        path: path.to_owned(),
        error,
    };
    // Looked at before it is opened: opening a pipe waits for its other end.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(ReadError::NotAFile {
            path: path.to_owned(),
        });
    }
    parse(path, File::open(path).map_err(unreadable)?)
}

/// Reads a profile from `input`, which errors call `path`.
pub fn parse(path: &Path, input: impl Read + Seek) -> Result<(Profile, Vec<Defect>), ReadError> {
    let mut reader = Reader {
        path,
        input,
        page: Vec::new(),
        defects: Vec::new(),
    };
    let profile = reader.profile()?;
    Ok((profile, reader.defects))
}

/// Stacks, and what else is known of them, by their numbers.
type StackRecords<'a> = (
    &'a [format::Stack],
    &'a [format::Further],
    &'a [format::StackSpan],
    &'a [format::Touched],
);

struct Reader<'a, R> {
    path: &'a Path,
    input: R,
    /// The bytes before the first chunk: header, size histogram, directory.
    page: Vec<u8>,
    defects: Vec<Defect>,
}

impl<R: Read + Seek> Reader<'_, R> {
    fn profile(&mut self) -> Result<Profile, ReadError> {
        self.read_page()?;
        self.check_page()?;
        let header = self.header();
        let sizes = self.sizes();
        self.report_unknown_chunks();

        let shares = self.records(Table::Shares, |h| h.share_count)?;
        let lines = self.records(Table::Lines, |h| h.line_count)?;
        let functions = self.records(Table::Functions, |h| h.function_count)?;
        // Stacks refer to peaks that were, nodes to heaps that are, cohorts to snapshots that were
        // and are: what is missing is said once.
        let known = self.defects.clone();
        let heaps_before = self.records(Table::Heaps, |h| h.heap_count)?;
        let snapshots_before = self.records(Table::Snapshots, |h| h.snapshot_count)?;
        self.defects = known;
        let cohorts = self.records(Table::Cohorts, |h| h.cohort_count)?;
        let ages = self.records(Table::Ages, |h| h.age_count)?;
        let threads = self.records(Table::Threads, |h| h.thread_count)?;
        let stacks = self.records(Table::Stacks, |h| h.stack_count)?;
        let further = self.records(Table::Further, |h| h.further_count)?;
        let spans = self.records(Table::Spans, |h| h.span_count)?;
        let touched = self.records(Table::Touched, |h| h.touched_count)?;
        let snapshots = self.records(Table::Snapshots, |h| h.snapshot_count)?;
        let context_sets = self.records(Table::ContextSets, |h| h.context_set_count)?;
        // Each table's header is read before its records: this one is newer than what the stacks
        // of a running program say of their past.
        let header_after = self.header();
        let contexts = self.records(Table::Contexts, |h| h.context_count)?;
        let nodes = self.records(Table::Nodes, |h| h.node_count)?;
        let heaps = self.records(Table::Heaps, |h| h.heap_count)?;
        let modules = self.records(Table::Modules, |h| h.module_count)?;
        let processes: Vec<format::Process> =
            self.records(Table::Processes, |h| h.process_count)?;
        let strings = self.bytes(Table::Strings, 1, |h| h.string_bytes)?;
        let timeline = self.records(Table::Timeline, |h| h.timeline_count)?;
        let accounts = self.records(Table::Accounts, |h| h.account_count)?;
        let sources = self.bytes(Table::Sources, 1, |h| h.source_bytes)?;

        let mut nodes = self.nodes(&nodes);
        let heap_of = heaps::of_nodes(&nodes);
        fold_last_paths(&mut nodes, &threads, |node| in_use(&heaps, &heap_of, node));
        let ticks = match further.is_empty() || header.process_count > 0 {
            true => 0,
            false => course::ticks(&header_after),
        };
        let peaks = Peaks {
            main: header.peak_epoch,
            heaps: &heaps_before,
            heap_of: &heap_of,
        };
        let moments = moments::MomentRecords {
            snapshots: [&snapshots_before, &snapshots],
            ages: &ages,
            cohorts: &cohorts,
            stacks: &stacks,
        };
        let moments = self.moments(&moments, &strings);
        let (stacks, unattributed) =
            self.stacks((&stacks, &further, &spans, &touched), &peaks, ticks);
        let contexts = self.contexts(&contexts, &context_sets, &strings);
        let set_count = contexts.sets.len();
        let mut main = Part {
            nodes,
            stacks,
            unattributed,
        };
        let heaps = self.heaps(&mut main, (&heaps, &heap_of), set_count, &strings);
        let nowhere = main.take_contexts_out(set_count);
        self.report_contexts(nowhere);
        let mut profile = Profile {
            header,
            sizes,
            threads: self::threads(&threads),
            nodes: main.nodes,
            stacks: main.stacks,
            heaps,
            of_heap: None,
            moments,
            shown: None,
            contexts,
            unattributed: main.unattributed,
            modules: Vec::new(),
            timeline: Vec::new(),
            accounts: accounts::in_order(&accounts),
            waypoints: course::times(ticks),
            own: text(&strings, header.own_at, header.own_len),
            functions: Vec::new(),
            sources: super::sources::parse(&sources),
            test: test_of(&header, |at, len| text(&strings, at, len)),
            processes: self::processes(&processes, &strings),
        };
        profile.functions = self.functions(exact::Records {
            functions: &functions,
            shares: &shares,
            lines: &lines,
            threads: &threads,
            strings: &strings,
            heap: (profile.state() != State::Finished).then(|| profile.heap()),
        });
        profile.modules = self.modules(&modules, &strings);
        profile.timeline = self.timeline(&timeline);
        if profile.is_merged() {
            self.defects.extend(profile.defects_of_processes());
        } else {
            self.report_foreign_frees(&profile);
            self.report_dynamic_std(&profile);
        }
        Ok(profile)
    }

    /// Only at the end: while threads run, the frees of one may be read before the allocations of
    /// another, and so does the timeline see them. And only of a recording that began with the
    /// program: where one begins while threads run, a thread that has not joined it yet may take a
    /// block of 54 KiB after the heap in use was looked at, and free it once it has.
    fn report_foreign_frees(&mut self, profile: &Profile) {
        let has_ended = matches!(profile.state(), State::Finished | State::Exited);
        let is_whole = profile.header.heap_base == 0;
        if has_ended && is_whole && profile.heap() < 0 {
            let bytes = profile.heap().unsigned_abs();
            self.defects.push(Defect::HeapBelowZero { bytes });
        }
    }

    /// `libstd-8f8d5e1b2c3a4f5e.so`, in a program built with `-C prefer-dynamic`.
    fn report_dynamic_std(&mut self, profile: &Profile) {
        let is_std = |name: &String| name.starts_with("libstd-") && name.ends_with(".so");
        let library = profile.modules.iter().map(Module::name).find(is_std);
        (self.defects).extend(library.map(|library| Defect::StdDynamic { library }));
    }

    fn unreadable(&self, error: io::Error) -> ReadError {
        ReadError::Unreadable {
            path: self.path.to_owned(),
            error,
        }
    }

    /// Reads at most `len` bytes from offset `at`; fewer at the end of the file.
    fn read_at(&mut self, at: u64, len: usize, into: &mut Vec<u8>) -> Result<usize, ReadError> {
        self.input
            .seek(SeekFrom::Start(at))
            .and_then(|_| (&mut self.input).take(len as u64).read_to_end(into))
            .map_err(|error| self.unreadable(error))
    }

    fn read_page(&mut self) -> Result<(), ReadError> {
        let mut page = Vec::with_capacity(HEADER_LEN);
        self.read_at(0, HEADER_LEN, &mut page)?;
        self.page = page;
        Ok(())
    }

    fn check_page(&self) -> Result<(), ReadError> {
        let path = self.path.to_owned();
        let page = &self.page;
        if page.is_empty() {
            return Err(ReadError::Empty { path });
        }
        let magic = MAGIC.to_le_bytes();
        let shared = page.len().min(magic.len());
        if page[..shared] != magic[..shared] {
            // The recorder writes the magic last: zeros there are a recording that never began.
            return Err(if page.iter().all(|&byte| byte == 0) {
                ReadError::Empty { path }
            } else {
                ReadError::NotAProfile { path }
            });
        }
        if page.len() < HEADER_LEN {
            let len = page.len();
            return Err(ReadError::Truncated { path, len });
        }
        match self.header().version {
            VERSION => Ok(()),
            found => Err(ReadError::WrongVersion { path, found }),
        }
    }

    fn header(&self) -> Header {
        Header::from_bytes(&first(&self.page))
    }

    fn sizes(&self) -> Vec<SizeClass> {
        (0..SIZE_CLASSES)
            .map(|class| {
                SizeClass::from_bytes(&first(&self.page[SIZES_AT + class * SizeClass::LEN..]))
            })
            .collect()
    }

    fn directory(&self) -> &[u8] {
        let chunks = self.header().chunk_count.min(MAX_CHUNKS as u64) as usize;
        &self.page[DIRECTORY_AT..DIRECTORY_AT + chunks]
    }

    /// The chunks missing from all tables are one defect.
    fn report_cut_off(&mut self, missing: u64) {
        let known = self.defects.iter_mut().find_map(|defect| match defect {
            Defect::ChunksCutOff { chunks } => Some(chunks),
            _ => None,
        });
        match known {
            Some(chunks) => *chunks += missing,
            None => self.defects.push(Defect::ChunksCutOff { chunks: missing }),
        }
    }

    fn report_unknown_chunks(&mut self) {
        // Zero is a chunk about to be given to a table.
        let unknown = |&&byte: &&u8| byte != 0 && Table::from_byte(byte).is_none();
        let in_directory = self.directory().iter().filter(unknown).count() as u64;
        let beyond = self.header().chunk_count.saturating_sub(MAX_CHUNKS as u64);
        let chunks = in_directory.saturating_add(beyond);
        if chunks > 0 {
            self.defects.push(Defect::ChunksUnknown { chunks });
        }
    }

    /// The bytes of `table`, whole records of `record_len` bytes, no more than the header counts.
    fn bytes(
        &mut self,
        table: Table,
        record_len: usize,
        count: fn(&Header) -> u64,
    ) -> Result<Vec<u8>, ReadError> {
        self.read_page()?;
        // A file that became shorter since it was checked has nothing more to give.
        self.page.resize(HEADER_LEN, 0);
        let chunks: Vec<usize> = (self.directory().iter().enumerate())
            .filter(|&(_, &byte)| byte == table as u8)
            .map(|(chunk, _)| chunk)
            .collect();
        let counted = count(&self.header());
        let wanted = (counted.saturating_mul(record_len as u64))
            .min(most_bytes(table, self.header().process_count > 0));

        let mut bytes = Vec::new();
        for (i, &chunk) in chunks.iter().enumerate() {
            if bytes.len() as u64 >= wanted {
                break;
            }
            let at = HEADER_LEN + chunk * CHUNK_LEN;
            // Chunks are in file order, so after a short one comes nothing.
            if self.read_at(at as u64, CHUNK_LEN, &mut bytes)? < CHUNK_LEN {
                self.report_cut_off((chunks.len() - i) as u64);
                break;
            }
        }
        let held = (bytes.len() / record_len) as u64;
        if counted > held {
            let records = counted - held;
            self.defects.push(Defect::RecordsMissing { table, records });
        }
        bytes.truncate(counted.min(held) as usize * record_len);
        Ok(bytes)
    }

    fn records<T: Record>(
        &mut self,
        table: Table,
        count: fn(&Header) -> u64,
    ) -> Result<Vec<T>, ReadError> {
        let bytes = self.bytes(table, T::LEN, count)?;
        Ok(bytes.chunks_exact(T::LEN).map(T::decode).collect())
    }

    fn nodes(&mut self, records: &[format::Node]) -> Vec<Node> {
        let mut dropped = 0;
        let mut nodes = Vec::with_capacity(records.len().max(1));
        nodes.push(Node::ROOT);
        for (number, record) in records.iter().enumerate().skip(1) {
            let in_order = (record.parent as usize) < number;
            dropped += u64::from(!in_order);
            let known = in_order && record.frame != 0;
            nodes.push(Node {
                parent: if in_order { record.parent } else { 0 },
                frame: known.then(|| Frame::from_bits(record.frame)),
                heap_after: (known && record.heap_after != 0)
                    .then(|| (record.heap_after as i64).wrapping_sub(1)),
            });
        }
        if dropped > 0 {
            self.defects.push(Defect::NodesDropped { nodes: dropped });
        }
        nodes
    }

    fn stacks(
        &mut self,
        (records, further, spans, touched): StackRecords<'_>,
        peaks: &Peaks<'_>,
        ticks: u64,
    ) -> (Vec<Stack>, Totals) {
        let mut stacks = Vec::with_capacity(records.len());
        let mut unattributed = Totals::default();
        let (mut dropped, mut damaged) = (0, 0);
        for (number, record) in records.iter().enumerate() {
            let further = further.get(number);
            let peak_epoch = peaks.of(record.node);
            let (totals, bad_variances) = Totals::from_record(record, further, peak_epoch);
            let (course, bad_waypoints) = Course::of(record, further, ticks);
            damaged += bad_variances + bad_waypoints;
            let missing = record.node as usize >= peaks.heap_of.len();
            if record.node != 0 && !missing {
                stacks.push(Stack {
                    number: number as u32,
                    node: record.node,
                    contexts: 0,
                    totals,
                    course,
                    span: spans.get(number).and_then(StackSpan::of),
                    touched: touched.get(number).and_then(Touched::of),
                });
                continue;
            }
            // Number 0 is "other". Any other without a node is being made, and empty, or damaged.
            dropped += u64::from(missing || (number > 0 && !totals.is_empty()));
            unattributed.add(&totals);
        }
        if dropped > 0 {
            self.defects.push(Defect::StacksDropped { stacks: dropped });
        }
        if damaged > 0 {
            self.defects
                .push(Defect::VariancesDropped { figures: damaged });
        }
        (stacks, unattributed)
    }

    fn moments(&mut self, records: &moments::MomentRecords<'_>, strings: &[u8]) -> Moments {
        let (moments, damaged) = Moments::of(records, |at, len| text(strings, at, len));
        if damaged > 0 {
            let records = damaged;
            self.defects.push(Defect::MomentsDropped { records });
        }
        moments
    }

    fn contexts(
        &mut self,
        records: &[format::Context],
        sets: &[format::ContextSet],
        strings: &[u8],
    ) -> Contexts {
        let text = |at, len| text(strings, at, len);
        let (contexts, damaged) = Contexts::of(records, sets, text);
        self.report_contexts(damaged);
        contexts
    }

    /// The heaps beside the main one, whose stacks are taken out of `main`.
    fn heaps(
        &mut self,
        main: &mut Part,
        (records, heap_of): (&[format::Heap], &[usize]),
        set_count: usize,
        strings: &[u8],
    ) -> Vec<Heap> {
        if heap_of.iter().all(|&heap| heap == 0) && records.is_empty() {
            return Vec::new();
        }
        let (parts, mut damaged) = heaps::take_out(main, heap_of, records.len());
        let mut found = Vec::new();
        for (record, mut part) in records.iter().zip(parts).skip(1) {
            let nowhere = part.take_contexts_out(set_count);
            self.report_contexts(nowhere);
            // No recorder writes longer ones, and many records may claim the same long text.
            let len = record.name_len.min(MAX_NAME_LEN as u32);
            let name = text(strings, record.name_at, len);
            damaged += u64::from(record.name_len != 0 && name.is_empty());
            found.extend(Heap::of(record, name, part).filter(|heap| !heap.name.is_empty()));
        }
        if damaged > 0 {
            self.defects.push(Defect::HeapsDropped { records: damaged });
        }
        found
    }

    fn report_contexts(&mut self, damaged: u64) {
        if damaged > 0 {
            let records = damaged;
            self.defects.push(Defect::ContextsDropped { records });
        }
    }

    /// The modules. Each path has bytes of its own, so all together are no longer than the strings.
    fn modules(&mut self, records: &[format::Module], strings: &[u8]) -> Vec<Module> {
        let mut dropped = 0;
        let mut left = strings.len();
        let modules = (records.iter().enumerate())
            .map(|(number, record)| {
                let (start, len) = (record.path_at as usize, record.path_len as usize);
                let path = strings.get(start..start.saturating_add(len));
                let path = path.filter(|path| path.len() <= left);
                left -= path.map_or(0, <[u8]>::len);
                dropped += u64::from(path.is_none());
                let mut build_id: Vec<u8> =
                    (record.build_id.iter().flat_map(|part| part.to_le_bytes())).collect();
                build_id.truncate(record.build_id_len as usize);
                Module {
                    path: system::path(path.unwrap_or_default()),
                    build_id,
                    modified_ns: record.modified_ns,
                    file_len: record.file_len,
                    is_program: number == 0 || record.flags & format::MODULE_IS_PROGRAM != 0,
                }
            })
            .collect();
        if dropped > 0 {
            self.defects.push(Defect::PathsDropped { modules: dropped });
        }
        modules
    }

    fn functions(&mut self, records: exact::Records<'_>) -> Vec<ProfiledFunction> {
        let (functions, damaged) = records.assemble();
        if damaged > 0 {
            let records = damaged;
            self.defects.push(Defect::ExactRecordsDropped { records });
        }
        functions
    }

    fn timeline(&mut self, records: &[format::Point]) -> Vec<format::Point> {
        let (points, dropped) = timeline::in_order(records);
        if dropped > 0 {
            self.defects.push(Defect::PointsDropped { points: dropped });
        }
        points
    }
}

/// A thread has not left the line it is in, so what that line and its callers' lines left behind is
/// not in the nodes yet: it is the heap after the thread's last sample. One walk over the nodes
/// serves all threads, however deep they are.
fn fold_last_paths(
    nodes: &mut [Node],
    threads: &[format::Thread],
    in_use: impl Fn(NodeId) -> Option<i64>,
) {
    let mut heaps: Vec<Option<i64>> = vec![None; nodes.len()];
    for thread in threads.iter().filter(|thread| thread.sequence != 0) {
        if let Some(heap) = heaps.get_mut(thread.last_node as usize) {
            *heap = (*heap).max(Some(thread.last_heap as i64));
        }
    }
    for node in threads.iter().map(|thread| thread.last_heaps_node) {
        if let Some((heap, in_use)) = heaps.get_mut(node as usize).zip(in_use(node)) {
            *heap = (*heap).max(Some(in_use));
        }
    }
    // Parents come before children, so a node has heard from all below it when its turn comes.
    for number in (1..nodes.len()).rev() {
        let (heap, node) = (heaps[number], &mut nodes[number]);
        node.heap_after = node.heap_after.max(heap);
        let above = &mut heaps[node.parent as usize];
        *above = (*above).max(heap);
    }
}

/// What the heap has in use that a node stands below; `None` of the main one.
fn in_use(heaps: &[format::Heap], heap_of: &[usize], node: NodeId) -> Option<i64> {
    let heap = *heap_of.get(node as usize)?;
    let record = heaps.get(heap).filter(|_| heap != 0)?;
    let change = record.alloc_bytes.wrapping_sub(record.freed_bytes);
    Some(record.base.wrapping_add(change) as i64)
}

/// The number of the current peak of each heap.
struct Peaks<'a> {
    main: u64,
    heaps: &'a [format::Heap],
    /// The heap of each node.
    heap_of: &'a [usize],
}

impl Peaks<'_> {
    /// Of the heap that a node stands below.
    fn of(&self, node: NodeId) -> u64 {
        match self.heap_of.get(node as usize) {
            None | Some(0) => self.main,
            Some(&heap) => self.heaps.get(heap).map_or(0, |heap| heap.peak_epoch),
        }
    }
}

/// The profiles that were merged. Each name has bytes of its own, as [`Reader::modules`] says.
fn processes(records: &[format::Process], strings: &[u8]) -> Vec<ProfiledProcess> {
    let left = std::cell::Cell::new(strings.len());
    let own_text = |at, len: u32| match left.get().checked_sub(len as usize) {
        Some(rest) => {
            left.set(rest);
            text(strings, at, len)
        }
        None => String::new(),
    };
    let of = |record| ProfiledProcess::from_record(record, own_text);
    records.iter().map(of).collect()
}

fn threads(records: &[format::Thread]) -> Vec<Thread> {
    (records.iter())
        .map(|record| {
            let name = record.name_bytes();
            let len = name
                .iter()
                .position(|&byte| byte == 0)
                .unwrap_or(name.len());
            Thread {
                name: String::from_utf8_lossy(&name[..len]).into_owned(),
                tid: record.tid,
                running: record.state == format::THREAD_TAKEN,
                counters: Counters {
                    allocs: record.allocs,
                    frees: record.frees,
                    reallocs: record.reallocs,
                    alloc_bytes: record.alloc_bytes,
                    freed_bytes: record.freed_bytes,
                },
                own_alloc_bytes: record.alloc_bytes.wrapping_sub(record.start_alloc_bytes),
                own_freed_bytes: record.freed_bytes.wrapping_sub(record.start_freed_bytes),
                frame_pointer_walks: record.frame_pointer_walks,
                table_walks: record.table_walks,
            }
        })
        .collect()
}

/// The text at `at`; empty if it is not all there.
fn text(strings: &[u8], at: u32, len: u32) -> String {
    let end = (at as usize).saturating_add(len as usize);
    let bytes = strings.get(at as usize..end).unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}

/// A record that a table holds, of fixed length.
trait Record {
    const LEN: usize;
    /// Decodes exactly `LEN` bytes.
    fn decode(bytes: &[u8]) -> Self;
}

macro_rules! record {
    ($($record:ident)*) => {$(
        impl Record for format::$record {
            const LEN: usize = format::$record::LEN;
            fn decode(bytes: &[u8]) -> Self {
                Self::from_bytes(&first(bytes))
            }
        }
    )*};
}
record!(Account Age Cohort Context ContextSet Heap Snapshot Thread Node Stack StackSpan Touched Further Module Point Function Share Line Process);

/// The first `N` bytes of `bytes`, which has as many.
fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[..N]);
    array
}
