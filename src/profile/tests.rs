//! The reader against good, cut off, damaged and hostile profiles.

use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use profiler_alloc_format::STATE_FINISHED;
use profiler_alloc_format::{CHUNK_LEN, Further, HEADER_LEN, waypoints};
use proptest::prelude::*;

use super::builder::Builder;
use super::*;
use crate::defect::Defect;

fn parse_builder(builder: &Builder) -> (Profile, Vec<Defect>) {
    parse(Path::new("x.memprof"), builder.to_input()).unwrap()
}

fn parse_bytes(bytes: &[u8]) -> Result<(Profile, Vec<Defect>), ReadError> {
    parse(Path::new("x.memprof"), Cursor::new(bytes))
}

const A: Frame = Frame::new(0, 0x10);
const B: Frame = Frame::new(0, 0x20);

fn small() -> Builder {
    let mut builder = Builder::new();
    builder.module("/bin/app");
    let stack = builder.stack(&[B, A]);
    builder.allocated(stack, 1000, 2);
    builder.freed(stack, stack, 500, 1);
    builder.heap_after(&[A], 700);
    builder.timeline.push(Point {
        time_ns: 6,
        heap: 500,
        rss: 0,
        alloc_bytes: 1000,
    });
    builder
}

#[test]
fn reads_what_was_written() {
    let (profile, defects) = parse_builder(&small());
    assert_eq!(defects, []);
    let totals = profile.stacks[0].totals;
    assert_eq!((totals.alloc_bytes, totals.freed_bytes), (1000, 500));
    assert_eq!((totals.live_bytes, totals.peak_bytes), (500, 1000));
    assert_eq!(totals.alloc_count.rounded(), 2);
    let node = profile.nodes[profile.stacks[0].node as usize];
    assert_eq!(node.frame, Some(B));
    assert_eq!(profile.nodes[node.parent as usize].heap_after, Some(700));
    assert_eq!(profile.modules[0].name(), "app");
    assert_eq!(profile.threads[0].name, "main");
    assert_eq!(profile.timeline[0].time_ns, 5);
    assert_eq!(profile.counters().alloc_bytes, 1000);
}

#[test]
fn totals_of_an_unfinished_profile_are_its_threads_sums() {
    let mut builder = small();
    builder.header.state = profiler_alloc_format::STATE_RECORDING;
    builder.header.final_alloc_bytes = 0;
    let (profile, _) = parse_builder(&builder);
    assert_eq!(profile.state(), State::Recording);
    assert_eq!(profile.counters().alloc_bytes, 1000);
}

#[test]
fn a_stack_unchanged_since_the_peak_still_holds_what_it_held_then() {
    let mut builder = small();
    builder.header.peak_epoch = 3;
    let (profile, _) = parse_builder(&builder);
    assert_eq!(profile.stacks[0].totals.peak_bytes, 500);
}

#[test]
fn the_line_a_thread_is_still_in_has_the_heap_of_its_last_sample() {
    let mut builder = small();
    builder.threads[0].sequence = 1;
    builder.threads[0].last_node = 2;
    builder.threads[0].last_heap = 600;
    let (profile, _) = parse_builder(&builder);
    assert_eq!(profile.nodes[2].heap_after, Some(600));
    assert_eq!(
        profile.nodes[1].heap_after,
        Some(700),
        "it was higher before"
    );
}

/// A file that is written to while it is read: it is `after` once bytes from `changes_at` on are
/// read.
struct Live {
    before: Vec<u8>,
    after: Vec<u8>,
    changes_at: u64,
    at: u64,
}

impl Read for Live {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.changes_at {
            self.before.clone_from(&self.after);
        }
        let rest = self.before.get(self.at as usize..).unwrap_or_default();
        let len = rest.len().min(into.len());
        into[..len].copy_from_slice(&rest[..len]);
        self.at += len as u64;
        Ok(len)
    }
}

impl Seek for Live {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Start(at) = to else {
            unreachable!("profiles are read from the start")
        };
        self.at = at;
        Ok(at)
    }
}

