//! Tests: what many synthetic profiles add up to.

use profiler_alloc_format::{Frame, STATE_RECORDING, Thread};

use super::super::builder::Builder;
use super::super::{Profile, State, parse, read};
use super::*;

const SECOND: u64 = 1_000_000_000;
const EPOCH: u64 = 1_790_000_000 * SECOND;

/// A process that began `start` seconds after the first, whose program has been loaded as module
/// number 0, and which keeps `bytes` of `main` and frees as much of `serve`.
fn worker(pid: u32, start: u64, bytes: u64) -> Builder {
    let mut builder = Builder::new();
    builder.header.pid = pid;
    builder.header.run_id = 77;
    builder.header.started_unix_ns = EPOCH + start * SECOND;
    builder.header.final_ns = 10 * SECOND;
    let app = builder.module("/bin/app");
    let libc = builder.module("/lib/libc.so.6");
    build_id(&mut builder, app, 0xaa);
    build_id(&mut builder, libc, 0xbb);
    let (main, serve) = (Frame::new(app, 0x10), Frame::new(app, 0x20));
    let malloc = Frame::new(libc, 0x900);
    let keeps = builder.stack(&[malloc, main]);
    let frees = builder.stack(&[malloc, serve, main]);
    builder.allocated(frees, bytes, 1);
    builder.freed(frees, frees, bytes, 1);
    builder.allocated(keeps, bytes, 1);
    builder
}

fn build_id(builder: &mut Builder, module: u16, byte: u8) {
    let module = &mut builder.modules[usize::from(module)];
    module.build_id = [u64::from_le_bytes([byte; 8]), 0, 0, 0];
    module.build_id_len = 8;
}

fn parsed(builder: &Builder) -> Profile {
    parse("x".as_ref(), builder.to_input()).unwrap().0
}

fn merged(builders: &[Builder]) -> (Profile, Vec<Defect>) {
    let mut merger = Merger::default();
    for builder in builders {
        let pid = builder.header.pid;
        merger.add(format!("app.{pid}.memprof"), parsed(builder), &[], true);
    }
    merger.finish()
}

/// What a file of the profile is read as.
fn through_a_file(profile: &Profile) -> Profile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, profile.to_bytes()).unwrap();
    read(file.path()).unwrap().0
}

fn live(profile: &Profile) -> Vec<i64> {
    let live = profile.stacks.iter().map(|stack| stack.totals.live_bytes);
    live.collect()
}

#[test]
fn the_workers_of_a_server_are_one_profile_to_the_byte() {
    let workers: Vec<Builder> = (1..=8)
        .map(|pid| worker(pid, 0, 1000 * u64::from(pid)))
        .collect();
    let (all, defects) = merged(&workers);
    assert_eq!(all.nodes.len(), 5, "the frames are the same in all");
    assert_eq!(live(&all), [36_000, 0]);
    assert_eq!(all.counters().alloc_bytes, 72_000);
    assert_eq!(all.counters().allocs, 16);
    assert_eq!((all.heap(), all.peak()), (36_000, 36_000));
    assert_eq!((all.process_count(), all.program()), (8, "app".to_owned()));
    assert_eq!(all.peaks_of_processes(), 36_000);
    assert!(all.is_exact() && all.state() == State::Finished);
    insta::assert_snapshot!(defects[0], @"these are 8 profiles of 1 program, added up: the peak is the highest sum of their heaps at one time (to 2 us), live is what each had at its end, and at the peak lines have what they had at the peak of each by itself, which makes 35.2 KiB in all");
    let mut reversed = workers;
    reversed.reverse();
    let (same, _) = merged(&reversed);
    assert_eq!(same.to_bytes(), all.to_bytes(), "in any order");
}

#[test]
fn a_merged_profile_is_read_from_its_file_as_it_was() {
    let mut workers: Vec<Builder> = (1..=3).map(|pid| worker(pid, 2, 500)).collect();
    for (number, builder) in workers.iter_mut().enumerate() {
        let acme = builder.in_context("tenant", "acme");
        let arena = builder.heap("arena", 300);
        let main = Frame::new(0, 0x10);
        let inside = builder.stack(&[main, acme]);
        builder.allocated(inside, 40, 2);
        let elsewhere = builder.stack(&[main, acme, arena]);
        builder.allocated_elsewhere(elsewhere, 300);
        builder.stacks[inside].alloc_variance = 2.5f64.to_bits();
        let function = builder.profiled("app::load", "src/load.rs", (3, 9));
        builder.share(function, &[(3, 1, 0, 0), (4, 1, 10 + number as u64, 5)]);
        builder.heap_after(&[main], 70 + number as i64);
        builder.header.lost_blocks = 2;
    }
    let (all, defects) = merged(&workers);
    let again = through_a_file(&all);
    // The file numbers nodes in another order; merged alone, they have the merger's.
    let mut alone = Merger::default();
    alone.add("again".to_owned(), again.clone(), &[], true);
    let (alone, _) = alone.finish();
    assert_eq!(alone.stacks, all.stacks);
    assert_eq!(alone.nodes, all.nodes);
    assert_eq!(alone.heaps, all.heaps);
    assert_eq!(again.contexts, all.contexts);
    assert_eq!(again.functions, all.functions);
    assert_eq!(again.processes, all.processes);
    assert_eq!(again.modules, all.modules);
    assert_eq!(again.timeline, all.timeline);
    assert_eq!(again.threads, all.threads);
    assert_eq!(again.sizes, all.sizes);
    assert_eq!(again.header.lost_blocks, 6);
    assert_eq!(all.functions[0].lines[1].allocated, 33);
    assert_eq!(all.heaps[0].in_use(), 900);
    let in_acme = |profile: &Profile| {
        let stacks = profile.stacks_by("tenant");
        let sum = stacks[0].1.iter().map(|stack| stack.totals.live_bytes);
        sum.sum::<i64>()
    };
    assert_eq!(in_acme(&again), 120);
    let variance = |profile: &Profile| {
        let all = profile
            .stacks
            .iter()
            .map(|stack| stack.totals.alloc_variance);
        all.sum::<f64>()
    };
    assert_eq!(variance(&again), 7.5, "errors add up in squares");
    // What was read is what is said.
    assert_eq!(again.defects_of_processes(), defects);
}

