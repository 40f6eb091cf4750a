//! Many threads: exact totals, bounded memory, records used again; blocks that change hands are
//! matched right.

use std::hint::black_box;
use std::process::Command;
use std::sync::{Barrier, mpsc};
use std::thread::{Builder, JoinHandle};

use memprof::profile::Profile;
use profiler_alloc_format::env as settings;

use crate::Named;
use crate::child::{Place, times};
use crate::crash::limit;

pub const TESTS: &[Named] = &[
    ("threads::short_lived", short_lived),
    ("threads::at_once", at_once),
    ("threads::more_than_records", more_than_records),
    ("threads::blocks_change_hands", blocks_change_hands),
    (
        "threads::running_threads_join_at_once",
        running_threads_join_at_once,
    ),
];

pub const ROLES: &[Named] = &[
    ("short_threads", short_threads),
    ("threads_at_once", threads_at_once),
    ("exchange", exchange),
    ("late_recording", late_recording),
];

/// A thread with a small stack.
fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    Builder::new().stack_size(64 << 10).spawn(work).unwrap()
}

fn many() -> usize {
    std::env::var("MANY").map_or(0, |many| many.parse().unwrap())
}

fn with(place: &Place, role: &str, sample: &str, many: usize) -> Command {
    let mut command = place.command(role, sample);
    command.env("MANY", many.to_string());
    command
}

fn short_threads() {
    for _ in 0..many() / 8 {
        let workers: Vec<_> = (0..8)
            .map(|_| spawn(|| drop(black_box(vec![1u8; 3_000]))))
            .collect();
        workers
            .into_iter()
            .for_each(|worker| worker.join().unwrap());
    }
}

/// Twice: all threads are there at once, and each frees what its neighbour allocated.
fn threads_at_once() {
    for _ in 0..2 {
        let barrier = std::sync::Arc::new(Barrier::new(many()));
        let (mut senders, receivers): (Vec<_>, Vec<_>) =
            (0..many()).map(|_| mpsc::channel::<Vec<u8>>()).unzip();
        senders.rotate_left(1);
        let workers: Vec<_> = senders
            .into_iter()
            .zip(receivers)
            .map(|(sender, receiver)| {
                let barrier = barrier.clone();
                spawn(move || {
                    sender.send(black_box(vec![1u8; 3_000])).unwrap();
                    drop(receiver.recv().unwrap());
                    barrier.wait();
                })
            })
            .collect();
        workers
            .into_iter()
            .for_each(|worker| worker.join().unwrap());
    }
}

fn short_lived() {
    for (sample, many) in [
        ("all", times(10_000, 1_000)),
        ("65536", times(10_000, 1_000)),
    ] {
        let place = Place::new();
        assert!(
            with(&place, "short_threads", sample, many)
                .status()
                .unwrap()
                .success()
        );
        let profile = place.check_totals(0, 0);
        assert_eq!(profile.header.lost_threads, 0);
        let records = profile.threads.len();
        assert!(
            records < 64,
            "{records} records for {many} threads, 8 at a time"
        );
    }
}

fn at_once() {
    let many = times(10_000, 1_000);
    let place = Place::new();
    assert!(
        with(&place, "threads_at_once", "all", many)
            .status()
            .unwrap()
            .success()
    );
    let profile = place.check_totals(0, 0);
    assert_eq!(profile.header.lost_threads, 0);
    let records = profile.threads.len();
    assert!(
        records <= many + 8,
        "{records} records for {many} threads, twice"
    );
    assert_eq!(live(&profile), heap(&place), "bytes live");
}

/// A file that cannot grow has records for 255 threads; others share one, and lose nothing but
/// their samples.
fn more_than_records() {
    let place = Place::new();
    let mut command = with(&place, "threads_at_once", "all", 400);
    command.stderr(std::process::Stdio::null());
    limit(&mut command, libc::RLIMIT_FSIZE, 8192 + 6 * 65536);
    assert!(command.status().unwrap().success());
    let profile = place.check_totals(0, 0);
    assert!(profile.threads.len() <= 256);
    let lost = profile.header.lost_threads;
    assert!((1..=800).contains(&lost), "{lost} threads without a record");
    // What they allocated was not sampled, but what they freed is not live any more, whoever
    // sampled it.
    let (live, heap) = (live(&profile), heap(&place));
    assert!(live <= heap, "{live} bytes live of {heap}");
}

