//! Twenty rounds of a server that keeps a ledger of its own: a table for good, a peak that is soon
//! gone, a cache that fills and empties, a phase of temporary growth, and a leak that begins late.
//! Each round ends with a mark, and at the end the ledger is printed. `moments kill` kills itself
//! then.
//!
//! ```text
//! leak 10 - 7787                     allocated in round 10, never freed, 7787 bytes
//! cache 3 5 10003                    allocated in round 3, freed in round 5
//! ```

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::{Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use profiler_alloc::{ProfilerAlloc, mark};
use rustix::process::{Signal, getpid, kill_process};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

const ROUNDS: usize = 20;
const WORKERS: usize = 3;
/// Rounds that a worker keeps a block.
const KEPT: usize = 4;

/// Kind, round of the allocation, round of the free, bytes.
type Entry = (&'static str, usize, Option<usize>, usize);

static LEDGER: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

fn enter(kind: &'static str, born: usize, freed: Option<usize>, bytes: usize) {
    let mut ledger = LEDGER.lock().expect("nobody panics");
    assert!(
        ledger.len() < ledger.capacity(),
        "the ledger allocates nothing"
    );
    ledger.push((kind, born, freed, bytes));
}

type Block = Box<[u8]>;

/// A block, and the round it is of.
type Dated = (usize, Block);

#[inline(never)]
fn table(bytes: usize) -> Block {
    black_box(vec![1; bytes].into_boxed_slice())
}

#[inline(never)]
fn peak(bytes: usize) -> Block {
    black_box(vec![2; bytes].into_boxed_slice())
}

#[inline(never)]
fn cache(bytes: usize) -> Block {
    black_box(vec![3; bytes].into_boxed_slice())
}

#[inline(never)]
fn phase(bytes: usize) -> Block {
    black_box(vec![4; bytes].into_boxed_slice())
}

#[inline(never)]
fn leak(bytes: usize) {
    black_box(vec![5_u8; bytes]).leak();
}

#[inline(never)]
fn handed(bytes: usize) -> Block {
    black_box(vec![6; bytes].into_boxed_slice())
}

#[inline(never)]
fn worked(bytes: usize) -> Block {
    black_box(vec![7; bytes].into_boxed_slice())
}

/// Grows `list` to that many bytes, which is another block then.
#[inline(never)]
fn grown(list: &mut Vec<u8>, bytes: usize) {
    list.reserve_exact(bytes - list.len());
    list.resize(bytes, 8);
    black_box(list);
}

/// Frees what is older than `rounds`, in round `now`.
fn free_older(kind: &'static str, blocks: &mut VecDeque<Dated>, now: usize, rounds: usize) {
    while blocks.front().is_some_and(|(born, _)| born + rounds <= now) {
        let (born, block) = blocks.pop_front().expect("it was there");
        enter(kind, born, Some(now), block.len());
    }
}

/// What is left at the end.
fn keep(kind: &'static str, blocks: impl IntoIterator<Item = Dated>) {
    for (born, block) in blocks {
        enter(kind, born, None, block.len());
        Box::leak(block);
    }
}

fn work(number: usize, barrier: &Barrier) {
    let mut blocks = VecDeque::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        free_older("worked", &mut blocks, round, KEPT);
        blocks.push_back((round, worked(1000 * (number + 1) + round)));
        // The main thread marks in between.
        barrier.wait();
        barrier.wait();
    }
    keep("worked", blocks);
}

/// Frees what it is handed, which the round has to wait for.
fn free_elsewhere(blocks: &mpsc::Receiver<(Dated, usize)>, done: &mpsc::SyncSender<()>) {
    for ((born, block), now) in blocks {
        enter("handed", born, Some(now), block.len());
        drop(block);
        done.send(()).expect("somebody waits");
    }
}

fn serve(barrier: &Barrier) {
    let (give, taken) = mpsc::sync_channel(1);
    let (say, done) = mpsc::sync_channel(1);
    let other = thread::spawn(move || free_elsewhere(&taken, &say));
    let mut list = Vec::new();
    let mut list_since = 0;
    let mut cached: VecDeque<Dated> = VecDeque::with_capacity(ROUNDS);
    let mut phased: VecDeque<Dated> = VecDeque::with_capacity(ROUNDS);
    let mut peaks: VecDeque<Dated> = VecDeque::with_capacity(ROUNDS);
    let mut lent: VecDeque<Dated> = VecDeque::with_capacity(ROUNDS);
    keep("table", [(0, table(1 << 20))]);
    for (round, name) in NAMES.into_iter().enumerate() {
        free_older("peak", &mut peaks, round, 1);
        if round == 2 {
            peaks.push_back((round, peak(64 << 20)));
        }
        cached.push_back((round, cache(10_000 + round)));
        if round % 5 == 4 {
            free_older("cache", &mut cached, round, 0);
        }
        match round {
            8..=12 => phased.push_back((round, phase(300_000 + round))),
            13 => free_older("phase", &mut phased, round, 0),
            _ => {}
        }
        for n in 0..3 {
            if round >= 10 {
                leak(7_777 + round + n);
                enter("leak", round, None, 7_777 + round + n);
            }
        }
        if round > 0 {
            enter("grown", list_since, Some(round), list.capacity());
        }
        grown(&mut list, (round + 1) * 5_000);
        list_since = round;
        lent.push_back((round, handed(2_000 + round)));
        if lent.len() > 2 {
            let block = lent.pop_front().expect("there are three");
            give.send((block, round)).expect("somebody frees");
            done.recv().expect("somebody frees");
        }
        barrier.wait();
        mark(name);
        // The clock takes snapshots too.
        thread::sleep(Duration::from_millis(15));
        barrier.wait();
    }
    enter("grown", list_since, None, list.capacity());
    list.leak();
    keep("cache", cached);
    keep("handed", lent);
    drop(give);
    other.join().expect("it ends");
}

const NAMES: [&str; ROUNDS] = [
    "round 0", "round 1", "round 2", "round 3", "round 4", "round 5", "round 6", "round 7",
    "round 8", "round 9", "round 10", "round 11", "round 12", "round 13", "round 14", "round 15",
    "round 16", "round 17", "round 18", "round 19",
];

fn main() {
    LEDGER.lock().expect("nobody panics").reserve(1000);
    let barrier = Barrier::new(WORKERS + 1);
    thread::scope(|scope| {
        for number in 0..WORKERS {
            let barrier = &barrier;
            scope.spawn(move || work(number, barrier));
        }
        serve(&barrier);
    });
    let ledger = std::mem::take(&mut *LEDGER.lock().expect("nobody panics"));
    for (kind, born, freed, bytes) in ledger {
        let freed = freed.map_or("-".to_owned(), |round| round.to_string());
        println!("{kind} {born} {freed} {bytes}");
    }
    if std::env::args().nth(1).as_deref() == Some("kill") {
        kill_process(getpid(), Signal::KILL).expect("it may");
    }
}
