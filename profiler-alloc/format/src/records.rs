//! The records of a profile: for each, a plain struct for readers and a struct of atomics for the
//! recorder.
//!
//! Both come from one list of fields, so they cannot disagree. Fields stand in the file in the
//! order listed, without padding. Where a field's doc says *signed*, its 64 bits are two's
//! complement.

use core::sync::atomic::{AtomicU32, AtomicU64};

use crate::waypoints::WAYPOINTS;

/// A type of field that has an atomic twin.
pub trait Field: Copy {
    /// The twin.
    type Cell;
    /// Bytes in the file.
    const LEN: usize = size_of::<Self>();
    /// The value of an empty field.
    const ZERO: Self;
    /// Its twin.
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "used once per field, to make a new cell"
    )]
    const ZERO_CELL: Self::Cell;
    /// Decodes from the front of `bytes`.
    fn get(bytes: &[u8]) -> Self;
    /// Encodes to the front of `bytes`.
    fn put(self, bytes: &mut [u8]);
}

macro_rules! field {
    ($int:ty, $cell:ty) => {
        impl Field for $int {
            type Cell = $cell;
            const ZERO: Self = 0;
            const ZERO_CELL: $cell = <$cell>::new(0);
            fn get(bytes: &[u8]) -> Self {
                let mut array = [0; size_of::<Self>()];
                array.copy_from_slice(&bytes[..size_of::<Self>()]);
                Self::from_le_bytes(array)
            }
            fn put(self, bytes: &mut [u8]) {
                bytes[..size_of::<Self>()].copy_from_slice(&self.to_le_bytes());
            }
        }
    };
}
field!(u32, AtomicU32);
field!(u64, AtomicU64);

impl<const N: usize> Field for [u64; N] {
    type Cell = [AtomicU64; N];
    const ZERO: Self = [0; N];
    #[allow(clippy::declare_interior_mutable_const, reason = "as in the trait")]
    const ZERO_CELL: Self::Cell = [const { AtomicU64::new(0) }; N];
    fn get(bytes: &[u8]) -> Self {
        core::array::from_fn(|i| u64::get(&bytes[i * u64::LEN..]))
    }
    fn put(self, bytes: &mut [u8]) {
        for (i, part) in self.into_iter().enumerate() {
            part.put(&mut bytes[i * u64::LEN..]);
        }
    }
}

