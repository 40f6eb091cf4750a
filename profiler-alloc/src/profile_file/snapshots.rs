//! The snapshots of a recording: taken on a beat that slows down, and at marks.
//!
//! A snapshot is a record and a number. What each stack had live then is known from how stacks
//! change afterwards, so taking one costs the same however many stacks there are. When there are
//! [`MOST_ON_BEAT`] on the beat, every other one is dropped and the beat doubles, so a run of any
//! length fits. Marks stay.

use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use profiler_alloc_format::moments::{FIRST_BEAT_NS, LAST_SERIAL, MARK, MOST_MARKS, MOST_ON_BEAT};
use profiler_alloc_format::{Snapshot, SnapshotCells};

use crate::lockfree::serial_set::SerialSet;
use crate::profile_file::store::Store;

/// Records of the table: one for each that is kept.
const RECORDS: usize = MOST_ON_BEAT + MOST_MARKS;
/// Snapshots on the beat that stay at least, even where cohorts have no room.
const FEWEST: usize = 8;

/// Why there is no snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoSnapshot {
    /// Another thread is taking one.
    Busy,
    /// There are too many, or the file cannot grow.
    Full,
}

pub struct Snapshots {
    next_ns: AtomicU64,
    beat_ns: AtomicU64,
    at_work: AtomicBool,
    /// How many of those on the beat are kept.
    on_beat: AtomicUsize,
    /// The serial numbers of those that are kept.
    pub kept: SerialSet,
}

impl Snapshots {
    pub const fn new() -> Snapshots {
        Snapshots {
            next_ns: AtomicU64::new(FIRST_BEAT_NS),
            beat_ns: AtomicU64::new(FIRST_BEAT_NS),
            at_work: AtomicBool::new(false),
            on_beat: AtomicUsize::new(0),
            kept: SerialSet::new(),
        }
    }

    /// True if one is due at `now_ns` after the start.
    pub fn is_due(&self, now_ns: u64) -> bool {
        now_ns >= self.next_ns.load(Ordering::Relaxed)
    }

    /// Takes one on the beat, which `make` says the rest of.
    pub fn take(
        &self,
        store: &Store,
        now_ns: u64,
        make: impl FnOnce() -> Snapshot,
    ) -> Result<(), NoSnapshot> {
        self.alone(|| {
            let added = self.add(store, make());
            let on_beat = match added {
                Ok(()) => self.on_beat.fetch_add(1, Ordering::Relaxed) + 1,
                Err(_) => self.on_beat.load(Ordering::Relaxed),
            };
            // The newest stays, so that the next one is due a doubled beat after it.
            if on_beat >= MOST_ON_BEAT {
                self.thin(store);
            }
            let beat_ns = self.beat_ns.load(Ordering::Relaxed);
            let next_ns = now_ns.saturating_add(beat_ns);
            self.next_ns.store(next_ns, Ordering::Relaxed);
            added
        })
    }

    /// Takes one that stays.
    pub fn mark(&self, store: &Store, make: impl FnOnce() -> Snapshot) -> Result<(), NoSnapshot> {
        self.alone(|| {
            if records(store).filter(|cells| is_mark(cells)).count() >= MOST_MARKS {
                return Err(NoSnapshot::Full);
            }
            let mark = make();
            self.add(
                store,
                Snapshot {
                    flags: mark.flags | MARK,
                    ..mark
                },
            )
        })
    }

    /// Drops every other one on the beat, as there is no room for what they say. False if they are
    /// few, or another thread is at it.
    pub fn make_room(&self, store: &Store) -> bool {
        let thinned = self.alone(
            || match self.on_beat.load(Ordering::Relaxed) >= 2 * FEWEST {
                true => {
                    self.thin(store);
                    Ok(())
                }
                false => Err(NoSnapshot::Full),
            },
        );
        thinned.is_ok()
    }

