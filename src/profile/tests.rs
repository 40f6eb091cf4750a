//! The reader against good, cut off, damaged and hostile profiles.

use std::io::Cursor;
use std::path::Path;

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
    bytes.truncate(profiler_alloc_format::HEADER_LEN);
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
    const CHUNK: usize = profiler_alloc_format::CHUNK_LEN;
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
            let start = HEADER + chunk * profiler_alloc_format::CHUNK_LEN;
            start..start + 600
        })).collect();
        for (index, value) in flips {
            bytes[used[index.index(used.len())]] = value;
        }
        let _ = parse_bytes(&bytes);
    }
}

const HEADER: usize = profiler_alloc_format::HEADER_LEN;
