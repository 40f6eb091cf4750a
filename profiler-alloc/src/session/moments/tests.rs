//! Moments against a ledger, with a clock that runs as fast as the test.

use std::collections::HashMap;

use profiler_alloc_format::moments::{MOST_ON_BEAT, parts, split};
use profiler_alloc_format::{Cohort, Snapshot};

use super::*;
use crate::sampling::at_peak::change_live;
use crate::sampling::weights::{next_random, weight};
use crate::session::cohorts::{MOST, MOST_BUDGETED};

/// Stacks that allocate and free, and what each had live at every snapshot.
struct Program {
    store: &'static Store,
    moments: Moments,
    stacks: usize,
    blocks: Vec<Block>,
    live: Vec<i64>,
    /// By serial number.
    ledger: HashMap<u32, Vec<i64>>,
    random: u64,
}

impl Program {
    fn new(name: &str, stacks: usize, most_cohorts: usize) -> Program {
        let path = std::env::temp_dir().join(format!("moments-{name}-{}", std::process::id()));
        let text = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        let store = Store::create(&text).unwrap();
        std::fs::remove_file(path).unwrap();
        let count = &store.header().stack_count;
        while (count.load(Ordering::Relaxed) as usize) < stacks {
            store.take(&store.stacks, count).unwrap();
        }
        Program {
            store,
            moments: Moments::new(most_cohorts),
            stacks,
            blocks: Vec::new(),
            live: vec![0; stacks],
            ledger: HashMap::new(),
            random: 1,
        }
    }

    fn random(&mut self, below: usize) -> usize {
        let (next, random) = next_random(self.random);
        self.random = next;
        (random % below as u64) as usize
    }

    fn allocate(&mut self, stack: usize, size: u64) {
        let cells = self.store.stacks.get(stack).unwrap();
        let birth = self.moments.generation_of(self.store, stack as u32, cells);
        change_live(cells, 1, weight(size, 0), 1);
        let block = Block::new(64, size, stack as u32, 0, 0).unwrap();
        self.blocks.push(block.born(birth));
        self.live[stack] += size as i64;
    }

    fn free(&mut self, at: usize) {
        let block = self.blocks.swap_remove(at);
        let cells = self.store.stacks.get(block.stack() as usize).unwrap();
        let whole = weight(block.size(), 0);
        self.moments.freed(self.store, cells, block, whole);
        change_live(cells, 1, whole, -1);
        self.live[block.stack() as usize] -= block.size() as i64;
    }

    fn snapshot(&mut self, now_ns: u64, is_mark: bool) {
        let make = || Snapshot {
            time_ns: now_ns + 1,
            ..Snapshot::empty()
        };
        let snapshots = &self.moments.snapshots;
        match is_mark {
            true => snapshots.mark(self.store, make),
            false => snapshots.take(self.store, now_ns, make),
        }
        .unwrap();
        let serial = self.store.header().generation.load(Ordering::Relaxed) as u32;
        let kept = &self.moments.snapshots.kept;
        self.ledger
            .retain(|&serial, _| kept.latest(serial) == serial);
        self.ledger.insert(serial, self.live.clone());
    }

    /// What the file says each stack had live at a snapshot.
    fn read(&self, serial: u32) -> Vec<i64> {
        let mut live = vec![0; self.stacks];
        for cohort in self.cohorts() {
            let Some((stack, birth, last)) = parts(cohort.key) else {
                continue;
            };
            if birth < serial && serial <= last {
                live[stack as usize] += cohort.bytes as i64;
            }
        }
        for (number, live) in live.iter_mut().enumerate() {
            let now = self.store.stacks.get(number).unwrap();
            let age = self.store.ages.get(number);
            let word = age.map_or(0, |age| age.bytes.load(Ordering::Relaxed));
            let (birth, older) = split(word);
            if birth < serial {
                *live += now.live_bytes.load(Ordering::Relaxed) as i64 - older;
            }
        }
        live
    }