#[test]
fn a_stack_that_changes_while_it_is_read_is_not_damaged() {
    let mut builder = small();
    builder.header.state = profiler_alloc_format::STATE_RECORDING;
    builder.further.push(Further {
        changed: 9,
        ..Further::empty()
    });
    let before = builder.to_bytes();
    builder.header.updated_ns = 9 << waypoints::TICK_BITS;
    let directory = &before[profiler_alloc_format::DIRECTORY_AT..];
    let of_further = |&byte: &u8| byte == profiler_alloc_format::Table::Further as u8;
    let chunk = directory.iter().position(of_further).unwrap();
    let live = Live {
        before,
        after: builder.to_bytes(),
        changes_at: (HEADER_LEN + chunk * CHUNK_LEN) as u64,
        at: 0,
    };
    let (profile, defects) = parse(Path::new("x.memprof"), live).unwrap();
    assert_eq!(defects, []);
    assert_eq!(profile.waypoints.len(), waypoints::count(9));
}

#[test]
fn damage_is_counted_and_the_rest_is_read() {
    let mut builder = small();
    builder.nodes[1].parent = 2;
    let second = builder.stack(&[A]);
    builder.allocated(second, 10, 1);
    builder.stacks[second].node = 99;
    builder.stacks[second].alloc_variance = f64::NAN.to_bits();
    builder.modules[0].path_at = 1000;
    builder.timeline.push(Point {
        time_ns: 2,
        ..Point::empty()
    });
    let (profile, defects) = parse_builder(&builder);
    assert_eq!(
        defects,
        [
            Defect::NodesDropped { nodes: 1 },
            Defect::StacksDropped { stacks: 1 },
            Defect::VariancesDropped { figures: 1 },
            Defect::PathsDropped { modules: 1 },
            Defect::PointsDropped { points: 1 },
        ]
    );
    assert_eq!(profile.unattributed.alloc_bytes, 10);
    assert_eq!(profile.stacks.len(), 1);
}

#[test]
fn hostile_counts_cost_no_more_than_the_file() {
    let mut bytes = small().to_bytes();
    let mut header = Header::from_bytes(bytes[..Header::LEN].try_into().unwrap());
    header.node_count = u64::MAX;
    header.stack_count = u64::MAX / 2;
    header.chunk_count = u64::MAX;
    bytes[..Header::LEN].copy_from_slice(&header.to_bytes());
    bytes[profiler_alloc_format::DIRECTORY_AT + 100] = 77;
    bytes[profiler_alloc_format::DIRECTORY_AT + 101] = 2;
    let (_, defects) = parse_bytes(&bytes).unwrap();
    let shown: Vec<String> = defects.iter().map(Defect::to_string).collect();
    insta::assert_snapshot!(shown.join("\n"), @r##"
18446744073709547520 chunks of the profile belong to no known table
the profile counts 9223372036854775417 more records of its Stacks table than it holds
the profile is cut off: 1 of its chunks are missing
the profile counts 18446744073709548885 more records of its Nodes table than it holds
"##);
}

#[test]
fn a_file_cut_off_is_one_defect_for_all_its_tables() {
    let mut bytes = small().to_bytes();
    bytes.truncate(HEADER_LEN);
    let (_, defects) = parse_bytes(&bytes).unwrap();
    let cut_off = defects
        .iter()
        .filter(|defect| matches!(defect, Defect::ChunksCutOff { .. }));
    assert_eq!(cut_off.count(), 1, "{defects:?}");
    let header = Header::from_bytes(bytes.first_chunk().unwrap());
    assert!(header.chunk_count > 1);
    let chunks = header.chunk_count;
    assert!(
        defects.contains(&Defect::ChunksCutOff { chunks }),
        "{defects:?}"
    );
}

#[test]
fn says_what_is_not_a_profile_and_why() {
    let error = |bytes: &[u8]| parse_bytes(bytes).unwrap_err().to_string();
    let bytes = small().to_bytes();
    let mut newer = bytes.clone();
    newer[8] = 9;
    insta::assert_snapshot!(
        [error(b""), error(b"\x7fELF and more"), error(b"MEM"), error(&bytes[..100]), error(&newer), error(&[0; 9000])].join("\n"),
        @r##"
x.memprof is empty: the recording never began; run the program again with `memprof run`
x.memprof is not a profile; `memprof run -- PROGRAM` writes one
x.memprof is cut off after 3 of the 8192 bytes of its header; copy it again or record again
x.memprof is cut off after 100 of the 8192 bytes of its header; copy it again or record again
x.memprof has format version 9, this memprof reads version 1; use the memprof of the same version as the program's profiler-alloc
x.memprof is empty: the recording never began; run the program again with `memprof run`
"##
    );
}

#[test]
fn every_truncation_is_read_or_refused() {
    let bytes = small().to_bytes();
    // Tables start at chunk boundaries; within one, records of at most 256 bytes are used.
    let interesting = |len: usize| len < 600 || (len - 512) % 512 < 3 || len % CHUNK < 600;
    const CHUNK: usize = CHUNK_LEN;
    for len in (0..bytes.len()).filter(|&len| interesting(len)) {
        let _ = parse_bytes(&bytes[..len]);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40)) {
        let mut bytes = small().to_bytes();
        // Most of a small profile is unused chunk: flip where the records are.
        let used: Vec<usize> = (16..HEADER).chain((0..6).flat_map(|chunk| {
            let start = HEADER + chunk * CHUNK_LEN;
            start..start + 600
        })).collect();
        for (index, value) in flips {
            bytes[used[index.index(used.len())]] = value;
        }
        let _ = parse_bytes(&bytes);
    }
}