macro_rules! record {
    (
        $(#[$meta:meta])*
        $Plain:ident, $Cells:ident, $len:literal {
            $( $(#[$field_meta:meta])* $field:ident: $ty:ty, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct $Plain { $( $(#[$field_meta])* pub $field: $ty, )* }

        impl $Plain {
            /// Bytes of one record.
            pub const LEN: usize = $len;

            /// A record of zeros.
            pub const fn empty() -> Self {
                Self { $( $field: <$ty as Field>::ZERO, )* }
            }

            /// Decodes one record.
            pub fn from_bytes(bytes: &[u8; $len]) -> Self {
                let mut rest = &bytes[..];
                $(
                    let $field = <$ty as Field>::get(rest);
                    rest = &rest[<$ty as Field>::LEN..];
                )*
                debug_assert!(rest.is_empty());
                Self { $($field),* }
            }

            /// Encodes one record, as the recorder would leave it in the file.
            pub fn to_bytes(&self) -> [u8; $len] {
                let mut bytes = [0; $len];
                let mut at = 0;
                $(
                    self.$field.put(&mut bytes[at..]);
                    at += <$ty as Field>::LEN;
                )*
                debug_assert_eq!(at, $len);
                bytes
            }
        }

        #[doc = concat!("A [`", stringify!($Plain), "`] in the shared file. All zero is valid.")]
        #[repr(C)]
        #[derive(Debug)]
        pub struct $Cells { $( $(#[$field_meta])* pub $field: <$ty as Field>::Cell, )* }

        impl $Cells {
            /// A record of zeros.
            pub const fn empty() -> Self {
                Self { $( $field: <$ty as Field>::ZERO_CELL, )* }
            }
        }


        const _: () = {
            assert!($len == 0 $( + <$ty as Field>::LEN )*, "fields add up to the stated length");
            assert!(size_of::<$Cells>() == $len, "no padding between fields");
        };
    };
}
pub(crate) use record;

record! {
    /// What is known of the whole recording.
    Header, HeaderCells, 648 {
        /// [`MAGIC`](crate::MAGIC).
        magic: u64,
        /// [`VERSION`](crate::VERSION).
        version: u32,
        /// One of the `STATE_*` constants.
        state: u32,
        /// Process number of the recorded program.
        pid: u32,
        /// One of the `MODE_*` constants.
        mode: u32,
        /// The value of [`env::RUN_ID`](crate::env::RUN_ID), or 0.
        run_id: u64,
        /// Start of the recording, nanoseconds since 1970 (UTC).
        started_unix_ns: u64,
        /// Nanoseconds from the start to the last thing recorded.
        updated_ns: u64,
        /// Chunks in use.
        chunk_count: u64,

        /// Sampling interval now, in bytes; 0 is exact.
        interval: u64,
        /// Widest sampling interval used so far, in bytes.
        interval_widest: u64,
        /// Time budget, in millionths of the program's CPU time.
        budget_ppm: u32,
        /// Frames kept of one stack.
        stack_depth: u32,
        /// Time grant on top of the budget, in nanoseconds.
        grant_ns: u64,

        /// Heap in use when the recording started, in bytes. *Signed.*
        heap_base: u64,
        /// Heap in use in the whole process when `updated_ns` was last written, in bytes. *Signed.*
        heap: u64,
        /// Highest heap in use since the start, in bytes. *Signed.*
        peak: u64,
        /// Time of the peak, nanoseconds since the start.
        peak_ns: u64,
        /// Number of the current peak; see [`Stack::peak_epoch`].
        peak_epoch: u64,

        /// Records in [`Table::Threads`](crate::Table::Threads).
        thread_count: u64,
        /// Records in [`Table::Nodes`](crate::Table::Nodes).
        node_count: u64,
        /// Records in [`Table::Stacks`](crate::Table::Stacks).
        stack_count: u64,
        /// Records in [`Table::Modules`](crate::Table::Modules).
        module_count: u64,
        /// Bytes in [`Table::Strings`](crate::Table::Strings).
        string_bytes: u64,
        /// Records in [`Table::Timeline`](crate::Table::Timeline).
        timeline_count: u64,
        /// Nanoseconds between two points of the timeline, doubled whenever it is thinned.
        timeline_interval_ns: u64,

        /// Time the recorder took, measured, in nanoseconds: for samples, and `unsampled_ns`.
        own_ns: u64,
        /// CPU time of the whole process when last looked at, in nanoseconds since the start.
        cpu_ns: u64,
        /// Memory the recorder holds beside the file, in bytes.
        own_bytes: u64,

        /// Loss: samples counted under "other" because a table was full.
        lost_stacks: u64,
        /// Loss: stacks whose outer end could not be walked.
        lost_outer_frames: u64,
        /// Loss: stacks so deep that their middle was left out.
        lost_middle_frames: u64,
        /// Loss: allocations and frees made while the recorder was at work in the same thread
        /// (counted, not sampled).
        lost_reentrant: u64,
        /// Loss: sampled blocks that could not be remembered, so their free is not charged to a
        /// line.
        lost_blocks: u64,
        /// Loss: frames whose address belonged to no known module.
        lost_modules: u64,
        /// Loss: threads that shared counter record 0.
        lost_threads: u64,
        /// Loss: attempts to grow the file that failed.
        lost_growth: u64,
        /// Forked children that get no profile of their own.
        forks: u64,

        /// At the end: [`Thread::allocs`] summed.
        final_allocs: u64,
        /// At the end: [`Thread::frees`] summed.
        final_frees: u64,
        /// At the end: [`Thread::reallocs`] summed.
        final_reallocs: u64,
        /// At the end: bytes allocated, summed.
        final_alloc_bytes: u64,
        /// At the end: bytes freed, summed.
        final_freed_bytes: u64,
        /// At the end: [`Thread::realloc_new`] summed.
        final_realloc_new: u64,
        /// At the end: [`Thread::grown`] summed.
        final_grown: u64,
        /// At the end: [`Thread::shrunk`] summed.
        final_shrunk: u64,
        /// Clock time of the end of recording minus the start, in nanoseconds; 0 before.
        final_ns: u64,
        /// Number of pauses so far.
        pauses: u64,

        /// Records in [`Table::Functions`](crate::Table::Functions).
        function_count: u64,
        /// Records in [`Table::Shares`](crate::Table::Shares).
        share_count: u64,
        /// Records in [`Table::Lines`](crate::Table::Lines).
        line_count: u64,
        /// Loss: calls of `#[profile]` functions that are not in the exact tables, as one of them
        /// was full.
        lost_calls: u64,
        /// The part of `own_ns` for what was only counted while it was recorded, in nanoseconds.
        unsampled_ns: u64,
        /// Records in [`Table::Further`](crate::Table::Further).
        further_count: u64,
        /// Offset in [`Table::Strings`](crate::Table::Strings) of the value of
        /// [`env::OWN`](crate::env::OWN).
        own_at: u32,
        /// Bytes of it; 0 if there is none.
        own_len: u32,
        /// Number of the file's inode, by which a copy of it is told from the file itself; 0 if
        /// unknown.
        inode: u64,
        /// The part of `lost_outer_frames` that ended in code of no module, made at run time.
        lost_in_run_time_code: u64,
        /// The part of `lost_outer_frames` that ended on a stack that is not the thread's own.
        lost_on_other_stack: u64,
        /// The part of `lost_outer_frames` that ended in code of a module without a usable unwind
        /// table.
        lost_without_table: u64,
        /// Loss: samples counted under "other" because where the stack begins there is no unwind
        /// table.
        lost_starts: u64,
        /// Loss: samples counted under "other" because too many threads were taking one.
        lost_crowded: u64,
        /// Bytes in [`Table::Sources`](crate::Table::Sources); 0 where nobody added any.
        source_bytes: u64,
        /// Records in [`Table::Contexts`](crate::Table::Contexts).
        context_count: u64,
        /// Records in [`Table::ContextSets`](crate::Table::ContextSets).
        context_set_count: u64,
        /// Loss: times that contexts were in force without those around them, as there were too
        /// many combinations or keys.
        lost_contexts: u64,
        /// What the layer of `tracing` has seen, in bits: see [`contexts`](crate::contexts).
        span_layer: u64,
        /// Process number of the program that forked this one, whose blocks were in use when the
        /// recording started; 0 where none did.
        forked_from: u64,
        /// Records in [`Table::Heaps`](crate::Table::Heaps).
        heap_count: u64,
        /// Records in [`Table::Spans`](crate::Table::Spans).
        span_count: u64,
        /// When a program that did not end in order was gone, nanoseconds since the start;
        /// `memprof run` adds this and what follows. 0 where nobody saw it.
        gone_ns: u64,
        /// The signal that ended it, and [`OOM_KILLED`](crate::OOM_KILLED).
        gone_by: u64,
        /// Bytes of memory that it and others of its control group might have in all; 0 if unknown
        /// or unlimited.
        memory_limit: u64,
        /// Records in [`Table::Accounts`](crate::Table::Accounts).
        account_count: u64,
        /// Records in [`Table::Touched`](crate::Table::Touched).
        touched_count: u64,
        /// Serial number of the latest [`Snapshot`](crate::Snapshot); 0 before the first.
        generation: u64,
        /// Records in [`Table::Snapshots`](crate::Table::Snapshots).
        snapshot_count: u64,
        /// Records in [`Table::Ages`](crate::Table::Ages).
        age_count: u64,
        /// Records in [`Table::Cohorts`](crate::Table::Cohorts).
        cohort_count: u64,
        /// Loss: marks and changes of cohorts that there was no room for.
        lost_moments: u64,
        /// Records in [`Table::Processes`](crate::Table::Processes): profiles that this one was
        /// merged from; 0 of one that was recorded.
        process_count: u64,
        /// Offset in [`Table::Strings`](crate::Table::Strings) of the name of the test that ran.
        test_name_at: u32,
        /// Bytes of it; 0 if there is none. See [`processes`](crate::processes).
        test_name_len: u32,
        /// Offset of the name of the program of tests.
        test_binary_at: u32,
        /// Bytes of it; 0 if there is none.
        test_binary_len: u32,
        /// Offset of what names the run of tests.
        test_run_at: u32,
        /// Bytes of it; 0 if there is none.
        test_run_len: u32,
        /// Number of the attempt at the test, from 1; 0 if there is none.
        test_attempt: u32,
        /// One of the `PHASE_*` constants of [`processes`](crate::processes).
        test_phase: u32,
    }
}

record! {
    /// Weighted number and bytes of the allocations of one power-of-two size class.
    SizeClass, SizeClassCells, 16 {
        /// Blocks, fixed-point.
        count: u64,
        /// Bytes.
        bytes: u64,
    }
}

record! {
    /// Exact counters of one thread, and the thread's own working values.
    ///
    /// A record outlives its thread and is taken over by a later one, its counters running on; the
    /// `start_*` fields tell the two apart. Sums over all records are the process's totals.
    Thread, ThreadCells, 256 {
        /// Bytes allocated: alloc, alloc_zeroed, and the new size of every realloc.
        alloc_bytes: u64,
        /// Working value: `alloc_bytes` at which the thread takes the slow path next; 0 is always.
        alloc_next: u64,
        /// Calls of `alloc` and `alloc_zeroed` that returned a block.
        allocs: u64,
        /// Bytes freed: dealloc, and the old size of every realloc.
        freed_bytes: u64,
        /// Working value: `freed_bytes` at which the thread takes the slow path next; 0 is always.
        free_next: u64,
        /// Calls of `dealloc`.
        frees: u64,
        /// Calls of `realloc` that succeeded.
        reallocs: u64,
        /// New sizes of all reallocs, summed.
        realloc_new: u64,
        /// Bytes by which reallocs grew blocks.
        grown: u64,
        /// Bytes by which reallocs shrank blocks.
        shrunk: u64,
        /// 0 while the record is being made, then one of the `THREAD_*` constants.
        state: u32,
        /// The system's thread number.
        tid: u32,
        /// Name of the thread, zero-padded.
        name: [u64; 2],
        /// Bytes allocated in this record before its present thread.
        start_alloc_bytes: u64,
        /// Bytes freed in this record before its present thread.
        start_freed_bytes: u64,
        /// Node of the last stack sampled by this thread.
        last_node: u32,
        /// Number of samples so far; wraps.
        sequence: u32,
        /// Heap in use after the last sample of this thread. *Signed.*
        last_heap: u64,
        /// Stacks found by frame pointers.
        frame_pointer_walks: u64,
        /// Stacks walked by unwind tables.
        table_walks: u64,
        /// Working value: `alloc_bytes` at which the next sample is taken.
        sample_at: u64,
        /// Working value: the sampling interval `sample_at` was drawn for.
        sample_interval: u64,
        /// Working value: heap bytes of this thread already published. *Signed.*
        published: u64,
        /// Working value: `freed_bytes` at which frees are published next.
        publish_frees_at: u64,
        /// Working value: state of the random generator.
        random: u64,
        /// Working value: lower bound of the thread's stack.
        stack_low: u64,
        /// Working value: upper bound of the thread's stack.
        stack_top: u64,
        /// Working value: serial number of the recording this record joined.
        generation: u64,
        /// What to add to `alloc_bytes` for the thread's own count, which [`Share`](crate::Share)
        /// and [`Line`](crate::Line) refer to. *Signed.*
        own_alloc_offset: u64,
        /// The same for `freed_bytes`. *Signed.*
        own_freed_offset: u64,
        /// Working value: the contexts in force at the last sample, by the process's own number.
        last_contexts: u32,
        /// Node of the last stack sampled by this thread in another heap than the main one; 0 if
        /// there is none.
        last_heaps_node: u32,
        /// Working value: bytes to the next sample in other heaps than the main one.
        heaps_gap: u64,
        /// Working value: the sampling interval `heaps_gap` was drawn for, plus 1; 0 if it was not.
        heaps_interval: u64,
    }
}

record! {
    /// One node of the trie of stacks: a frame and its caller's node.
    Node, NodeCells, 24 {
        /// Number of the caller's node; smaller than this node's own. The root is 0.
        parent: u32,
        /// Number of the stack that ends here (innermost frame), or 0.
        stack: u32,
        /// A [`Frame`](crate::Frame). 0 while the record is being made.
        frame: u64,
        /// Highest heap in use seen when a thread left this frame for another line, plus 1; 0 if
        /// never. *Signed.*
        heap_after: u64,
    }
}

record! {
    /// Totals of one distinct stack. "Here" means: with this stack as the call stack.
    Stack, StackCells, 168 {
        /// Node of the innermost frame. 0 for "other" and while the record is being made.
        node: u32,
        /// Time of the first sample here, in milliseconds since the start, plus 1; 0 if not known.
        first_ms: u32,
        /// Bytes allocated here.
        alloc_bytes: u64,
        /// Blocks allocated here, fixed-point.
        alloc_count: u64,
        /// Bytes freed here (of blocks allocated anywhere).
        freed_bytes: u64,
        /// Blocks freed here, fixed-point.
        freed_count: u64,
        /// Bytes allocated here and not yet freed. *Signed.*
        live_bytes: u64,
        /// Blocks allocated here and not yet freed, fixed-point. *Signed.*
        live_count: u64,
        /// `live_bytes` at the peak numbered `peak_epoch`. *Signed.*
        peak_bytes: u64,
        /// `live_count` at that peak. *Signed.*
        peak_count: u64,
        /// The peak `peak_bytes` belongs to; if it is not the header's, nothing changed since the
        /// peak and `live_*` holds.
        peak_epoch: u64,
        /// Bytes allocated here and freed before the thread's next sample.
        temporary_bytes: u64,
        /// Blocks allocated here and freed before the thread's next sample, fixed-point.
        temporary_count: u64,
        /// The part of `alloc_bytes` that came from `realloc`.
        realloc_bytes: u64,
        /// The part of `alloc_count` that came from `realloc`, fixed-point.
        realloc_count: u64,
        /// Samples behind the alloc fields.
        alloc_samples: u64,
        /// Samples behind the freed fields.
        free_samples: u64,
        /// Variance of `alloc_bytes`, as `f64` bits.
        alloc_variance: u64,
        /// Variance of `freed_bytes`, as `f64` bits.
        freed_variance: u64,
        /// Variance of `live_bytes`, as `f64` bits.
        live_variance: u64,
        /// `live_variance` at the peak, as `f64` bits.
        peak_variance: u64,
        /// Time of the last block taken here, nanoseconds since the start, plus 1; 0 if not known.
        last_ns: u64,
    }
}

record! {
    /// What else is known of the stack with the same number. A stack without such a record has
    /// errors of 0, and has had live what it has since before the first
    /// [waypoint](crate::waypoints).
    Further, FurtherCells, 128 {
        /// Variance of [`Stack::alloc_count`] in blocks squared, as `f64` bits.
        alloc_count_variance: u64,
        /// Variance of [`Stack::freed_count`], as `f64` bits.
        freed_count_variance: u64,
        /// Variance of [`Stack::live_count`], as `f64` bits.
        live_count_variance: u64,
        /// Variance of [`Stack::peak_count`], as `f64` bits.
        peak_count_variance: u64,
        /// Ticks of [`TICK_BITS`](crate::TICK_BITS) that had passed when the stack's live bytes
        /// last changed.
        changed: u64,
        /// `live_bytes` at the waypoints of that moment, the earliest first. *Signed.*
        live_bytes: [u64; WAYPOINTS],
        /// `live_variance` there, as `f32` bits, two in a word, the lower half first.
        live_variance: [u64; WAYPOINTS.div_ceil(2)],
    }
}

record! {
    /// The span of a trace that the stack with the same number has taken blocks in last, and what
    /// it took there meanwhile. A stack without such a record, or with one whose `span_id` is 0,
    /// took none in a span that has ids.
    StackSpan, StackSpanCells, 64 {
        /// How often the record was written, times 2; odd while it is being written, or was when
        /// the program ended.
        turn: u64,
        /// The trace, the half that is written first first.
        trace_id: [u64; 2],
        /// The span; 0 is none.
        span_id: u64,
        /// The part of [`Stack::alloc_bytes`] that was taken in the span, since it was noted here.
        alloc_bytes: u64,
        /// The part of [`Stack::alloc_count`].
        alloc_count: u64,
        /// Not used.
        reserved: [u64; 2],
    }
}

record! {
    /// An executable or library that was loaded.
    Module, ModuleCells, 96 {
        /// First run-time address. 0 while the record is being made.
        start: u64,
        /// End of the run-time addresses.
        end: u64,
        /// Load bias: run-time address minus address in the file.
        bias: u64,
        /// Offset of the path in [`Table::Strings`](crate::Table::Strings).
        path_at: u32,
        /// Bytes of the path; 0 if unknown.
        path_len: u32,
        /// Build-id, zero-padded.
        build_id: [u64; 4],
        /// Bytes of the build-id in use, at most 32; 0 if the module has none.
        build_id_len: u32,
        /// [`MODULE_IS_PROGRAM`](crate::MODULE_IS_PROGRAM), in a merged profile.
        flags: u32,
        /// Modification time of the file when it was recorded, nanoseconds since 1970; 0 if
        /// unknown.
        modified_ns: u64,
        /// Length of the file when it was recorded; 0 if unknown.
        file_len: u64,
        /// When it was first seen, nanoseconds since the start.
        loaded_ns: u64,
    }
}

record! {
    /// One point of the timeline.
    Point, PointCells, 32 {
        /// Nanoseconds since the start, plus 1; 0 while the record is being made.
        time_ns: u64,
        /// Heap in use, bytes. *Signed.*
        heap: u64,
        /// Resident set size and, in the upper 16 bits, the part of it that may be the recorder's:
        /// see [`resident`](Point::resident).
        rss: u64,
        /// Bytes allocated since the start.
        alloc_bytes: u64,
    }
}

impl Point {
    /// Bits of [`rss`](Point::rss) that are the size itself: 256 TiB.
    const RESIDENT_BITS: u32 = 48;
    /// Bytes that a unit of the bits above stands for.
    const OWN_UNIT: u64 = 65536;

    /// [`rss`](Point::rss) of `resident` bytes, up to `own` of which are the recorder's.
    ///
    /// ```
    /// use profiler_alloc_format::Point;
    ///
    /// let rss = Point::rss_of(90 << 20, 200_000);
    /// let point = Point { rss, ..Point::empty() };
    /// assert_eq!((point.resident(), point.own()), (90 << 20, 4 * 65536));
    /// ```
    pub const fn rss_of(resident: u64, own: u64) -> u64 {
        let most = (1 << Point::RESIDENT_BITS) - 1;
        let resident = if resident < most { resident } else { most };
        let units = own.div_ceil(Point::OWN_UNIT);
        let units = if units < 0xffff { units } else { 0xffff };
        units << Point::RESIDENT_BITS | resident
    }

    /// Resident set size, bytes; 0 if unknown.
    pub const fn resident(&self) -> u64 {
        self.rss & ((1 << Point::RESIDENT_BITS) - 1)
    }

    /// Bytes that the recorder had taken, its file included: so much of the resident set may be
    /// its. 0 if unknown.
    pub const fn own(&self) -> u64 {
        (self.rss >> Point::RESIDENT_BITS) * Point::OWN_UNIT
    }
}

impl Thread {
    /// Name of the present (or last) thread, zero-padded.
    pub fn name_bytes(&self) -> [u8; 16] {
        let mut name = [0; 16];
        self.name.put(&mut name);
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_round_trip_through_bytes() {
        let node = Node {
            parent: 1,
            stack: 2,
            frame: 3 << 48 | 4,
            heap_after: u64::MAX,
        };
        let bytes = node.to_bytes();
        assert_eq!(bytes[..8], [1, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(Node::from_bytes(&bytes), node);
        assert_eq!(Node::from_bytes(&[0; Node::LEN]), Node::empty());
    }
}
