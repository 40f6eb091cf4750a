//! Heap and RSS over time, in one chunk of the file. When the chunk is full, every other point is
//! removed and the interval doubles, so a run of any length fits.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use profiler_alloc_format::{CHUNK_LEN, Point, PointCells};

use crate::profile_file::store::Store;

const POINTS: usize = CHUNK_LEN / Point::LEN;
/// CPU time that a program is to have used between two points, nanoseconds: a point takes some 5
/// us, most of it to ask for the RSS, which is 0.3 % of that.
const CPU_NS: u64 = 1_500_000;
/// The longest time between two points, in intervals.
const LONGEST: u64 = 8;

pub struct Timeline {
    next_ns: AtomicU64,
    last_cpu_ns: AtomicU64,
    adding: AtomicBool,
}

impl Timeline {
    pub const fn new() -> Timeline {
        Timeline {
            next_ns: AtomicU64::new(0),
            last_cpu_ns: AtomicU64::new(0),
            adding: AtomicBool::new(false),
        }
    }

    /// True if a point is due at `now_ns` after the start.
    #[inline]
    pub fn is_due(&self, now_ns: u64) -> bool {
        now_ns >= self.next_ns.load(Ordering::Relaxed)
    }

    /// Adds the point that `make` gives, unless another thread is adding one. The program has used
    /// `cpu_ns` of CPU time so far: the next point is due after an interval, or after a few if the
    /// program mostly waits. A server that uses 0.45 ms in 16 has a point in 48 ms.
    pub fn add(&self, store: &Store, now_ns: u64, cpu_ns: u64, make: impl FnOnce() -> Point) {
        if self.adding.swap(true, Ordering::Acquire) {
            return;
        }
        let header = store.header();
        let count = header.timeline_count.load(Ordering::Relaxed) as usize;
        let last = count
            .checked_sub(1)
            .and_then(|last| store.timeline.get(last));
        // Another thread may have added a later point while this one was on its way.
        let is_later = last.is_none_or(|last| read(last).time_ns <= now_ns);
        let count = if is_later && count >= POINTS {
            thin(store)
        } else {
            count
        };
        if let Some(cells) = store.timeline.get(count).filter(|_| is_later) {
            write(cells, make());
            header
                .timeline_count
                .store(count as u64 + 1, Ordering::Release);
        }
        let interval = header.timeline_interval_ns.load(Ordering::Relaxed);
        let cpu_step = cpu_ns.saturating_sub(self.last_cpu_ns.swap(cpu_ns, Ordering::Relaxed));
        let wait = interval.saturating_mul(intervals(cpu_step));
        self.next_ns
            .store(now_ns.saturating_add(wait), Ordering::Relaxed);
        self.adding.store(false, Ordering::Release);
    }
}

/// How many intervals to wait for the next point, if the last wait took `cpu_step` of CPU time.
fn intervals(cpu_step: u64) -> u64 {
    (CPU_NS / cpu_step.max(1)).clamp(1, LONGEST)
}

/// Keeps the points with even numbers. A reader that looks meanwhile finds some points twice, out
/// of order, and knows why.
fn thin(store: &Store) -> usize {
    let header = store.header();
    for at in 1..POINTS / 2 {
        if let (Some(to), Some(from)) = (store.timeline.get(at), store.timeline.get(2 * at)) {
            write(to, read(from));
        }
    }
    header
        .timeline_count
        .store(POINTS as u64 / 2, Ordering::Release);
    header
        .timeline_interval_ns
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |interval| {
            Some(interval.saturating_mul(2))
        })
        .ok();
    POINTS / 2
}

fn write(cells: &PointCells, point: Point) {
    cells.heap.store(point.heap, Ordering::Relaxed);
    cells.rss.store(point.rss, Ordering::Relaxed);
    cells
        .alloc_bytes
        .store(point.alloc_bytes, Ordering::Relaxed);
    cells.time_ns.store(point.time_ns, Ordering::Release);
}

fn read(cells: &PointCells) -> Point {
    Point {
        time_ns: cells.time_ns.load(Ordering::Acquire),
        heap: cells.heap.load(Ordering::Relaxed),
        rss: cells.rss.load(Ordering::Relaxed),
        alloc_bytes: cells.alloc_bytes.load(Ordering::Relaxed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_mostly_waits_has_fewer_points() {
        assert_eq!(intervals(450_000), 3);
        assert_eq!(intervals(900_000), 1);
        assert_eq!(intervals(u64::MAX), 1);
        assert_eq!(intervals(0), LONGEST);
    }

    #[test]
    fn a_long_run_fits_by_doubling_the_interval() {
        let folder = std::env::temp_dir().join(format!("timeline-{}", std::process::id()));
        let path = std::ffi::CString::new(folder.to_str().unwrap()).unwrap();
        let store = Store::create(&path).unwrap();
        std::fs::remove_file(&folder).unwrap();
        store
            .header()
            .timeline_interval_ns
            .store(10, Ordering::Relaxed);
        let timeline = Timeline::new();
        for now_ns in 0..200_000u64 {
            if timeline.is_due(now_ns) {
                timeline.add(store, now_ns, CPU_NS * now_ns, || Point {
                    time_ns: now_ns + 1,
                    heap: now_ns,
                    rss: 0,
                    alloc_bytes: 0,
                });
            }
        }
        let count = store.header().timeline_count.load(Ordering::Relaxed) as usize;
        let points: Vec<Point> = (0..count)
            .map(|at| read(store.timeline.get(at).unwrap()))
            .collect();
        assert!((POINTS / 2..=POINTS).contains(&count), "{count}");
        assert!(
            points
                .windows(2)
                .all(|pair| pair[0].time_ns < pair[1].time_ns)
        );
        assert_eq!(points[0].time_ns, 1);
        assert!(points[count - 1].time_ns > 199_000);
    }
}