const HEADER: usize = HEADER_LEN;

fn with_functions() -> Builder {
    let mut builder = small();
    let f = builder.profiled("app::f", "src/main.rs", (10, 13));
    let g = builder.profiled("app::g", "src/main.rs", (20, 20));
    builder.share(f, &[(10, 2, 0, 0), (11, 6, 900, 100)]);
    builder.share(g, &[(20, 1, 5, 0)]);
    builder.share(f, &[(10, 1, 0, 0), (11, 3, 90, 10)]);
    builder
}

/// Runs, and bytes allocated and freed.
fn line(profile: &Profile, function: usize, number: u32) -> (u64, u64, u64) {
    let mut lines = profile.functions[function].lines.iter();
    let line = lines.find(|line| line.number == number).unwrap();
    (line.runs, line.allocated, line.freed)
}

#[test]
fn shares_of_a_function_add_up() {
    let (profile, defects) = parse_builder(&with_functions());
    assert_eq!(defects, []);
    let names: Vec<&str> = profile.functions.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["app::f", "app::g"]);
    assert_eq!(line(&profile, 0, 11), (9, 990, 110));
    assert_eq!(line(&profile, 1, 20), (1, 5, 0));
    assert_eq!(profile.functions[0].calls(), 3);
    assert_eq!(profile.functions[0].lines[1].mem_usage, None);
}

#[test]
fn a_line_that_is_not_over_has_what_its_thread_did_since() {
    let mut builder = with_functions();
    builder.header.state = profiler_alloc_format::STATE_RECORDING;
    let mut thread = builder.threads[0];
    thread.alloc_bytes = 1000;
    thread.own_alloc_offset = 0_u64.wrapping_sub(300);
    thread.freed_bytes = 40;
    // 500 bytes of the other thread, 960 of this one.
    builder.header.heap_base = 77_u64.wrapping_sub(500 + 960);
    builder.threads.push(thread);
    // On line 11, by way of an outer call that is suspended there too: once.
    builder.shares[0].open = 1 << 32 | 2;
    builder.shares[0].since_alloc_bytes = 690;
    builder.lines[1].suspended = 1;
    builder.lines[1].since_alloc_bytes = 600;
    builder.lines[1].since_freed_bytes = 35;
    let (profile, defects) = parse_builder(&builder);
    assert_eq!(defects, []);
    assert_eq!(line(&profile, 0, 11), (9, 1090, 115));
    assert_eq!(profile.functions[0].lines[1].mem_usage, Some(77));

    // Not suspended: since the line was come to.
    builder.lines[1].suspended = 0;
    let (profile, _) = parse_builder(&builder);
    assert_eq!(line(&profile, 0, 11), (9, 1000, 150));
    // Nonsense, and a recording that ended in order, add nothing.
    builder.shares[0].since_alloc_bytes = 701;
    let (profile, _) = parse_builder(&builder);
    assert_eq!(line(&profile, 0, 11), (9, 990, 110));
    builder.shares[0].since_alloc_bytes = 0;
    builder.header.state = STATE_FINISHED;
    let (profile, _) = parse_builder(&builder);
    assert_eq!(line(&profile, 0, 11), (9, 990, 110));
}