    /// Does `work` unless another thread is at work.
    fn alone(&self, work: impl FnOnce() -> Result<(), NoSnapshot>) -> Result<(), NoSnapshot> {
        if self.at_work.swap(true, Ordering::Acquire) {
            return Err(NoSnapshot::Busy);
        }
        let done = work();
        self.at_work.store(false, Ordering::Release);
        done
    }

    fn add(&self, store: &Store, snapshot: Snapshot) -> Result<(), NoSnapshot> {
        let header = store.header();
        let serial = header.generation.load(Ordering::Relaxed) as u32 + 1;
        if serial > LAST_SERIAL {
            return Err(NoSnapshot::Full);
        }
        let count = &header.snapshot_count;
        if count.load(Ordering::Relaxed) == 0 {
            store
                .take_many(&store.snapshots, count, RECORDS)
                .ok_or(NoSnapshot::Full)?;
        }
        let free = |cells: &&SnapshotCells| cells.serial.load(Ordering::Relaxed) == 0;
        let cells = records(store).find(free).ok_or(NoSnapshot::Full)?;
        // Blocks are born in this generation only once it is known that it is kept.
        if !self.kept.insert(serial) {
            return Err(NoSnapshot::Full);
        }
        write(cells, snapshot);
        cells.serial.store(serial, Ordering::Release);
        header.generation.store(serial.into(), Ordering::Release);
        Ok(())
    }

    fn thin(&self, store: &Store) {
        let mut kept = [None; RECORDS];
        let on_beat = records(store).filter(|cells| is_on_beat(cells));
        for (place, cells) in kept.iter_mut().zip(on_beat) {
            *place = Some((cells.serial.load(Ordering::Relaxed), cells));
        }
        kept.sort_unstable_by_key(|place| place.map_or(u32::MAX, |(serial, _)| serial));
        let mut left = 0;
        for (number, (serial, cells)) in kept.into_iter().flatten().enumerate() {
            if number % 2 == 0 {
                self.kept.remove(serial);
                cells.serial.store(0, Ordering::Release);
            } else {
                left += 1;
            }
        }
        self.on_beat.store(left, Ordering::Relaxed);
        let beat_ns = self.beat_ns.load(Ordering::Relaxed);
        self.beat_ns
            .store(beat_ns.saturating_mul(2), Ordering::Relaxed);
    }
}

fn records(store: &Store) -> impl Iterator<Item = &'static SnapshotCells> + use<> {
    let records = match store.header().snapshot_count.load(Ordering::Relaxed) {
        0 => None,
        _ => store.snapshots.get_many(0, RECORDS),
    };
    records.unwrap_or_default().iter()
}

fn is_on_beat(cells: &SnapshotCells) -> bool {
    cells.serial.load(Ordering::Relaxed) != 0 && !is_mark(cells)
}

fn is_mark(cells: &SnapshotCells) -> bool {
    cells.serial.load(Ordering::Relaxed) != 0 && cells.flags.load(Ordering::Relaxed) & MARK != 0
}