/// Blocks that other threads free, or grow to another place: what is live in the stacks is live in
/// truth, stack by stack.
fn blocks_change_hands() {
    for round in 0..times(10, 1) {
        let place = Place::new();
        let mut command = with(&place, "exchange", "all", times(1_000_000, 200_000));
        // Whatever one thread frees, another may get at once.
        command.env("MALLOC_ARENA_MAX", "1");
        command.env("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0");
        assert!(command.status().unwrap().success());
        let profile = place.check_totals(0, 0);
        assert_eq!(profile.header.lost_blocks, 0);
        assert_eq!(live(&profile), heap(&place), "bytes live, round {round}");
        for stack in profile
            .stacks
            .iter()
            .filter(|stack| stack.totals.alloc_samples > 1_000)
        {
            let totals = &stack.totals;
            let kept = match totals.alloc_bytes / totals.alloc_samples as i64 {
                KEPT => totals.alloc_bytes,
                _ => 0,
            };
            assert_eq!(totals.live_bytes, kept, "{totals:?}");
        }
    }
}

const KINDS: usize = 8;
/// Size of the blocks that are never freed: those of the others that are small enough may turn into
/// one.
const KEPT: i64 = 69;

#[inline(never)]
fn take<const KIND: usize>() -> Vec<u8> {
    black_box(Vec::with_capacity(70 + KIND))
}

#[inline(never)]
fn keep() -> Vec<u8> {
    black_box(Vec::with_capacity(KEPT as usize))
}

/// Two pairs of threads: one allocates, and grows some; the other frees, and grows others first.
fn exchange() {
    let taken = [
        take::<0>, take::<1>, take::<2>, take::<3>, take::<4>, take::<5>, take::<6>, take::<7>,
    ];
    let work = many() / 2;
    let pairs: Vec<_> = (0..2)
        .map(|_| {
            let (sender, receiver) = mpsc::sync_channel::<Vec<u8>>(64);
            let giver = spawn(move || {
                for at in 0..work {
                    let mut block = taken[at % KINDS]();
                    if at % 3 == 0 {
                        block.reserve_exact(200 + at % 50);
                    }
                    sender.send(block).unwrap();
                    if at % 2 == 0 {
                        std::mem::forget(keep());
                    }
                }
            });
            let taker = spawn(move || {
                for (at, mut block) in receiver.into_iter().enumerate() {
                    if at % 5 == 0 {
                        block.reserve_exact(400);
                    }
                    drop(black_box(block));
                }
            });
            [giver, taker]
        })
        .collect();
    pairs
        .into_iter()
        .flatten()
        .for_each(|worker| worker.join().unwrap());
}

/// Threads that run when a recording starts free what others take after that.
fn late_recording() {
    let (sender, receiver) = mpsc::channel::<Vec<u8>>();
    let worker = spawn(move || {
        // Has a record for counting alone, and 64 KiB to go before it would look up.
        drop(black_box(vec![1u8; 100]));
        for block in receiver {
            drop(black_box(block));
        }
    });
    sender.send(vec![1; 100]).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(50));
    let path = std::env::var_os("LATE").unwrap();
    let recording = profiler_alloc::Recording::builder()
        .path(path)
        .sample(profiler_alloc::Sample::All);
    let recording = recording.start().unwrap();
    for _ in 0..37 {
        sender.send(black_box(vec![1; 1_009])).unwrap();
    }
    drop(sender);
    worker.join().unwrap();
    drop(recording);
}

fn running_threads_join_at_once() {
    let place = Place::new();
    let mut command = place.command("late_recording", "all");
    command
        .env_remove(settings::OUTPUT)
        .env("LATE", place.profile_path());
    assert!(command.status().unwrap().success());
    let profile = place.profile();
    let mut stacks = profile.stacks.iter().map(|stack| &stack.totals);
    let sent = stacks
        .find(|totals| totals.alloc_bytes == 37 * 1_009)
        .expect("the blocks sent");
    assert_eq!(sent.live_bytes, 0, "{sent:?}");
}

/// Heap in use in truth.
fn heap(place: &Place) -> i64 {
    let truth = place.truth();
    truth.alloc_bytes as i64 - truth.freed_bytes as i64
}

/// Bytes live in all stacks together.
fn live(profile: &Profile) -> i64 {
    let stacks = profile.stacks.iter().map(|stack| stack.totals.live_bytes);
    stacks.sum::<i64>() + profile.unattributed.live_bytes
}