#[test]
fn damaged_exact_records_are_dropped_and_counted() {
    type Damage = fn(&mut Builder);
    let cases: [(Damage, u64); 7] = [
        (|b| b.shares[1].function = 9, 1),
        (|b| b.shares[1].lines_at = u32::MAX, 1),
        // Lines that another share has.
        (|b| b.shares[1].lines_at = 1, 1),
        (|b| b.shares[1].line_count = u32::MAX, 1),
        (|b| b.lines[2].number = 19, 1),
        (|b| b.functions[1].name_at = 1 << 20, 2),
        (|b| b.functions[1].last_line = u32::MAX, 2),
    ];
    for (number, (damage, records)) in cases.into_iter().enumerate() {
        let mut builder = with_functions();
        damage(&mut builder);
        let (profile, defects) = parse_builder(&builder);
        assert_eq!(
            defects,
            [Defect::ExactRecordsDropped { records }],
            "case {number}"
        );
        let whole = profile.functions.iter().find(|f| f.name == "app::f");
        assert_eq!(whole.unwrap().lines[1].allocated, 990, "case {number}");
    }
    // A record in the making is no damage.
    let mut builder = with_functions();
    builder.shares[1].function = 0;
    builder.functions[1].number = 0;
    let (profile, defects) = parse_builder(&builder);
    assert_eq!((profile.functions.len(), defects), (1, vec![]));
}

#[test]
fn a_standard_library_of_its_own_is_said() {
    for (path, is_std) in [
        ("/lib/libstd-8f8d5e1b2c3a4f5e.so", true),
        ("/lib/libstdc++.so.6", false),
        ("/lib/libstd-8f8d5e1b2c3a4f5e.rlib", false),
        ("/app/mylibstd-1.so", false),
    ] {
        let mut builder = Builder::new();
        builder.module(path);
        let defects = parse(Path::new("x"), builder.to_input()).unwrap().1;
        let said = is_std.then(|| Defect::StdDynamic {
            library: "libstd-8f8d5e1b2c3a4f5e.so".into(),
        });
        assert_eq!(defects, Vec::from_iter(said), "{path}");
    }
}

#[test]
fn a_heap_below_zero_is_said_once_the_program_has_ended() {
    let mut builder = Builder::new();
    builder.header.final_alloc_bytes = 100;
    builder.header.final_freed_bytes = 350;
    let defects = parse(Path::new("x"), builder.to_input()).unwrap().1;
    assert_eq!(defects, [Defect::HeapBelowZero { bytes: 250 }]);
    assert!(
        defects[0].to_string().contains("-C prefer-dynamic"),
        "{}",
        defects[0]
    );
    let defects = |builder: &Builder| parse(Path::new("x"), builder.to_input()).unwrap().1;
    // What a thread took while the recording began may be in neither count.
    builder.header.heap_base = 100;
    assert_eq!(defects(&builder), []);
    builder.header.heap_base = 0;
    // Counters of threads that run are not read at one moment.
    builder.header.state = profiler_alloc_format::STATE_RECORDING;
    assert_eq!(defects(&builder), []);
}