fn write(cells: &SnapshotCells, snapshot: Snapshot) {
    cells.flags.store(snapshot.flags, Ordering::Relaxed);
    cells.name_at.store(snapshot.name_at, Ordering::Relaxed);
    cells.name_len.store(snapshot.name_len, Ordering::Relaxed);
    for (cell, value) in [
        (&cells.time_ns, snapshot.time_ns),
        (&cells.heap, snapshot.heap),
        (&cells.allocs, snapshot.allocs),
        (&cells.frees, snapshot.frees),
        (&cells.reallocs, snapshot.reallocs),
        (&cells.alloc_bytes, snapshot.alloc_bytes),
        (&cells.freed_bytes, snapshot.freed_bytes),
    ] {
        cell.store(value, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_NS: u64 = 86_400_000_000_000;

    /// A store without a file name.
    fn store(name: &str) -> &'static Store {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        let text = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        let store = Store::create(&text).unwrap();
        std::fs::remove_file(path).unwrap();
        store
    }

    /// Serials and times of those that are kept, of marks or of the beat.
    fn kept(store: &Store, marks: bool) -> Vec<(u32, u64)> {
        let of_kind = records(store).filter(|cells| match marks {
            true => is_mark(cells),
            false => is_on_beat(cells),
        });
        let mut found: Vec<_> = of_kind
            .map(|cells| {
                let time_ns = cells.time_ns.load(Ordering::Relaxed) - 1;
                (cells.serial.load(Ordering::Relaxed), time_ns)
            })
            .collect();
        found.sort_unstable();
        found
    }

    fn at(now_ns: u64) -> Snapshot {
        Snapshot {
            time_ns: now_ns + 1,
            ..Snapshot::empty()
        }
    }

    #[test]
    fn a_day_fits_evenly_and_marks_stay() {
        let store = store("day");
        let snapshots = Snapshots::new();
        let mut marks = Vec::new();
        for now_ns in (0..DAY_NS).step_by(10_000_000) {
            if snapshots.is_due(now_ns) {
                snapshots.take(store, now_ns, || at(now_ns)).unwrap();
                let count = kept(store, false).len();
                assert!(count <= MOST_ON_BEAT, "{count}");
            }
            if now_ns % (DAY_NS / 10) == 10_000_000 {
                snapshots.mark(store, || at(now_ns)).unwrap();
                marks.push(now_ns);
            }
        }
        let found = kept(store, true);
        assert_eq!(
            found.iter().map(|&(_, time)| time).collect::<Vec<_>>(),
            marks
        );
        let on_beat = kept(store, false);
        assert!((32..MOST_ON_BEAT).contains(&on_beat.len()));
        let steps = on_beat.windows(2).map(|pair| pair[1].1 - pair[0].1);
        let (shortest, longest) = (steps.clone().min().unwrap(), steps.max().unwrap());
        // What is due comes up to 10 ms late, each time.
        assert!(longest < shortest + shortest / 5, "{shortest} {longest}");
        let serial = store.header().generation.load(Ordering::Relaxed);
        assert!((400..560).contains(&serial), "{serial}");
        for &(serial, _) in found.iter().chain(&on_beat) {
            assert_eq!(snapshots.kept.latest(serial), serial);
        }
        let first = on_beat[0].0;
        let before = found
            .iter()
            .map(|&(mark, _)| mark)
            .filter(|&mark| mark < first);
        assert_eq!(snapshots.kept.latest(first - 1), before.max().unwrap_or(0));
    }

    #[test]
    fn there_are_no_more_marks_than_can_be_kept_nor_serials_than_there_are() {
        let store = store("marks");
        let snapshots = Snapshots::new();
        for n in 0..MOST_MARKS as u64 {
            assert_eq!(snapshots.mark(store, || at(n)), Ok(()));
        }
        assert_eq!(snapshots.mark(store, || at(99)), Err(NoSnapshot::Full));
        assert_eq!(snapshots.take(store, 100, || at(100)), Ok(()));
        for n in 101..3_000 {
            let _ = snapshots.take(store, n, || at(n));
        }
        let generation = store.header().generation.load(Ordering::Relaxed);
        assert_eq!(generation, u64::from(LAST_SERIAL));
        assert_eq!(snapshots.take(store, 9, || at(9)), Err(NoSnapshot::Full));
        assert_eq!(kept(store, true).len(), MOST_MARKS);
    }

    #[test]
    fn where_there_is_no_room_eight_or_more_stay() {
        let store = store("room");
        let snapshots = Snapshots::new();
        for n in 1..MOST_ON_BEAT as u64 {
            snapshots.take(store, n, || at(n)).unwrap();
        }
        let mut left = Vec::new();
        while snapshots.make_room(store) {
            left.push(kept(store, false).len());
        }
        assert_eq!(left, [31, 15]);
        assert_eq!(kept(store, false)[0].0, 4);
    }
}