    fn cohorts(&self) -> impl Iterator<Item = Cohort> {
        let count = self.store.header().cohort_count.load(Ordering::Relaxed) as usize;
        (0..count).map(|at| {
            let cells = self.store.cohorts.get(at).unwrap();
            Cohort {
                key: cells.key.load(Ordering::Relaxed),
                bytes: cells.bytes.load(Ordering::Relaxed),
                ..Cohort::empty()
            }
        })
    }

    fn check(&self) {
        let kept = &self.moments.snapshots.kept;
        let mut checked = 0;
        for (&serial, live) in &self.ledger {
            if kept.latest(serial) == serial {
                assert!(self.read(serial) == *live, "snapshot {serial}");
                checked += 1;
            }
        }
        assert!(checked >= 8, "{checked}");
    }

    fn lost(&self) -> u64 {
        self.store.header().lost_moments.load(Ordering::Relaxed)
    }
}

/// A day of a server: each stack has a few blocks for good, some come and go within a tenth of a
/// second, some stay for minutes. `changes` of the stacks change between two snapshots.
fn a_day(program: &mut Program, changes: usize) {
    const DAY_NS: u64 = 86_400_000_000_000;
    for stack in 0..program.stacks {
        program.allocate(stack, 16 + stack as u64 % 100);
    }
    let mut now_ns = 0;
    let mut marks = 0;
    while now_ns < DAY_NS {
        // Before a snapshot is due nothing is, so the clock may jump.
        now_ns += 50_000_000;
        let is_mark = now_ns > (marks + 1) * DAY_NS / 6;
        if !is_mark && !program.moments.snapshots.is_due(now_ns) {
            continue;
        }
        for _ in 0..changes {
            let stack = program.random(program.stacks);
            let size = 1 + program.random(1000) as u64;
            program.allocate(stack, size);
            let at = match program.random(2) {
                0 => program.blocks.len() - 1,
                _ => program.random(program.blocks.len()),
            };
            program.free(at);
        }
        marks += u64::from(is_mark);
        program.snapshot(now_ns, is_mark);
    }
}

#[test]
fn a_day_of_100_000_stacks_stays_within_the_bound_to_the_byte() {
    let mut program = Program::new("day", 100_000, MOST);
    a_day(&mut program, 4_000);
    program.check();
    assert_eq!(program.lost(), 0);
    let cohorts = program.store.header().cohort_count.load(Ordering::Relaxed) as usize;
    let bytes = cohorts * size_of::<profiler_alloc_format::CohortCells>();
    println!(
        "{cohorts} cohorts, {bytes} B, index {} B",
        program.moments.bytes()
    );
    assert!(cohorts <= MOST && bytes <= 20 << 20, "{cohorts} {bytes}");
    assert!(program.moments.bytes() <= 11 << 20);
}

#[test]
fn where_there_is_little_room_fewer_snapshots_are_kept_to_the_byte() {
    let mut program = Program::new("little", 2_000, 20_000);
    a_day(&mut program, 1_500);
    program.check();
    let on_beat = program.ledger.len();
    println!("{on_beat} kept, {} lost", program.lost());
    assert_eq!(program.lost(), 0);
    assert!(on_beat < MOST_ON_BEAT / 2 + 6, "{on_beat}");
    let cohorts = program.store.header().cohort_count.load(Ordering::Relaxed);
    assert!(cohorts <= 20_000, "{cohorts}");
}

/// Changes that have no room are counted, and nothing is found that was not.
#[test]
fn what_has_no_room_is_counted() {
    let mut program = Program::new("none", 2_000, 1_000);
    a_day(&mut program, 500);
    assert!(program.lost() > 0);
    assert_eq!(MOST_BUDGETED, MOST / 8);
}

/// What comes and goes between two snapshots leaves nothing behind.
#[test]
fn churn_is_free() {
    let mut program = Program::new("churn", 100, MOST);
    for generation in 0..20 {
        for n in 0..1_000 {
            program.allocate(n % 100, 64);
            program.free(0);
        }
        program.snapshot(generation, true);
    }
    assert_eq!(program.cohorts().count(), 0);
}