#[test]
fn merging_what_was_merged_is_merging_all() {
    let workers: Vec<Builder> = (1..=6)
        .map(|pid| worker(pid, u64::from(pid), 100 * u64::from(pid)))
        .collect();
    let (all, _) = merged(&workers);
    let mut merger = Merger::default();
    for part in workers.chunks(2) {
        let (part, _) = merged(part);
        merger.add("part".to_owned(), through_a_file(&part), &[], true);
    }
    let (again, _) = merger.finish();
    assert_eq!(again.stacks, all.stacks);
    assert_eq!(again.processes, all.processes);
    assert_eq!((again.peak(), again.heap()), (all.peak(), all.heap()));
    assert_eq!(again.counters(), all.counters());
}

#[test]
fn processes_that_do_not_live_at_once_have_no_peak_together() {
    let (all, _) = merged(&[worker(1, 0, 700), worker(2, 20, 500)]);
    assert_eq!((all.peak(), all.peaks_of_processes()), (700, 1200));
    assert_eq!(all.duration_ns(), 30 * SECOND);
    let (all, _) = merged(&[worker(1, 0, 700), worker(2, 5, 500)]);
    assert_eq!(all.peak(), 1200);
}

#[test]
fn what_came_with_a_fork_is_the_parents() {
    let parent = worker(1, 0, 1000);
    let mut child = worker(2, 1, 200);
    child.header.forked_from = 1;
    child.header.heap_base = 1000;
    child.header.peak += 1000;
    let (all, _) = merged(&[parent, child]);
    assert_eq!((all.heap(), all.peak()), (1200, 1200));
    assert_eq!(all.header.heap_base, 0);
    assert_eq!(all.processes[1].peak, 200);
}

#[test]
fn programs_are_told_apart_by_build_and_most_memory_comes_first() {
    let mut old = worker(1, 0, 100);
    let new = worker(2, 50, 100);
    build_id(&mut old, 0, 0xcc);
    let mut other = worker(3, 60, 5000);
    other.modules[0].path_at = other.strings.len() as u32;
    other.modules[0].path_len = 8;
    other.strings.extend_from_slice(b"/bin/big");
    build_id(&mut other, 0, 0xdd);
    let (all, defects) = merged(&[old, new, other]);
    let programs: Vec<_> = (all.modules.iter())
        .map(|module| (module.name(), module.build_id[0], module.is_program))
        .collect();
    let name = |name: &str| name.to_owned();
    let expected = [
        (name("big"), 0xdd, true),
        (name("app"), 0xaa, true),
        (name("app"), 0xcc, true),
        (name("libc.so.6"), 0xbb, false),
    ];
    assert_eq!(programs, expected);
    assert_eq!(all.program(), "big and 1 other program");
    insta::assert_snapshot!(defects[1], @"/bin/app was recorded in 2 builds, whose lines are added up by function and line; a line that moved between them stands twice");
}

#[test]
fn faults_are_kept_with_the_files_that_have_them() {
    let mut merger = Merger::default();
    for pid in 1..=3 {
        let mut builder = worker(pid, 0, 10);
        builder.header.state = STATE_RECORDING;
        let faults = [Defect::PointsDropped { points: 4 }];
        let faults = &faults[..usize::from(pid != 2)];
        merger.add(format!("{pid}.memprof"), parsed(&builder), faults, true);
    }
    let (all, defects) = merger.finish();
    assert_eq!(through_a_file(&all).processes, all.processes);
    insta::assert_snapshot!(defects.last().unwrap(), @"of 1.memprof, 3.memprof: 4 points of the timeline are out of order and were dropped");
}

#[test]
fn threads_of_one_name_are_one() {
    let mut one = worker(1, 0, 10);
    one.threads.push(Thread {
        name: [u64::from_le_bytes(*b"worker\0\0"), 0],
        alloc_bytes: 30,
        ..one.threads[0]
    });
    let (all, _) = merged(&[one.clone(), one]);
    let threads: Vec<_> = (all.threads.iter())
        .map(|thread| (&*thread.name, thread.counters.alloc_bytes))
        .collect();
    assert_eq!(threads, [("worker", 60), ("main", 40)]);
}

/// What the merger holds is bounded by what is different in the profiles, not by their number.
#[test]
fn ten_thousand_profiles_of_one_program_are_as_large_as_one() {
    let mut merger = Merger::default();
    let profile = parsed(&worker(1, 0, 10));
    for pid in 0..10_000 {
        let mut profile = profile.clone();
        profile.header.pid = pid;
        profile.header.started_unix_ns += u64::from(pid) * SECOND / 100;
        merger.add(format!("app.{pid}.memprof"), profile, &[], true);
    }
    let (all, _) = merger.finish();
    assert_eq!((all.process_count(), all.nodes.len()), (10_000, 5));
    assert_eq!(live(&all), [100_000, 0]);
    // A hundred start each second and live for ten.
    assert_eq!(all.peak(), 10_000 + 10);
}
